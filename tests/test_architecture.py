"""The rules that keep the code livable."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "reviewbox"
MODULES = sorted(PACKAGE.rglob("*.py"))
CORE = [path for path in MODULES if not {"cli", "local", "stack"} & set(path.relative_to(PACKAGE).parts)]

# Which modules may import a library that does I/O or needs the machine.
OWNERS = {
    "boto3": ("storage.py", "queue.py", "stack/", "local/"),
    "botocore": ("storage.py", "queue.py", "stack/", "local/"),
    "tokenizers": ("model/windows.py",),
    "onnxruntime": ("model/inference.py",),
    "moto": ("local/",),
    "samtranslator": ("local/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "pyarrow": ("cli/",),
}


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> set[str]:
    """Return the full names of what a module imports, anywhere in it, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path)} imports by a relative name"
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_each_io_library_has_its_own_module(path: Path) -> None:
    libraries = {name.partition(".")[0] for name in imports(path)}

    for library in libraries & set(OWNERS):
        assert place(path).startswith(OWNERS[library]), f"{library} is imported by {place(path)}"


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_the_package_knows_no_handlers(path: Path) -> None:
    assert not {name for name in imports(path) if name.partition(".")[0] == "handlers"}


@pytest.mark.parametrize("path", CORE, ids=place)
def test_the_core_knows_neither_command_line_nor_local_cloud(path: Path) -> None:
    assert not {
        name
        for name in imports(path)
        if name.startswith(("reviewbox.cli", "reviewbox.local", "reviewbox.stack"))
    }


@pytest.mark.parametrize("path", CORE, ids=place)
def test_the_core_reads_neither_environment_nor_clock(path: Path) -> None:
    """Handlers pass in both. Only inference sets variables, to silence onnxruntime; only a queue sleeps."""
    names = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))}
    clocks = {"time", "datetime"} & {name.partition(".")[0] for name in imports(path)}

    assert clocks <= ({"time"} if place(path) == "queue.py" else set())
    assert "os.getenv" not in names
    assert "os.environ" not in names or place(path) == "model/inference.py"


@pytest.mark.parametrize("path", sorted((ROOT / "handlers").glob("on_*.py")), ids=lambda path: path.name)
def test_importing_a_handler_has_no_effect(path: Path) -> None:
    """No client, no model and no telemetry before the first event."""
    check = (
        "import sys, os, logging; before = dict(os.environ); "
        f"import handlers.{path.stem}; "
        "assert 'onnxruntime' not in sys.modules; "
        "assert dict(os.environ) == before; "
        "assert not logging.getLogger().handlers"
    )

    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)  # noqa: S603 - our own code


def test_lambda_ships_what_the_core_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shipped = (ROOT / "requirements" / "core.in").read_text(encoding="utf-8").splitlines()

    def names(requirements: Iterable[str]) -> set[str]:
        return {re.split("[>;]", requirement)[0] for requirement in requirements}

    assert names(project["dependencies"]) == names(line for line in shipped if not line.startswith("#"))
