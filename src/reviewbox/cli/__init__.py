"""The command line. A command's own module is imported when it is called, so that help is instant."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reviewbox.errors import ReviewboxError
from reviewbox.model.bundle import shipped_model_dir

if TYPE_CHECKING:
    from reviewbox.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # which has help fill its lines, however wide the terminal is
)

# A clone has the handlers and the template at its top level. A wheel has neither, so it uses those of the
# current folder.
_CLONE = Path(__file__).parents[3]
_TEMPLATE = (_CLONE if (_CLONE / "template.yaml").is_file() else Path()) / "template.yaml"
_MODEL = shipped_model_dir()
_CPUS = os.cpu_count() or 1
_STACK = "reviewbox"  # as samconfig.toml names it

ModelOption = Annotated[Path, typer.Option("--model", help="The model folder.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="Threads for inference.")]
PortOption = Annotated[int, typer.Option("--port", help="Where to listen; 0 for any free port.")]
TextFieldOption = Annotated[
    str, typer.Option("--text-field", help="The field of a table that holds the review.")
]
StackOption = Annotated[str, typer.Option("--stack", help="The name of the deployed stack.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TemplateOption = Annotated[Path, typer.Option("--template", help="The SAM template to run.")]

# The optional dependencies, by the module that is imported, and the extra that installs each.
_EXTRAS = {"moto": "local", "pyarrow": "parquet", "samtranslator": "local"}


def _print_version(requested: bool) -> None:
    if requested:
        from reviewbox import __version__

        print(f"reviewbox {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Classify the sentiment of reviews: files, S3 objects, or whatever arrives in a bucket."""


@app.command()
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, s3://bucket/key, s3://bucket/prefix/ (with the slash); - for stdin.",
        ),
    ],
    model: ModelOption = _MODEL,
    threads: ThreadsOption = _CPUS,
    text_field: TextFieldOption = "",
) -> None:
    """Classify files and objects on this machine: a table on a terminal, JSON Lines in a pipe.

    The settings are the service's, from the same variables (REVIEWBOX_TEXT_FIELD and so on). The exit
    status is 1 if any review has no verdict, 2 if something cannot be read.
    """
    from reviewbox.cli.classify import classify_paths

    with _errors_told():
        everything_classified = classify_paths(paths, model, threads, _settings(text_field))
    raise typer.Exit(0 if everything_classified else 1)


@app.command()
def watch(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to watch.", exists=True, file_okay=False)
    ],
    results: Annotated[
        Path | None, typer.Option(help="Where results go; FOLDER-results if not given.", file_okay=False)
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 2.0,
    model: ModelOption = _MODEL,
    threads: ThreadsOption = _CPUS,
    text_field: TextFieldOption = "",
) -> None:
    """Classify what comes into a folder, without any cloud, until Ctrl-C.

    Results are what the service writes, under the same names; but a table comes back in parts only if
    it is larger than REVIEWBOX_MAX_OBJECT_BYTES. A file is taken when two looks in a row find it
    unchanged; what has a current result is not classified again. The settings are the service's, from
    the same variables (REVIEWBOX_TEXT_FIELD and so on).
    """
    from reviewbox.cli.watch import run_watch
    from reviewbox.model.classifier import Classifier

    with _errors_told():
        run_watch(folder, results, interval, Classifier.load(model, threads=threads), _settings(text_field))


@app.command()
def estimate(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, s3://bucket/prefix.")
    ],
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="Milliseconds of processor time that 1,000 characters take, if measured."),
    ] = None,
    text_field: TextFieldOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what classifying would cost on AWS, dropped or as a job, and what Amazon Comprehend would.

    Files are read as the service would read them, of large tables no more than the beginning; of what
    is in S3 the sizes are listed and a few objects read. Nothing is classified, written or charged but
    those requests. What cannot be read is named, and the rest counts.
    """
    from reviewbox.cli.estimate import show_estimate

    with _errors_told():
        show_estimate(paths, _settings(text_field), rate, as_json=as_json)


@app.command()
def backfill(
    uri: Annotated[str, typer.Argument(metavar="URI", help="s3://bucket/prefix: what to classify.")],
    stack: StackOption = _STACK,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and price, and stop.")] = False,
) -> None:
    """Classify what has been in the bucket already: count, price, ask, go, and show how far it is.

    Up to 100,000 objects are queued as if they had just been dropped; more of them, or more than two days
    of work, become a job of S3 Batch Operations. It may be interrupted and run again: what has a current
    result costs one read (of the result) and a look at its state. The exit status is 1 if something
    failed.
    """
    from reviewbox.cli.backfill import run_backfill

    with _errors_told():
        all_well = run_backfill(uri, stack, agreed=yes, dry_run=dry_run)
    raise typer.Exit(0 if all_well else 1)


@app.command()
def status(
    stack: StackOption = _STACK,
    newest: Annotated[int, typer.Option(min=0, help="How many results to read, the newest first.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what waits, what is being worked on, what is done, and what failed and why.

    Results are counted by listing them; a done one is told from a failed one by reading it. Dead letters
    are looked at and stay where they are.
    """
    from reviewbox.cli.status import show_status

    with _errors_told():
        show_status(stack, newest, as_json=as_json)


@app.command()
def redrive(stack: StackOption = _STACK, yes: YesOption = False) -> None:
    """Put the dead letters back into the queue, to be tried as often again as any message.

    The exit status is 1 if some are left, because someone else is looking at them.
    """
    from reviewbox.cli.redrive import run_redrive

    with _errors_told():
        none_left = run_redrive(stack, agreed=yes)
    raise typer.Exit(0 if none_left else 1)


@app.command()
def evaluate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True)],
    model: ModelOption = _MODEL,
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
def compare(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    model_a: Annotated[
        Path, typer.Argument(metavar="MODEL_A", help="A model folder.", exists=True, file_okay=False)
    ],
    model_b: Annotated[
        Path, typer.Argument(metavar="MODEL_B", help="Another.", exists=True, file_okay=False)
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True)],
    flips: Annotated[int, typer.Option("--flips", min=0, help="How many flipped reviews to list.")] = 20,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Print the text of the listed reviews, too.")
    ] = False,
    threads: ThreadsOption = _CPUS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show which verdicts flip between two models, how far they agree, and how fast each is.

    A FILE is what `evaluate` reads, but needs no labels; where every review has one, each model's
    accuracy is told, too. Flips are listed by file and row, those first of which both models are
    surest.
    """
    from reviewbox.cli.compare import compare_models, print_comparison

    with _errors_told():
        found = compare_models(model_a, model_b, files, threads)
        print_comparison(found, flips, show_text=show_text, as_json=as_json)


@app.command()
def local(port: PortOption = 5000, template: TemplateOption = _TEMPLATE) -> None:
    """Run the whole service on this machine until Ctrl-C: drop files, get verdicts."""
    from reviewbox.cli.local import run_local

    with _errors_told():
        run_local(port, template)


@app.command()
def demo(
    reviews: Annotated[Path, typer.Argument(help="A folder of files to drop.", exists=True, file_okay=False)],
    port: PortOption = 0,
    template: TemplateOption = _TEMPLATE,
) -> None:
    """Drop a folder's files into a local cloud and show what comes back."""
    from reviewbox.cli.demo import run_demo

    with _errors_told():
        run_demo(reviews, port, template)


def _settings(text_field: str) -> "Settings":
    """Return the service's settings, with another text field if one is given."""
    from reviewbox.settings import Settings

    settings = Settings.from_environ(os.environ)
    return replace(settings, text_field=text_field or settings.text_field)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell our own errors, and AWS's, in a line; whatever else is a bug and keeps its traceback."""
    try:
        yield
    except ReviewboxError as error:
        line: str | None = str(error)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        line = f"{error.name} is not installed; run: pip install 'reviewbox[{extra}]'"
    except Exception as error:
        from reviewbox.stack.discovery import explain

        line = explain(error)
        if line is None:
            raise
    else:
        return
    print(f"reviewbox: {line}", file=sys.stderr)
    raise typer.Exit(2)
