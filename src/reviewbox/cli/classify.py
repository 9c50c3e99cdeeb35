"""`reviewbox classify`: classifies files and objects on this machine, as the service does."""

import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reviewbox.classification import classify_rows, internal_error
from reviewbox.cli.inputs import Input, find_inputs, open_document, track_inputs
from reviewbox.cli.loading import load_model
from reviewbox.cli.output import Format, format_of, open_output, write_rows
from reviewbox.cli.render import cell, new_terminal, print_line, print_plain, verdict_cells, verdict_table
from reviewbox.errors import ErrorCode, ReviewboxError, SourceError, contain
from reviewbox.model.classifier import Classifier
from reviewbox.results.added_fields import Tally
from reviewbox.results.doubt import doubt_in, inferred_field, with_doubt
from reviewbox.results.receipt import outcome_fields, problem_fields
from reviewbox.settings import Settings
from reviewbox.wording import for_command_line


@dataclass(frozen=True, slots=True)
class Classified:
    """A review in a file or object, with its verdict or the reason why there is none."""

    file: str  # the path as it was given, or the URI
    line: int  # the number of the review's first line, from 1
    text: str  # "" if it could not be read
    fields: Mapping[str, Any]  # as results show them


_MAX_FIELDS = 10  # the most tables whose review field is printed

# The columns of CSV. Only JSON has the evidence and all scores.
_COLUMNS = "file line sentiment score needs_review other_language error_code error_message".split()


def classify_paths(
    paths: Sequence[str],
    model: Path | None,
    threads: int,
    settings: Settings,
    format_: Format | None = None,
    output: Path | None = None,
) -> int:
    """Classify every review in files and objects, print it or write it to a file; return the exit status.

    It is 2 if an input could not be read, 1 if a review has no verdict, and 0 otherwise. An input that fails
    is reported and does not stop the others. A path is a file, a folder, the `s3://` URI of an object or
    (with a trailing slash) of a prefix, or "-" for stdin. Without a format, the name of `output` selects it;
    without either, a terminal gets a table and a pipe JSON Lines.

    Raises:
        ReviewboxError: a path or URI does not exist, the model cannot be loaded, or the file cannot be
            written or is one of those to read.
    """
    is_terminal = output is None and sys.stdout.isatty()
    if format_ is None:
        format_ = format_of(output, Format) if output else Format.TABLE if is_terminal else Format.JSONL
    if output and format_ is Format.TABLE:
        raise ReviewboxError("a table is for the terminal; for a file, choose --format json, jsonl or csv")
    inputs = list(find_inputs(paths, output))
    run = _Run(load_model(model, threads, two_labels=settings.two_labels), settings)
    # Rows that are printed on the terminal show the progress themselves.
    reviews = run.classify(inputs, hides_progress=is_terminal and format_ is not Format.TABLE)
    if format_ is Format.TABLE:
        _print_table(reviews, settings)
    else:
        with open_output(output) as file:
            write_rows(_rows(reviews), file, format_, _COLUMNS)
    if format_ is Format.TABLE or (output and sys.stdout.isatty()):
        _print_fields(run.text_fields)
    for name, doubt in run.doubts.items():
        if doubt:
            print_plain(f"reviewbox: {name}: {for_command_line(doubt)}", to_stderr=True)
    return 2 if run.has_unreadable else int(run.failed > 0)


@dataclass(slots=True)
class _Run:
    """Classifies inputs, and collects failures, inferred fields and doubts."""

    classifier: Classifier
    settings: Settings
    failed: int = 0  # reviews without a verdict
    has_unreadable: bool = False  # whether an input could not be read
    text_fields: dict[str, str] = field(default_factory=dict)  # inferred ones, by the names of their tables
    doubts: dict[str, str] = field(default_factory=dict)  # about these fields, once they are classified

    def classify(self, inputs: Sequence[Input], *, hides_progress: bool) -> Iterator[Classified]:
        for item in track_inputs(inputs, "Classifying", disable=hides_progress):
            for review in self._classify_input(item):
                self.failed += "error_code" in review.fields
                yield review

    def _classify_input(self, item: Input) -> Iterator[Classified]:
        try:
            with open_document(item, self.settings) as opened:
                document = opened.document
                tally = Tally()
                for row, outcome in classify_rows(document, self.classifier, item.on_share):
                    if outcome is not None:
                        fields = outcome_fields(outcome, self.settings.needs_review_below)
                        tally.add(fields)
                        yield Classified(item.name, row.line, row.text, fields)
                notes = with_doubt(document.notes(), tally.counts, self.classifier.answers.labels)
                if document.table and (text_field := inferred_field(notes)):
                    self.text_fields[item.name], self.doubts[item.name] = text_field, doubt_in(notes)
        except SourceError as error:
            if error.problem.code is ErrorCode.INTERNAL_ERROR:
                _print_fault(item, error.__cause__ or error)
            yield Classified(item.name, 1, "", problem_fields(error.problem))
        except ModuleNotFoundError:
            raise  # the caller names the extra to install
        except ReviewboxError as error:
            print_plain(f"reviewbox: {error}", to_stderr=True)
            self.has_unreadable = True
        except BaseException as error:  # noqa: BLE001 - one file's failure must not affect other files
            fault = contain(error)
            _print_fault(item, fault)
            yield Classified(item.name, 1, "", problem_fields(internal_error(fault).problem))


def _print_fault(item: Input, fault: BaseException) -> None:
    """Print where a fault occurred, without its message, which could quote a review."""
    frames = "".join(traceback.format_tb(fault.__traceback__)).rstrip()
    place = (
        f"reviewbox: {item.name}: {type(fault).__name__} is a bug in Reviewbox; report it with these lines:"
    )
    print_plain(f"{place}\n{frames}", to_stderr=True)


def _rows(reviews: Iterable[Classified]) -> Iterator[dict[str, Any]]:
    for review in reviews:
        yield {"file": review.file, "line": review.line, **review.fields}


def _print_fields(text_fields: Mapping[str, str]) -> None:
    """Print which field of each table was read, because it is inferred."""
    for name, text_field in list(text_fields.items())[:_MAX_FIELDS]:
        line = f"{name}: the reviews are in `{text_field}`; --text-field selects another field."
        print_line(new_terminal(), line)
    if len(text_fields) > _MAX_FIELDS:
        print_line(new_terminal(), f"{len(text_fields) - _MAX_FIELDS:,} more tables.")


def _print_table(reviews: Iterable[Classified], settings: Settings) -> None:
    table = verdict_table("file", "line")
    has_uncertain = False
    try:
        for review in reviews:
            fields = dict(review.fields)
            if "error_code" in fields:
                fields["error_message"] = for_command_line(fields["error_message"])
            has_uncertain |= fields.get("needs_review") is True
            table.add_row(cell(review.file), str(review.line), *verdict_cells(fields, review.text))
    finally:  # print the reviews that were classified even if an error or Ctrl-C ends the loop
        new_terminal().print(table)
        if has_uncertain:
            reason = (
                f"the score is below {settings.needs_review_below:g}, or the model does not know the language"
            )
            print_line(new_terminal(), f"?: needs review, because {reason}")
