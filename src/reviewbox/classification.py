"""A document -> its rows, classified; for a table, as they are written back."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO

from reviewbox.documents import Document, Row, read_document
from reviewbox.errors import ErrorCode, OutOfTimeError, Problem, SourceError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import ObjectRef, Source
from reviewbox.results.receipt import Counts
from reviewbox.results.table_writer import TableWriter
from reviewbox.settings import Settings

# What must be left of an invocation's time to classify some more reviews and write the result.
SPARE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class ClassifiedTable:
    """A table, or a segment of one, as it is written back.

    Attributes:
        body: its bytes.
        counts: of its rows.
    """

    body: bytes
    counts: Counts


def read_source(source: Source, settings: Settings) -> Document:
    """Read a source as the document that it is.

    Raises:
        SourceError: it is too large, or none that can be read.
    """
    if source.body is None:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the object has {source.size:,} bytes and the setting MAX_OBJECT_BYTES allows "
            f"{settings.max_object_bytes:,}: split it, or raise the setting",
        )
    return read_document(source.ref.key, source.content_type, source.body, settings.read_options)


def classify_rows(
    document: Document, classifier: Classifier, before_run: Callable[[], None] = lambda: None
) -> Iterator[tuple[Row, Verdict | Problem]]:
    """Yield each row of a document with its verdict, or why it has none.

    A table has no place for evidence, so none is looked for. `before_run` is called many times a
    second while reviews are classified, and may raise to end that.
    """
    texts = (row.text for row in document.rows if row.problem is None)
    outcomes = classifier.classify_each(texts, explain=document.table is None, before_run=before_run)
    for row in document.rows:
        outcome = row.problem or next(outcomes)
        if isinstance(outcome, Problem) and document.table and row.problem is None:
            outcome = replace(outcome, message=f"line {row.line}: {outcome.message}")
        yield row, outcome


def classify_table(
    document: Document, classifier: Classifier, settings: Settings, before_run: Callable[[], None]
) -> ClassifiedTable:
    """Return the table that a document is, with what was found; see `classify_rows`."""
    if document.table is None:
        raise ValueError("the document is a single review")
    writer = TableWriter(document.table, settings.needs_review_below)
    content = BytesIO()
    content.write(_encoded(writer.header))
    for row, verdict in classify_rows(document, classifier, before_run):
        content.write(_encoded(writer.render(row, verdict)))
    return ClassifiedTable(document.table.compress(content.getvalue()), writer.counts)


def time_check(ref: ObjectRef, remaining_seconds: Callable[[], float]) -> Callable[[], None]:
    """Return what raises OutOfTimeError once too little time is left to go on with an object."""

    def check() -> None:
        if remaining_seconds() < SPARE_SECONDS:
            raise OutOfTimeError(
                f"{ref} needs more time than the function has: split it, or raise the timeout"
            )

    return check


def _encoded(text: str) -> bytes:
    # Halves of characters, which UTF-8 cannot hold, stay legible.
    return text.encode("utf-8", "backslashreplace")
