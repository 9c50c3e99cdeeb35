"""The command line. A command's own module is imported when it is called, so that help is instant."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from reviewbox.errors import ReviewboxError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

# A clone is installed in place; its top level holds the model, the handlers and the template.
_CLONE = Path(__file__).parents[3]
_CPUS = os.cpu_count() or 1

ModelOption = Annotated[Path, typer.Option("--model", help="The model folder.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads for inference.")]
PortOption = Annotated[int, typer.Option("--port", help="Where to listen; 0 for any free port.")]
TemplateOption = Annotated[Path, typer.Option("--template", help="The SAM template to run.")]


@app.callback()
def main() -> None:
    """Drop reviews into an S3 bucket, get their sentiment back."""


@app.command()
def classify(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files or folders; - for stdin.")],
    model: ModelOption = _CLONE / "model",
    threads: ThreadsOption = _CPUS,
    text_field: Annotated[str, typer.Option(help="The field of a table that holds the review.")] = "",
) -> None:
    """Classify files on this machine: a table on a terminal, JSON Lines in a pipe.

    The exit status is 1 if any review has no verdict.
    """
    from reviewbox.cli.classify import classify_paths

    with _errors_told():
        everything_classified = classify_paths(paths, model, threads, text_field)
    raise typer.Exit(0 if everything_classified else 1)


@app.command()
def evaluate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True)],
    model: ModelOption = _CLONE / "model",
    threads: ThreadsOption = _CPUS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a model on labelled reviews.

    A FILE is CSV, JSON Lines or Parquet with the columns `text` and `label` (0/1, neg/pos or
    negative/positive), or an aclImdb folder, of which the test split is taken.
    """
    from reviewbox.cli.evaluate import evaluate_files

    with _errors_told():
        evaluate_files(files, model, threads, as_json=as_json)


@app.command()
def local(port: PortOption = 5000, template: TemplateOption = _CLONE / "template.yaml") -> None:
    """Run the whole service on this machine until Ctrl-C: drop files, get verdicts."""
    from reviewbox.cli.local import run_local

    with _errors_told():
        run_local(port, template)


@app.command()
def demo(
    reviews: Annotated[Path, typer.Argument(help="A folder of files to drop.", exists=True, file_okay=False)],
    port: PortOption = 0,
    template: TemplateOption = _CLONE / "template.yaml",
) -> None:
    """Drop a folder's files into a local cloud and show what comes back."""
    from reviewbox.cli.demo import run_demo

    with _errors_told():
        run_demo(reviews, port, template)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell our own errors in a line; whatever else is a bug and keeps its traceback."""
    try:
        yield
    except ReviewboxError as error:
        print(f"reviewbox: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
