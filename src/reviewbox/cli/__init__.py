"""The command line. A command imports its own module only when it is called, so that help is fast."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer

from reviewbox.errors import ReviewboxError

if TYPE_CHECKING:
    from reviewbox.settings import Settings

P = ParamSpec("P")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # wraps the help texts to the width of the terminal
)

# A clone has the handlers and the template at its top level. A wheel has neither, so it uses those of the
# current folder.
_CLONE = Path(__file__).parents[3]
_TEMPLATE = (_CLONE if (_CLONE / "template.yaml").is_file() else Path()) / "template.yaml"
_CPUS = os.cpu_count() or 1
_STACK = "reviewbox"  # the name in samconfig.toml

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files of reviews.", exists=True)
]
ModelOption = Annotated[
    Path | None, typer.Option("--model", help="The model folder. [default: the model of Reviewbox]")
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="The number of threads for inference.")]
PortOption = Annotated[int, typer.Option("--port", help="The port to listen on; 0 for any free port.")]
TextFieldOption = Annotated[
    str, typer.Option("--text-field", help="The field of a table that holds the review.")
]
StackOption = Annotated[str, typer.Option("--stack", help="The name of the deployed stack.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TemplateOption = Annotated[Path, typer.Option("--template", help="The SAM template to run.")]

# The optional dependencies, by the module that is imported, and the extra that installs each.
_EXTRAS = {"moto": "local", "pyarrow": "parquet", "samtranslator": "local"}


def _command(function: Callable[P, None]) -> Callable[P, None]:
    """Add a command that prints our own errors and those of AWS on one line, and exits with status 2.

    Other errors are bugs, and keep their traceback.
    """

    @app.command()
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except ReviewboxError as error:
            line: str | None = str(error)
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            line = f"{error.name} is not installed; run: pip install 'reviewbox[{extra}]'"
        except Exception as error:
            from reviewbox.stack.aws import explain

            line = explain(error)
            if line is None:
                raise
        else:
            return
        from reviewbox.cli.render import print_plain

        print_plain(f"reviewbox: {line}", to_stderr=True)
        raise typer.Exit(2)

    return run


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


@_command
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, s3://bucket/key, s3://bucket/prefix/ (with the slash), or - for stdin.",
        ),
    ],
    model: ModelOption = None,
    threads: ThreadsOption = _CPUS,
    text_field: TextFieldOption = "",
) -> None:
    """Classify files, folders or S3 objects.

    Prints a table on a terminal, and JSON Lines otherwise. The settings are those of the service, from the
    same environment variables (REVIEWBOX_TEXT_FIELD and so on). An input that fails does not stop the others.
    The exit status is 1 if a review has no verdict, and 2 if an input cannot be read.
    """
    from reviewbox.cli.classify import classify_paths

    raise typer.Exit(classify_paths(paths, model, threads, _settings(text_field)))


@_command
def watch(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder to watch.", exists=True, file_okay=False)
    ],
    results: Annotated[
        Path | None, typer.Option(help="The folder for results. [default: FOLDER-results]", file_okay=False)
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="The seconds between two scans.")] = 2.0,
    model: ModelOption = None,
    threads: ThreadsOption = _CPUS,
    text_field: TextFieldOption = "",
) -> None:
    """Classify the files of a folder as they arrive, until Ctrl-C.

    Results are the same as the service's, under the same names. But a table comes back in parts only if it is
    larger than REVIEWBOX_MAX_OBJECT_BYTES. A file is classified when two scans in a row find it unchanged.
    A file with a current result is not classified again. The settings are those of the service, from the same
    environment variables (REVIEWBOX_TEXT_FIELD and so on).
    """
    from reviewbox.cli.watch import run_watch
    from reviewbox.model.classifier import Classifier

    settings = _settings(text_field)
    classifier = Classifier.load(model, threads=threads, two_labels=settings.two_labels)
    run_watch(folder, results, interval, classifier, settings)


@_command
def estimate(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, or s3://bucket/prefix.")
    ],
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="The measured milliseconds of processor time per 1,000 characters."),
    ] = None,
    text_field: TextFieldOption = "",
    as_json: JsonOption = False,
) -> None:
    """Estimate what it costs to classify files or S3 objects on AWS.

    Compares uploads, a job of S3 Batch Operations, and Amazon Comprehend. Files are read as the service would
    read them, but only the start of large tables. S3 objects are listed, and a few of them are read. Nothing
    is classified or written, and only these requests are charged. Inputs that cannot be read are reported and
    not counted.
    """
    from reviewbox.cli.estimate import show_estimate

    show_estimate(paths, _settings(text_field), rate, as_json=as_json)


@_command
def backfill(
    uri: Annotated[str, typer.Argument(metavar="URI", help="s3://bucket/prefix of the objects to classify.")],
    stack: StackOption = _STACK,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the objects, estimate the cost, and stop.")
    ] = False,
) -> None:
    """Classify objects that are already in the bucket.

    Counts the objects, estimates the cost, asks for confirmation and shows the progress. Up to 100,000
    objects are queued like new uploads. More objects, or more than two days of work, become a job of S3 Batch
    Operations. You can interrupt the command and run it again: an object with a current result costs one read
    of the result and one look-up of the object. The exit status is 1 if an object failed.
    """
    from reviewbox.cli.backfill import run_backfill

    raise typer.Exit(int(not run_backfill(uri, stack, agreed=yes, dry_run=dry_run)))


@_command
def status(
    stack: StackOption = _STACK,
    newest: Annotated[int, typer.Option(min=0, help="The number of results to read, newest first.")] = 1000,
    as_json: JsonOption = False,
) -> None:
    """Show what is waiting, in progress, done and failed.

    Results are counted by listing them. The newest are read to tell done from failed. Dead letters are shown
    and stay in their queue.
    """
    from reviewbox.cli.status import show_status

    show_status(stack, newest, as_json=as_json)


@_command
def redrive(stack: StackOption = _STACK, yes: YesOption = False) -> None:
    """Move dead letters back to their queue for another full set of attempts.

    The exit status is 1 if some remain because someone else is reading them.
    """
    from reviewbox.cli.redrive import run_redrive

    raise typer.Exit(int(not run_redrive(stack, agreed=yes)))


@_command
def evaluate(
    files: FilesArgument,
    model: ModelOption = None,
    threads: ThreadsOption = _CPUS,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labeled reviews.

    A FILE is CSV, JSON Lines or Parquet with the columns `text` and `label` (0/1, neg/pos, or negative,
    neutral, mixed and positive), or an aclImdb folder, whose test split is used. If no label is neutral or
    mixed, the model answers only positive or negative.
    """
    from reviewbox.cli.evaluate import evaluate_files

    evaluate_files(files, model, threads, as_json=as_json)


@_command
def compare(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    model_a: Annotated[
        Path, typer.Argument(metavar="MODEL_A", help="A model folder.", exists=True, file_okay=False)
    ],
    model_b: Annotated[
        Path, typer.Argument(metavar="MODEL_B", help="Another model folder.", exists=True, file_okay=False)
    ],
    files: FilesArgument,
    flips: Annotated[int, typer.Option(min=0, help="The maximum number of flipped reviews to list.")] = 20,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Also print the text of the listed reviews.")
    ] = False,
    threads: ThreadsOption = _CPUS,
    as_json: JsonOption = False,
) -> None:
    """Compare the verdicts and the speed of two models.

    A FILE is the same as for `evaluate`, but labels are optional. If only one model knows more than positive
    and negative, both answer only these two. If every review has a label, each model's accuracy is shown.
    Flips (reviews that the models label differently) are listed by file and row, with the highest scores
    first.
    """
    from reviewbox.cli.compare import compare_models, print_comparison

    comparison = compare_models(model_a, model_b, files, threads)
    print_comparison(comparison, flips, show_text=show_text, as_json=as_json)


@_command
def local(port: PortOption = 5000, template: TemplateOption = _TEMPLATE) -> None:
    """Run the whole service on this machine until Ctrl-C."""
    from reviewbox.cli.local import run_local

    run_local(port, template)


@_command
def demo(
    reviews: Annotated[
        Path, typer.Argument(help="A folder of files to upload.", exists=True, file_okay=False)
    ],
    port: PortOption = 0,
    template: TemplateOption = _TEMPLATE,
) -> None:
    """Upload the files of a folder to a local cloud and show their results."""
    from reviewbox.cli.demo import run_demo

    run_demo(reviews, port, template)


def _settings(text_field: str) -> "Settings":
    """Return the settings from the environment; `text_field` overrides theirs unless it is empty."""
    from reviewbox.settings import Settings

    settings = Settings.from_environ(os.environ)
    return replace(settings, text_field=text_field or settings.text_field)
