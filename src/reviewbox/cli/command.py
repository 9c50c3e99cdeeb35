"""What commands have in common: how they are added, how they fail, and their options."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec

import typer

from reviewbox.cli.output import INTERRUPTED, Format
from reviewbox.errors import ReviewboxError

if TYPE_CHECKING:
    from rich.console import Console as Terminal

P = ParamSpec("P")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # wraps the help texts to the width of the terminal
)

models = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(models, name="model", help="Inspect model folders.")

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="Read these files of reviews.", exists=True)
]
ModelOption = Annotated[
    Path | None,
    typer.Option("--model", help="Use the model in this folder. [default: the model of Reviewbox]"),
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Use this many threads.")]
PortOption = Annotated[int, typer.Option("--port", help="Listen on this port; 0 for any free port.")]
ConsolePortOption = Annotated[
    int, typer.Option("--console-port", help="Serve the console on this port; 0 for any free port.")
]
TextFieldOption = Annotated[
    str, typer.Option("--text-field", help="Read the review from this field of a table.")
]
StackOption = Annotated[str, typer.Option("--stack", help="Use the deployed stack with this name.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
FormatOption = Annotated[Format | None, typer.Option("--format", help="Print the result in this format.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, as --format json does.")]
TemplateOption = Annotated[
    Path, typer.Option("--template", help="Run this SAM template.", show_default="that of the clone")
]


def folder_argument(metavar: str, text: str) -> Any:
    """Return an argument that is an existing folder; `text` is its help."""
    return typer.Argument(metavar=metavar, help=text, exists=True, file_okay=False)


def output_option(text: str) -> Any:
    """Return the option for the file to write; `text` is its help."""
    return typer.Option("--output", "-o", help=text, dir_okay=False)


# The optional dependencies, by the module that is imported, and the extra that installs each.
_EXTRAS = {"moto": "local", "pyarrow": "parquet", "samtranslator": "local"}


def confirm(terminal: "Terminal") -> None:
    """Ask on a terminal whether to continue.

    Raises:
        typer.Abort: the answer is not yes.
    """
    # `typer.confirm` prints a space to the standard output even if the question goes to the standard error.
    try:
        answer = terminal.input("Continue? [y/N]: ", markup=False)
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise typer.Abort


def command(
    function: Callable[P, None], group: typer.Typer = app, name: str | None = None
) -> Callable[P, None]:
    """Add a command that prints our own errors and those of AWS on one line, and exits with status 2.

    Other errors are bugs, and keep their traceback. The lines below "Examples:" in the function's docstring
    appear at the end of its help.
    """
    text, _, examples = cleandoc(function.__doc__ or "").partition("\n\nExamples:\n")
    lines = "\n\n".join(f"- `{line.strip()}`" for line in examples.splitlines())

    @group.command(name, help=text, epilog=f"Examples:\n\n{lines}" if lines else None)
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except typer.Exit:
            raise
        except Exception as error:
            line = _explain(error)
            if line is None:
                raise
            _fail(line, 2)

    return run


def _explain(error: Exception) -> str | None:
    """Return one line that explains an error, or None if the error is a bug."""
    match error:
        case ReviewboxError():
            return str(error)
        case ModuleNotFoundError():
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            return f"{error.name} is not installed; run: pip install 'reviewbox[{extra}]'" if extra else None
        case OSError() if error.strerror and not isinstance(error, BrokenPipeError):
            # A full disk, for example, a file that is gone, or a pipe that its reader has closed.
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    from reviewbox.stack.aws import explain

    return explain(error)


def _fail(line: str, status: int) -> NoReturn:
    from reviewbox.cli.render import print_plain

    print_plain(f"reviewbox: {line}", to_stderr=True)
    try:
        sys.stdout.flush()
    except OSError:  # At its end, Python would try again, and report the same in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(status) from None
