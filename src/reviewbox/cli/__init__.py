"""The command line. A command imports its own module only when it is called, so that help is fast."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reviewbox.cli.command import (
    ConsolePortOption,
    FilesArgument,
    FormatOption,
    JsonOption,
    ModelOption,
    PortOption,
    StackOption,
    TemplateOption,
    TextFieldOption,
    ThreadsOption,
    YesOption,
    app,
    command,
    folder_argument,
    models,
    output_option,
)
from reviewbox.cli.output import ExportFormat, Format
from reviewbox.errors import ReviewboxError

if TYPE_CHECKING:
    from reviewbox.settings import Settings


# A clone has the handlers and the template at its top level. A wheel has neither, so those of the current
# folder are used.
_CLONE = Path(__file__).parents[3]
_TEMPLATE = (_CLONE if (_CLONE / "template.yaml").is_file() else Path()) / "template.yaml"
_CPUS = os.cpu_count() or 1
_STACK = "reviewbox"  # the name in samconfig.toml
# The settings of the service that also apply to what this machine classifies.
_SETTINGS = tuple(
    f"REVIEWBOX_{name}"
    for name in ("TEXT_FIELD", "LABELS", "NEEDS_REVIEW_BELOW", "FALLBACK_ENCODING", "MAX_OBJECT_BYTES")
)

__all__ = ["app"]


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


@command
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Read files, folders, s3://bucket/key, s3://bucket/prefix/ (with the slash) or - (stdin).",
        ),
    ],
    model: ModelOption = None,
    threads: ThreadsOption = _CPUS,
    text_field: TextFieldOption = "",
    format_: FormatOption = None,
    output: Annotated[Path | None, output_option("Write to this file: .json, .jsonl or .csv.")] = None,
) -> None:
    """Classify files, folders or S3 objects.

    Prints a table on a terminal, and JSON Lines otherwise. A file is written when it is complete. The
    settings are those of the service, from the same environment variables (REVIEWBOX_TEXT_FIELD and so on).
    An input that fails does not stop the others. The exit status is 1 if a review has no verdict, and 2 if an
    input cannot be read.

    Examples:
        reviewbox classify reviews/ export.csv.gz
        reviewbox classify s3://bucket/prefix/ --output verdicts.csv
        echo "Not bad at all." | reviewbox classify -
    """
    from reviewbox.cli.classify import classify_paths

    raise typer.Exit(classify_paths(paths, model, threads, _settings(text_field), format_, output))


@command
def watch(
    folder: Annotated[Path, folder_argument("FOLDER", "Watch this folder.")],
    results: Annotated[
        Path | None,
        typer.Option(help="Write the results to this folder. [default: FOLDER-results]", file_okay=False),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Wait this many seconds between scans.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Classify the existing files, and stop.")] = False,
    model: ModelOption = None,
    threads: ThreadsOption = _CPUS,
    text_field: TextFieldOption = "",
    format_: FormatOption = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve a page that takes files and shows their results.")
    ] = False,
    console_port: ConsolePortOption = 0,
) -> None:
    """Classify the files of a folder as they arrive, until Ctrl-C.

    Results are the same as the service's, under the same names. But a table comes back in parts only if it is
    larger than REVIEWBOX_MAX_OBJECT_BYTES. A file is classified when two scans in a row find it unchanged.
    A file with a current result is not classified again. The settings are those of the service, from the same
    environment variables (REVIEWBOX_TEXT_FIELD and so on). With `--format`, a row for each file is printed
    once it is done. With `--once`, the exit status is 1 if a file got no result.

    Examples:
        reviewbox watch inbox
        reviewbox watch inbox --once
        reviewbox watch inbox --serve
        reviewbox watch inbox --once --format jsonl
        reviewbox watch inbox --results outbox --text-field comment
    """
    from reviewbox.cli.loading import load_model
    from reviewbox.cli.watch import run_watch

    if once and serve:
        raise ReviewboxError("--once and --serve cannot be combined; pass only one of them")
    settings = _settings(text_field)
    is_complete = run_watch(
        folder,
        results,
        interval,
        load_model(model, threads, two_labels=settings.two_labels),
        settings,
        format_ or Format.TABLE,
        once=once,
        console_port=console_port if serve else None,
    )
    raise typer.Exit(int(not is_complete))


@command
def report(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="A receipt, a classified table, a folder, or s3://bucket/prefix."
        ),
    ],
    output: Annotated[Path, output_option("The page to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="The heading of the page. [default: the name of PATH]")] = "",
    by: Annotated[
        list[str] | None, typer.Option(help="Also compare by this column; may be repeated.")
    ] = None,
    rating: Annotated[
        str, typer.Option(help="The column with the rating. [default: found by its name]")
    ] = "",
    date: Annotated[str, typer.Option(help="The column with the date. [default: found by its values]")] = "",
    redact: Annotated[bool, typer.Option("--redact", help="Leave out the texts of reviews.")] = False,
    sources: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the classified files, if it is not beside the results.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    sentences: Annotated[
        int, typer.Option(min=0, help="Classify up to this many sentences one by one, to show what they say.")
    ] = 5000,
    model: ModelOption = None,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one HTML page from results.

    It shows shares, differences, what people praise and blame, and what to read.

    The results are what `watch` or the service wrote. The page needs no network, and may hold a million
    reviews: it has counts of all and a random sample. With `--redact` it holds no texts and can be shared.
    With `--format`, the counts are also printed.

    Examples:
        reviewbox report inbox-results -o report.html
        reviewbox report s3://bucket/results/ --by product --redact
    """
    from reviewbox.cli.report import run_report
    from reviewbox.report import ReportOptions

    options = ReportOptions(
        title=title or (Path(path).resolve().name if Path(path).exists() else path),
        by=by or (),
        rating=rating,
        date=date,
        is_redacted=redact,
        scored_sentences=sentences,
    )
    run_report(path, output, options, sources, model, _settings(""), _report_format(format_, as_json))


@command
def results(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="Read a folder of results, one result, or s3://bucket/results/."),
    ],
    format_: Annotated[
        ExportFormat | None, typer.Option("--format", help="Print or write the rows in this format.")
    ] = None,
    output: Annotated[
        Path | None, output_option("Write to this file: .csv, .json, .jsonl or .parquet.")
    ] = None,
) -> None:
    """Print or export the rows of many results as one table.

    Each row has the key of its source, its line there, the verdict or error, and the columns of its table.
    Prints a table on a terminal, and CSV otherwise. Parquet needs `reviewbox[parquet]`.

    Examples:
        reviewbox results inbox-results
        reviewbox results inbox-results/reviews.csv.json --format jsonl
        reviewbox results s3://bucket/results/ --output results.parquet
    """
    from reviewbox.cli.results import show_results

    show_results(path, _settings(""), format_, output)


@command
def catalog(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Read a folder of results, or s3://bucket/results/.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PLACE", help="Write to this folder, or s3://bucket/catalog/results/."
        ),
    ],
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy all results as Parquet, by date of upload.

    The layout is that of a stack with `Catalog=true`, so this also adds older results to a stack's catalog.
    Run it again to copy what is new, and to remove what is gone.

    Examples:
        reviewbox catalog inbox-results --output inbox-catalog
        reviewbox catalog s3://bucket/results/ --output s3://bucket/catalog/results/
    """
    from reviewbox.cli.catalog import run_catalog

    if not run_catalog(path, output, _settings(""), _report_format(format_, as_json)):
        raise typer.Exit(1)


@command
def estimate(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Read files, folders, or s3://bucket/prefix.")
    ],
    rate: Annotated[
        float | None,
        typer.Option(min=0, help="Assume this many milliseconds of processor time per 1,000 characters."),
    ] = None,
    text_field: TextFieldOption = "",
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate what it costs to classify files or S3 objects on AWS.

    Compares uploads, a job of S3 Batch Operations, and Amazon Comprehend. Files are read as the service would
    read them, but only the start of large tables. S3 objects are listed, and a few of them are read. Nothing
    is classified or written, and only these requests are charged. Inputs that cannot be read are reported and
    not counted.

    Examples:
        reviewbox estimate reviews/ export.csv.gz
        reviewbox estimate s3://bucket/prefix/ --format csv
    """
    from reviewbox.cli.estimate import show_estimate

    show_estimate(paths, _settings(text_field), rate, _report_format(format_, as_json))


@command
def backfill(
    uri: Annotated[str, typer.Argument(metavar="URI", help="Classify the objects under s3://bucket/prefix.")],
    stack: StackOption = _STACK,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the objects, estimate the cost, and stop.")
    ] = False,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify objects that are already in the bucket.

    Counts the objects, estimates the cost, asks for confirmation and shows the progress. Up to 100,000
    objects are queued like new uploads. More objects, or more than two days of work, run as an S3 Batch
    Operations job. If you interrupt the command, run it again: an object with a current result is not
    classified again, and takes two requests. The exit status is 1 if an object failed.

    Examples:
        reviewbox backfill s3://bucket/incoming/2024/ --dry-run --format json
        reviewbox backfill s3://bucket/incoming/ --yes
    """
    from reviewbox.cli.backfill import run_backfill

    format_ = _report_format(format_, as_json)
    raise typer.Exit(int(not run_backfill(uri, stack, format_, agreed=yes, dry_run=dry_run)))


@command
def status(
    stack: StackOption = _STACK,
    newest: Annotated[int, typer.Option(min=0, help="Read this many results, the newest first.")] = 1000,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is waiting, in progress, done and failed.

    Results are counted by listing them. The newest are read to find out which are done and which failed. Dead
    letters are shown and stay in their queue.

    Examples:
        reviewbox status
        reviewbox status --stack reviewbox --newest 100 --format json
    """
    from reviewbox.cli.status import show_status

    show_status(stack, newest, _report_format(format_, as_json))


@command
def redrive(
    stack: StackOption = _STACK,
    yes: YesOption = False,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retry the dead letters.

    They move back to their queue for another full set of attempts. The exit status is 1 if some remain
    because someone else is reading them.

    Examples:
        reviewbox redrive
        reviewbox redrive --stack reviewbox --yes
    """
    from reviewbox.cli.redrive import run_redrive

    raise typer.Exit(int(not run_redrive(stack, _report_format(format_, as_json), agreed=yes)))


@command
def doctor(
    stack: StackOption = _STACK,
    model: ModelOption = None,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the installation and a stack, and say how to fix what is wrong.

    Checks Python, the model, credentials, buckets, the notification or rule, queues, the function, its
    permissions and its last errors. Nothing is changed. Without AWS, the checks of the stack are skipped. The
    exit status is 1 if a check failed.

    Examples:
        reviewbox doctor
        reviewbox doctor --stack reviewbox --format json
    """
    from reviewbox.cli.doctor import run_doctor

    raise typer.Exit(int(not run_doctor(stack, model, _report_format(format_, as_json))))


@command
def evaluate(
    files: FilesArgument,
    model: ModelOption = None,
    threads: ThreadsOption = _CPUS,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model on labeled reviews.

    A FILE is CSV, JSON Lines or Parquet with the columns `text` and `label` (0/1, neg/pos, or negative,
    neutral, mixed and positive), or an aclImdb folder, whose test split is used. If no label is neutral or
    mixed, the model answers only positive or negative.

    Examples:
        reviewbox evaluate labeled.csv
        reviewbox evaluate labeled.csv --model candidate/ --format json
    """
    from reviewbox.cli.evaluate import evaluate_files

    evaluate_files(files, model, threads, _report_format(format_, as_json))


@command
def compare(
    model_a: Annotated[Path, folder_argument("MODEL_A", "Compare the model in this folder.")],
    model_b: Annotated[Path, folder_argument("MODEL_B", "Compare it with the model in this folder.")],
    files: FilesArgument,
    flips: Annotated[int, typer.Option(min=0, help="List at most this many flipped reviews.")] = 20,
    show_text: Annotated[
        bool, typer.Option("--show-text", help="Also print the text of the listed reviews.")
    ] = False,
    threads: ThreadsOption = _CPUS,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the verdicts and the speed of two models.

    A FILE is any file or folder that `classify` reads, or one with labels as for `evaluate`. If only one
    model knows more than positive and negative, both answer only these two. If every review has a label, each
    model's accuracy is shown. Flips (reviews that the models label differently) are listed by file and row,
    with the highest scores first.

    Examples:
        reviewbox compare model/ candidate/ reviews.csv
        reviewbox compare model/ candidate/ reviews.csv --flips 100 --format csv
    """
    from reviewbox.cli.compare import compare_models, print_comparison

    comparison = compare_models(model_a, model_b, files, threads, _settings(""))
    print_comparison(comparison, flips, _report_format(format_, as_json), show_text=show_text)


@partial(command, group=models, name="check")
def model_check(
    folder: Annotated[Path, folder_argument("DIR", "Check the model in this folder.")],
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model is, and whether it suits the service.

    Shows its kind, labels, languages, speed, size and memory, whether its scores depend on other reviews,
    whether it fits into Lambda, and what `bundle.json` would add. The speed is that of this machine. The exit
    status is 1 if the service cannot use the model.

    Examples:
        reviewbox model check model/
        reviewbox model check candidate/ --format json
    """
    from reviewbox.cli.model_check import check_model

    raise typer.Exit(int(not check_model(folder, _report_format(format_, as_json))))


@command
def local(
    port: PortOption = 5000,
    console_port: ConsolePortOption = 0,
    text_field: TextFieldOption = "",
    template: TemplateOption = _TEMPLATE,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole service on this machine until Ctrl-C.

    Prints the address of a page that takes files, shows their progress and results, and opens the report.
    Only this machine can reach it. The settings are those of the template, or of the same environment
    variables as for `classify`. With `--format`, the addresses and prefixes are printed as one row.

    Examples:
        reviewbox local
        reviewbox local --port 5001 --console-port 8080
        reviewbox local --text-field comment
    """
    from reviewbox.cli.local import run_local

    run_local(port, console_port, template, _variables(text_field), _report_format(format_, as_json))


@command
def demo(
    reviews: Annotated[Path, folder_argument("FOLDER", "Upload the files of this folder.")],
    port: PortOption = 0,
    text_field: TextFieldOption = "",
    template: TemplateOption = _TEMPLATE,
    report: Annotated[Path, typer.Option(help="The page to write about the results.", dir_okay=False)] = Path(
        "build/report.html"
    ),
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the cloud and its console running until Ctrl-C.")
    ] = False,
    format_: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Classify the files of a folder in a local cloud and report on them.

    Prints the address of a page that shows the progress, a table of the results, and the report's name.

    Examples:
        reviewbox demo reviews/
        reviewbox demo reviews/ --stay
        reviewbox demo reviews/ --text-field comment
    """
    from reviewbox.cli.demo import run_demo

    format_ = _report_format(format_, as_json)
    run_demo(reviews, port, template, report, _variables(text_field), format_, stay=stay)


def _report_format(format_: Format | None, as_json: bool) -> Format:
    if format_ and as_json and format_ is not Format.JSON:
        raise ReviewboxError(f"--json and --format {format_} cannot be combined; pass only one of them")
    return Format.JSON if as_json else format_ or Format.TABLE


def _settings(text_field: str) -> "Settings":
    """Return the settings from the environment; `text_field` overrides theirs unless it is empty."""
    from reviewbox.settings import Settings

    settings = Settings.from_environ(os.environ)
    return replace(settings, text_field=text_field or settings.text_field)


def _variables(text_field: str) -> dict[str, str]:
    """Return the environment variables with settings that replace those of the template in a local cloud."""
    given = {name: value for name in _SETTINGS if (value := os.environ.get(name)) is not None}
    return {**given, **({"REVIEWBOX_TEXT_FIELD": text_field} if text_field else {})}
