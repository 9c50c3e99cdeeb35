"""Runs every command of the documentation and of the examples in help.

A command is a line of an indented code block, or of one marked `sh`, that starts with the name of a program.
Each program has a function below that runs it. What cannot run here is checked instead: targets of make that
build or train by a dry run, `sam` and `pip` against the options that they know.
"""

import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import typer
from tests.docs.sandbox import ROOT, SECONDS, Sandbox, blocks, sandbox, upload_results

from reviewbox.cli import app

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "model/*.md", "model/recipe/*.md", "tests/exports/*.md")
    for path in ROOT.glob(pattern)
    if path.name not in ("CHANGELOG.md", "recipes.md")  # recipes.md has its own test
)
PROGRAMS = (
    *("reviewbox", "make", "sam", "aws", "pip", "echo", "cat", "export", "python", "uvx", "optimum-cli"),
    "PYTHONPATH=src",
)
COMMAND = re.compile(rf"(?:    |\$ |    \$ )((?:{'|'.join(PROGRAMS)})\b.*)")
INLINE = re.compile(r"`((?:reviewbox|make|sam) [a-z][^`]*)`")
# What the documentation leaves for the reader to fill in.
PLACEHOLDERS = {
    r"\bNAME\b": "reviewbox",
    r"\bBUCKET/PREFIX\b": "bucket/incoming/",
    r"(?<=--model )FOLDER|(?<=model/ )FOLDER": "candidate",
    r"\bFOLDER\b": "folder",
    r"\bOLD\b": "model",
    r"\bFILE\b": "reviews.csv",
    r"\bDIR\b": "model",
}
UNTIL_CTRL_C = ("watch", "local")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and where it is documented."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def documented() -> Iterator[Command]:
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        language: str | None = None  # of the fenced block
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith("```"):
                language = None if language is not None else line[3:]
                continue
            if language == "sh" or (language is None and line.startswith("    ")):
                source = line if line.startswith("    ") else f"    {line}"
                if match := COMMAND.match(source):
                    yield Command(name, number, match[1].split(" #")[0].strip())


def examples() -> Iterator[Command]:
    stack: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while stack:
        prefix, command = stack.pop()
        stack += [(f"{prefix} {name}", child) for name, child in getattr(command, "commands", {}).items()]
        for text in re.findall(r"`([^`]+)`", command.epilog or ""):
            yield Command(f"reviewbox{prefix} --help", 0, text)


def inline() -> Iterator[Command]:
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            for text in INLINE.findall(line):
                yield Command(page.relative_to(ROOT).as_posix(), number, text)


def unique(commands: Iterator[Command]) -> list[Command]:
    """Return the first command of each text."""
    return list({command.text: command for command in reversed(list(commands))}.values())[::-1]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("docs")
    with sandbox(folder) as box:
        upload_results(folder)
        yield box


def filled(text: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        text = re.sub(placeholder, value, text)
    return text


def run_shell(box: Sandbox, text: str) -> None:
    """Run a command. Status 1 means that it found something wrong in the sample files, as documented."""
    result = box.run(text)
    accepted = (0, 1) if "reviewbox" in text else (0,)
    assert result.returncode in accepted, result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def run_reviewbox(box: Sandbox, text: str) -> None:
    words = shlex.split(text)
    if "--stay" in words or (words[1] in UNTIL_CTRL_C and "--once" not in words):
        run_until_ctrl_c(box, text)
    elif words[1] == "demo":
        run_shell(box, f"{text} --template {ROOT / 'template.yaml'}")
    elif "--install-completion" in words or "--show-completion" in words:
        # The test itself is not a shell, which both detect, so the shell is named.
        script = box.run("_REVIEWBOX_COMPLETE=source_bash reviewbox")
        assert "complete" in script.stdout, script.stderr
        check_options(typer.main.get_command(app), words[1:])
    else:
        run_shell(box, text)


def run_until_ctrl_c(box: Sandbox, text: str) -> None:
    command = f"exec {text}"
    if text.startswith("reviewbox local"):
        # Other programs may use the documented ports.
        text = re.sub(r" --(?:console-)?port \d+", "", text)
        command = f"exec {text} --port 0 --template {ROOT / 'template.yaml'}"
    if text.startswith("reviewbox demo"):
        command = f"exec {text} --template {ROOT / 'template.yaml'}"
    process = subprocess.Popen(  # noqa: S602 - a shell is what is documented
        command,
        shell=True,
        executable="/bin/bash",
        cwd=box.folder,
        env={**box.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    first = ""
    while "Press Ctrl-C" not in first:
        line = process.stdout.readline()
        assert line, f"it ended early: {first}"
        first += line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, first + rest


def check_options(command: Any, words: list[str]) -> None:
    """Check that a command of Reviewbox knows the options among some words."""
    known = {option for parameter in command.params for option in parameter.opts}
    given = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    assert given <= known | {"--help"}, f"unknown: {given - known}"


def check_make(box: Sandbox, text: str) -> None:
    """Check that make knows the target; run what it would run if that is Reviewbox itself."""
    words = shlex.split(text)
    dry_run = ["make", "--dry-run", f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.installed", *words[1:]]
    result = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    for line in result.stdout.splitlines():
        if line.startswith(f"{sys.prefix}/bin/reviewbox "):
            command = line.removeprefix(f"{sys.prefix}/bin/").replace('"src/', f'"{ROOT}/src/')
            run_reviewbox(box, command)


def check_sam(box: Sandbox, text: str) -> None:
    """Check that SAM has the command and knows its options: it would deploy to AWS."""
    command, *options = shlex.split(text)[1:]
    result = box.run(f"SAM_CLI_TELEMETRY=0 sam {command} --help")
    assert result.returncode == 0, result.stderr
    assert all(re.search(rf"{option}\b", result.stdout) for option in options if option.startswith("--"))


def check_pip(box: Sandbox, text: str) -> None:
    """Check that pip knows the command, and the project the extra: the index is not reached from here."""
    words = shlex.split(text)
    assert box.run(f"python -m pip {words[1]} --help").returncode == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in re.findall(r"reviewbox\[(\w+)\]", text):
        assert extra in project["optional-dependencies"]
    assert any(word.startswith("reviewbox") or word == "." for word in words[2:])


def check_module(box: Sandbox, text: str) -> None:
    """Check that the module exists: benchmarks take an hour and have their own environment."""
    module = shlex.split(text)[-1]
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def run_nothing(box: Sandbox, text: str) -> None:
    """Accept a line that only sets variables, which the sandbox sets itself."""
    assert text.startswith("export AWS_")


RUNNERS: Mapping[str, Callable[[Sandbox, str], None]] = {
    "reviewbox": run_reviewbox,
    "uvx": run_shell,
    "echo": run_shell,
    "cat": run_shell,
    "aws": run_shell,
    "python": run_shell,
    "make": check_make,
    "sam": check_sam,
    "pip": check_pip,
    "export": run_nothing,
    "PYTHONPATH=src": check_module,
}


@pytest.mark.parametrize("command", unique(documented()), ids=str)
def test_a_documented_command_works(command: Command, box: Sandbox) -> None:
    RUNNERS[command.text.split()[0]](box, filled(command.text))


@pytest.mark.parametrize("command", unique(examples()), ids=str)
def test_an_example_in_help_works(command: Command, box: Sandbox) -> None:
    RUNNERS[command.text.split()[0]](box, filled(command.text))


@pytest.mark.parametrize("command", unique(inline()), ids=str)
def test_a_command_in_a_sentence_exists(command: Command, box: Sandbox) -> None:
    """It need not be complete, but its name and its options exist."""
    words = shlex.split(filled(command.text))
    if words[0] == "make":
        check_make_target(words)
    elif words[0] == "sam":
        check_sam(box, filled(command.text))
    else:
        known: Any = typer.main.get_command(app)
        rest = words[1:]
        while hasattr(known, "commands") and rest:
            assert rest[0] in known.commands, f"there is no command {rest[0]}"
            known, rest = known.commands[rest[0]], rest[1:]
        check_options(known, rest)


def check_make_target(words: list[str]) -> None:
    dry_run = ["make", "--dry-run", f"--old-file={sys.prefix}/.installed", f"VENV={sys.prefix}", *words[1:]]
    result = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr


def test_code_in_the_readme_runs(box: Sandbox) -> None:
    """A comment after `print` says what it prints."""
    code = [text for language, text in blocks(ROOT / "README.md") if language == "python"]

    assert code
    for text in code:
        (box.folder / "example.py").write_text(text, encoding="utf-8")
        result = box.run("python example.py")
        expected = re.findall(r"^print\(.*\)  # (.+)$", text, re.MULTILINE)
        assert result.stdout.splitlines() == expected, result.stderr


def test_commands_are_found() -> None:
    """The pattern does not miss a page or a kind of command."""
    commands = list(documented())

    assert len(commands) > 35
    assert {command.text.split()[0] for command in commands} >= {
        "reviewbox",
        "make",
        "sam",
        "aws",
        "pip",
        "echo",
    }


def test_every_command_is_on_the_page_of_the_command_line() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    group: Any = typer.main.get_command(app)
    names = [
        f"{name} {child}" if children else name
        for name, command in group.commands.items()
        for children in [getattr(command, "commands", {})]
        for child in (children or [""])
    ]

    assert not [name for name in names if not re.search(rf"^\|.*`{name}`.*\|.*\|", page, re.MULTILINE)]
