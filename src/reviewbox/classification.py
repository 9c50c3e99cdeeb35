"""Classifies the rows of a document and, for a table, renders the result."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from reviewbox.documents import BinaryTable, Document, Row, Step, Table, read_document
from reviewbox.errors import ErrorCode, Problem, ReviewboxError, SourceError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import Source
from reviewbox.results.added_fields import AddedFields
from reviewbox.results.receipt import Counts
from reviewbox.settings import Settings

# A chunk of rows fills one pool of the classifier. The second limit is for rows that are large only in their
# other fields. Both are in characters.
_CHUNK_TEXT = 50_000
_CHUNK_RAW = 4_000_000


# What a reader with a bug raises. Storage and AWS raise other errors, which are worth a retry.
_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    csv.Error,
)


@dataclass(frozen=True, slots=True)
class RenderedTable:
    """A classified table, or a segment of one: the bytes to store, and the counts of its rows."""

    body: bytes
    counts: Counts


def read_source(
    source: Source,
    settings: Settings,
    check_time: Callable[[], None] = lambda: None,
    on_step: Callable[[Step], object] = lambda _: None,
) -> Document:
    """Return the document in a source.

    `check_time` is called repeatedly while the source and then its rows are read. If it raises, the work
    stops. For `on_step`, see `ReadOptions`.

    Raises:
        SourceError: the source is too large or cannot be parsed. Reading its rows may also raise it.
    """
    if source.body is None:
        raise SourceError(
            ErrorCode.TOO_LARGE,
            f"the object has {source.size:,} bytes, but MAX_OBJECT_BYTES allows "
            f"{settings.max_object_bytes:,}; split it, save a workbook as CSV, or raise MAX_OBJECT_BYTES",
        )
    with faults_as_source_errors((Exception,)):  # no request is made here that could fail
        options = replace(settings.read_options, check_time=check_time, on_step=on_step)
        document = read_document(source.ref.key, source.content_type, source.body, options)
    return replace(document, rows=guarded(document.rows))


@contextmanager
def faults_as_source_errors(faults: tuple[type[Exception], ...] = _FAULTS) -> Iterator[None]:
    """Raise SourceError if a reader fails with an unexpected exception, which is one of `faults`."""
    try:
        yield
    except (ReviewboxError, MemoryError):
        raise
    except faults as error:
        raise internal_error(error) from error


def internal_error(fault: Exception) -> SourceError:
    """Return the error of a source that cannot be processed because of a bug in Reviewbox.

    Another attempt would fail in the same way. The exception's own message could quote a review.
    """
    message = f"a bug in Reviewbox ({type(fault).__name__}) stopped the work on this file; report it"
    return SourceError(ErrorCode.INTERNAL_ERROR, message)


def classify_rows(
    document: Document, classifier: Classifier, before_run: Callable[[float], object] = lambda _: None
) -> Iterator[tuple[Row, Verdict | Problem | None]]:
    """Yield each row of a document with its verdict, or the reason why it has none, in bounded memory.

    A row that is not a review has neither. Evidence is computed only for single reviews: a table has no place
    for it. `before_run` is called several times a second during inference, with the share of the document
    that is done, from 0 to 1; if it raises, the work stops.

    Raises:
        SourceError: the document turns out to be invalid after its first rows.
    """
    for chunk in _chunks(document):
        before_run(chunk.start)
        yield from _classify_chunk(chunk, document.table, classifier, before_run)


def classify_table(
    document: Document, classifier: Classifier, settings: Settings, before_run: Callable[[float], object]
) -> RenderedTable:
    """Return a table with the verdicts added to its rows. Raises the errors of `classify_rows`.

    A binary table is written after all its rows are classified, which may also raise SourceError.
    """
    table = document.table
    if table is None:
        raise ValueError("the document is a single review")
    added = AddedFields(table, settings.needs_review_below)
    writer = table.open_writer(added.names)
    for row, outcome in classify_rows(document, classifier, before_run):
        try:
            writer.write(row, added.values(row, outcome))
        except _FAULTS as error:
            raise internal_error(error) from error
    return RenderedTable(table.compress(writer.finish()), added.counts)


def guarded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows; raise SourceError if their reader fails with an unexpected exception."""
    with faults_as_source_errors((Exception,)):
        yield from rows


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some rows of a document, and the shares of it that come before their start and before their end."""

    rows: Sequence[Row]
    start: float
    end: float


def _chunks(document: Document) -> Iterator[_Chunk]:
    rows: list[Row] = []
    text = raw = 0
    start = share = 0.0
    for row, share in document.rows_with_shares():
        rows.append(row)
        # A row without text also takes memory.
        text += len(row.text) + 1
        raw += len(row.raw)
        if text >= _CHUNK_TEXT or raw >= _CHUNK_RAW:
            yield _Chunk(rows, start, share)
            rows, text, raw, start = [], 0, 0, share
    if rows:
        yield _Chunk(rows, start, share)


def _classify_chunk(
    chunk: _Chunk,
    table: Table | BinaryTable | None,
    classifier: Classifier,
    before_run: Callable[[float], object],
) -> Iterator[tuple[Row, Verdict | Problem | None]]:
    texts = [row.text for row in chunk.rows if row.problem is None and not row.is_passthrough]

    def before_run_on_texts(done: float) -> None:
        before_run(chunk.start + (chunk.end - chunk.start) * done / len(texts))

    outcomes = classifier.classify_each(texts, explain=table is None, before_run=before_run_on_texts)
    unit = "row" if isinstance(table, BinaryTable) else "line"
    for row in chunk.rows:
        if row.is_passthrough:
            yield row, None
            continue
        outcome = row.problem or next(outcomes)
        if isinstance(outcome, Problem) and table and row.problem is None:
            outcome = replace(outcome, message=f"{unit} {row.line}: {outcome.message}")
        yield row, outcome
