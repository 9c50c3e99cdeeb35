"""`reviewbox classify`: the service's own reading and judging, of files and objects, on this machine."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from rich.text import Text

from reviewbox.classification import classify_rows, read_source
from reviewbox.cli.render import console, outcome_cells, outcome_table, printable
from reviewbox.documents import Document, ReadOptions, Row
from reviewbox.documents.compression import Decompressed, compression_of, exceeds
from reviewbox.documents.detection import ENOUGH_TO_LOOK_AT, line_reader
from reviewbox.documents.document import LineReader
from reviewbox.documents.segments import SegmentedTable, cut
from reviewbox.errors import Problem, ReviewboxError, SourceError
from reviewbox.folder_storage import read_file
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.results.receipt import problem_fields, verdict_fields
from reviewbox.settings import Settings
from reviewbox.stack import aws
from reviewbox.stack.listing import is_uri, list_objects, parse_uri
from reviewbox.storage import Storage


@dataclass(frozen=True, slots=True)
class Classified:
    """One review of one file or object, and what became of it.

    Attributes:
        file: its path as given, or its URI.
        line: where it starts there, from 1.
        text: the review; "" if it could not be read.
        outcome: its verdict, or why it has none.
    """

    file: str
    line: int
    text: str
    outcome: Verdict | Problem


def classify_paths(paths: Sequence[str], model: Path, threads: int, settings: Settings) -> bool:
    """Classify and print every review of files and objects; return whether each has a verdict.

    Args:
        paths: files, folders, `s3://` URIs of objects or (with a slash at the end) of prefixes, or
            "-" for stdin.
        model: the model folder.
        threads: how many inference uses.
        settings: the service's, of which those matter that shape results.

    Raises:
        ReviewboxError: a path or URI leads to nothing that can be read, or the model cannot be loaded.
    """
    inputs = list(_inputs(paths))
    reviews = _classify(inputs, Classifier.load(model, threads=threads), settings)
    return (_print_table if sys.stdout.isatty() else _print_json_lines)(reviews, settings)


@dataclass(frozen=True, slots=True)
class _Input:
    """Something to classify.

    Attributes:
        name: for people.
        read: returns it, its body only if it is no larger than so many bytes.
        path: where it can be read more than once; None if it is no file.
    """

    name: str
    read: Callable[[int], Source]
    path: Path | None = None


def _inputs(paths: Sequence[str]) -> Iterator[_Input]:
    storage = Storage(aws.connect("s3")) if any(is_uri(path) for path in paths) else None
    for path in paths:
        if storage and is_uri(path):
            for ref in _objects(storage, path):
                yield _Input(str(ref), partial(_read_object, storage, ref))
        elif path == "-":
            yield _Input(path, _read_stdin)
        elif Path(path).is_dir():
            for file in files_below(Path(path)):
                yield _Input(printable(str(file)), partial(_read_file, str(file)), file)
        elif Path(path).exists():
            yield _Input(printable(path), partial(_read_file, path), Path(path))
        else:
            raise ReviewboxError(f"{path}: no such file or folder")


def _objects(storage: Storage, uri: str) -> Iterator[ObjectRef]:
    """Yield the object that a URI names, or those under the prefix; what is not there is told at once."""
    named = parse_uri(uri)
    found = []
    with aws.errors_at(uri):
        if named.key and not named.key.endswith("/"):
            found = [named] if storage.revision(named) else []
        else:
            found = [ObjectRef(named.bucket, item.key) for item in list_objects(storage.client, named)]
    if not found:
        raise ReviewboxError(f"{uri}: nothing there; a prefix ends with a slash")
    yield from found


def files_below(folder: Path, tell: Callable[[Path, OSError], None] | None = None) -> list[Path]:
    """Return the files below a folder in order, hidden ones left out.

    Args:
        folder: to look into.
        tell: called for what cannot be looked at, which is left out then.

    Raises:
        ReviewboxError: something cannot be looked at, and there is no `tell`.
    """
    found: list[Path] = []

    def skip(error: OSError, path: Path) -> None:
        if isinstance(error, FileNotFoundError) and path != folder:
            return  # gone since it was listed, or a link to nothing
        if tell is None:
            raise ReviewboxError(f"{printable(str(path))}: {error.strerror}") from None
        tell(path, error)

    for parent, folders, files in os.walk(folder, onerror=lambda error: skip(error, Path(error.filename))):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(parent, name)
            try:
                if not name.startswith(".") and stat.S_ISREG(path.stat().st_mode):
                    found.append(path)
            except OSError as error:
                skip(error, path)
    return sorted(found)


def _classify(inputs: Iterable[_Input], classifier: Classifier, settings: Settings) -> Iterator[Classified]:
    for each in inputs:
        try:
            document = _read(each, settings)
        except SourceError as error:
            yield Classified(each.name, 1, "", error.problem)
            continue
        for row, outcome in classify_rows(document, classifier):
            yield Classified(each.name, row.line, row.text, outcome)


def _read(each: _Input, settings: Settings) -> Document:
    """Read a source as the service does, but for its segments: a large table is read in one go.

    Raises:
        SourceError: it cannot be read.
    """
    source = each.read(settings.max_object_bytes)
    if each.path and (source.body is None or exceeds(source.body, settings.max_object_bytes)):
        with each.path.open("rb") as file:
            reader = line_reader(source.ref.key, source.content_type, file.read(ENOUGH_TO_LOOK_AT))
        if reader:
            return _read_large(each.path, reader, settings.read_options)
    return read_source(source, settings)


def _read_large(path: Path, reader: LineReader, options: ReadOptions) -> Document:
    """Read a table of lines without holding it."""
    with _content(path, options) as (stream, decompressed):
        at_end = (lambda: decompressed.problem) if decompressed else lambda: None
        table = cut(stream, reader, options, problem_at_end=at_end)
    return Document(_Rows(path, table, options), {}, table.table.table)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table, read anew at each iteration."""

    path: Path
    table: SegmentedTable
    options: ReadOptions

    def __iter__(self) -> Iterator[Row]:
        with _content(self.path, self.options) as (stream, _):
            stream.read(self.table.segments[0].start)
            for index, segment in enumerate(self.table.segments):
                yield from self.table.rows(index, stream.read(segment.end - segment.start), self.options)


@contextmanager
def _content(path: Path, options: ReadOptions) -> Iterator[tuple[BinaryIO, Decompressed | None]]:
    """Open a file, decompressed if it is compressed; yield what decompresses it, too."""
    with path.open("rb") as file:
        compression = compression_of(file.peek())
        if compression is None:
            yield file, None
            return
        decompressed = Decompressed(file, compression, options.max_bytes, is_limit=False)
        with BufferedReader(decompressed) as stream:
            yield stream, decompressed


def _read_file(path: str, max_bytes: int) -> Source:
    try:
        return read_file(Path(path), ObjectRef("", path), max_bytes)
    except OSError as error:
        raise ReviewboxError(f"{path}: {error.strerror}") from None


def _read_stdin(max_bytes: int) -> Source:
    body = sys.stdin.buffer.read()
    # No name, no type: its format is what it looks like.
    fits = len(body) <= max_bytes
    return Source(ObjectRef("", "stdin"), Revision("", ""), len(body), "", body if fits else None)


def _read_object(storage: Storage, ref: ObjectRef, max_bytes: int) -> Source:
    with aws.errors_at(str(ref)):
        source = storage.read(ref, max_bytes)
    if source is None:
        raise ReviewboxError(f"{ref}: it is gone")
    return source


def _fields(outcome: Verdict | Problem, settings: Settings) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return problem_fields(outcome)
    return verdict_fields(outcome, settings.needs_review_below)


def _print_json_lines(reviews: Iterable[Classified], settings: Settings) -> bool:
    failed = 0
    for review in reviews:
        failed += isinstance(review.outcome, Problem)
        place = {"file": review.file, "line": review.line}
        print(json.dumps(place | _fields(review.outcome, settings), ensure_ascii=False), flush=True)
    return not failed


def _print_table(reviews: Iterable[Classified], settings: Settings) -> bool:
    table = outcome_table("file", "line")
    failed = 0
    try:
        for review in reviews:
            failed += isinstance(review.outcome, Problem)
            cells = outcome_cells(_fields(review.outcome, settings), review.text)
            table.add_row(Text(review.file), str(review.line), *cells)
    finally:  # whatever ends it early, what was classified by then is not lost
        console().print(table)
    return not failed
