"""`reviewbox classify`: classifies files and objects on this machine, as the service does."""

import os
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any

from reviewbox.classification import classify_rows, internal_error, read_source
from reviewbox.cli.output import Format, Row, check_output, format_of, open_output, write_rows
from reviewbox.cli.progress import progress_bar
from reviewbox.cli.render import (
    cell,
    new_terminal,
    print_line,
    print_plain,
    printable,
    verdict_cells,
    verdict_table,
)
from reviewbox.documents import Document
from reviewbox.documents.compression import exceeds, stem
from reviewbox.documents.detection import SNIFF_BYTES, read_stream
from reviewbox.documents.unsupported import is_parquet
from reviewbox.errors import ErrorCode, Problem, ReviewboxError, SourceError
from reviewbox.folder_storage import read_file
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.results.receipt import problem_fields, verdict_fields
from reviewbox.settings import Settings
from reviewbox.stack.listing import is_uri
from reviewbox.tool_files import is_tool_file
from reviewbox.wording import for_command_line


@dataclass(frozen=True, slots=True)
class Classified:
    """A review in a file or object, and its verdict or the reason why there is none."""

    file: str  # the path as it was given, or the URI
    line: int  # the number of the review's first line, from 1
    text: str  # "" if it could not be read
    outcome: Verdict | Problem
    size: int = 0  # of its row in the source, in characters; 0 if it is not a row of text


_MAX_FIELDS = 10  # tables of which the field is printed

# The columns of CSV. Only JSON has the evidence and all scores.
_COLUMNS = "file line sentiment score needs_review other_language error_code error_message".split()


def classify_paths(  # noqa: PLR0913, PLR0917 - a command's options are its arguments
    paths: Sequence[str],
    model: Path | None,
    threads: int,
    settings: Settings,
    format_: Format | None = None,
    output: Path | None = None,
) -> int:
    """Classify every review in files and objects, print it or write it to a file; return the exit status.

    It is 2 if an input could not be read, 1 if a review has no verdict, and else 0. An input that fails is
    reported, and the others are classified all the same. A path is a file, a folder, the `s3://` URI of an
    object or (with a trailing slash) of a prefix, or "-" for stdin. Without a format, the name of `output`
    decides; without both, a terminal gets a table and a pipe JSON Lines.

    Raises:
        ReviewboxError: a path or URI does not exist, the model cannot be loaded, or the file cannot be
            written or is one of those to read.
    """
    is_terminal = output is None and sys.stdout.isatty()
    if format_ is None:
        format_ = format_of(output) if output else Format.TABLE if is_terminal else Format.JSONL
    if output and format_ is Format.TABLE:
        raise ReviewboxError("a table is for the terminal; for a file, choose --format json, jsonl or csv")
    inputs = list(_inputs(paths, output))
    run = _Run(Classifier.load(model, threads=threads, two_labels=settings.two_labels), settings)
    # Rows that are printed on the terminal show the progress themselves.
    reviews = run.classify(inputs, hides_progress=is_terminal and format_ is not Format.TABLE)
    if format_ is Format.TABLE:
        _print_table(reviews, settings)
        _print_fields(inputs)
    else:
        with open_output(output) as file:
            write_rows(_rows(reviews, settings), file, format_, _COLUMNS)
    return 2 if run.has_unreadable else int(run.failed > 0)


@dataclass(slots=True)
class _Input:
    """A file or object to classify."""

    name: str  # as it is printed
    read: Callable[[int], Source]  # the body is None if it is larger than the given number of bytes
    open: Callable[[Source], AbstractContextManager[IO[bytes]]] | None = None  # None for stdin
    kilobytes: float = 1.0  # as it is stored; a guess if it is not a file
    text_field: str = ""  # of a table, once it is read


def _inputs(paths: Sequence[str], output: Path | None) -> Iterator[_Input]:
    for path in paths:
        if is_uri(path):
            yield from _objects(path)
        elif path == "-":
            yield _Input(path, _read_stdin)
        elif Path(path).is_dir():
            files = files_below(Path(path))
            if not files:
                yield _Input(printable(path), partial(_refuse_empty_folder, path))
            for file in files:
                yield _file_input(str(file), output)
        elif Path(path).exists():
            yield _file_input(path, output)
        else:
            raise ReviewboxError(f"{path}: no such file or folder")


def _objects(uri: str) -> Iterator[_Input]:
    from reviewbox.cli.s3_sources import connect, find_objects, open_object, read_object

    storage = connect()
    for ref in find_objects(storage, uri):
        yield _Input(str(ref), partial(read_object, storage, ref), partial(open_object, storage))


def _file_input(path: str, output: Path | None) -> _Input:
    check_output(output, path)
    return _Input(printable(path), partial(_read_file, path), _open_file, _kilobytes(Path(path)))


def _kilobytes(path: Path) -> float:
    with suppress(OSError):  # reading it reports the error
        return path.stat().st_size / 1000
    return 0.0


def files_below(folder: Path, on_error: Callable[[Path, OSError], None] | None = None) -> list[Path]:
    """Return the files below a folder, sorted, without hidden ones and those that tools leave behind.

    `on_error` is called for each file and folder that cannot be accessed. It is left out.

    Raises:
        ReviewboxError: a file or folder cannot be accessed, and there is no `on_error`.
    """
    found: list[Path] = []

    def handle(error: OSError, path: Path) -> None:
        if isinstance(error, FileNotFoundError) and path != folder:
            return  # removed since it was listed, or a dangling link
        if on_error is None:
            raise ReviewboxError(f"{printable(str(path))}: {error.strerror}") from None
        on_error(path, error)

    for parent, folders, files in os.walk(folder, onerror=lambda error: handle(error, Path(error.filename))):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(parent, name)
            try:
                is_source = not name.startswith(".") and not is_tool_file(path.relative_to(folder).as_posix())
                if is_source and stat.S_ISREG(path.stat().st_mode):
                    found.append(path)
            except OSError as error:
                handle(error, path)
    return sorted(found)


@dataclass(slots=True)
class _Run:
    """Classifies inputs, and remembers how that went."""

    classifier: Classifier
    settings: Settings
    failed: int = 0  # reviews without a verdict
    has_unreadable: bool = False  # whether an input could not be read

    def classify(self, inputs: Sequence[_Input], *, hides_progress: bool) -> Iterator[Classified]:
        total = sum(item.kilobytes for item in inputs)
        with progress_bar("Classifying (kB)", total, disable=hides_progress) as update:
            done = 0.0
            for item in inputs:
                # How far the work on a compressed file is cannot be seen from its rows.
                scale = 0 if stem(item.name) != item.name else 1 / 1000
                for review in self._classify_input(item):
                    update(advance=scale * review.size)
                    self.failed += isinstance(review.outcome, Problem)
                    yield review
                done += item.kilobytes
                update(completed=done)

    def _classify_input(self, item: _Input) -> Iterator[Classified]:
        try:
            with ExitStack() as open_files:
                document = _read(item, self.settings, open_files)
                for row, outcome in classify_rows(document, self.classifier):
                    if outcome is not None:
                        yield Classified(item.name, row.line, row.text, outcome, len(row.raw))
                if document.table:
                    item.text_field = str(document.notes().get("text_field") or "")
        except SourceError as error:
            if error.problem.code is ErrorCode.INTERNAL_ERROR:
                _print_fault(item, error.__cause__ or error)
            yield Classified(item.name, 1, "", error.problem)
        except ModuleNotFoundError:
            raise  # the caller names the extra to install
        except ReviewboxError as error:
            print_plain(f"reviewbox: {error}", to_stderr=True)
            self.has_unreadable = True
        except Exception as error:  # noqa: BLE001 - a fault at one file must not stop the others
            _print_fault(item, error)
            yield Classified(item.name, 1, "", internal_error(error).problem)


def _print_fault(item: _Input, fault: BaseException) -> None:
    """Print where a fault occurred, without its message, which could quote a review."""
    frames = "".join(traceback.format_tb(fault.__traceback__)).rstrip()
    place = f"reviewbox: {item.name}: {type(fault).__name__} is a fault of Reviewbox; report it with this:"
    print_plain(f"{place}\n{frames}", to_stderr=True)


def _read(item: _Input, settings: Settings, open_files: ExitStack) -> Document:
    """Parse a source as the service does. A large table or a Parquet file is streamed, not split.

    Raises:
        SourceError: the source cannot be parsed.
    """
    source = item.read(settings.max_object_bytes)
    body = source.body
    if body is None and item.open:
        file: Any = open_files.enter_context(item.open(source))
    elif body is not None and (exceeds(body, settings.max_object_bytes) or is_parquet(body)):
        file = BytesIO(body)
    else:
        return read_source(source, settings)
    stored = open_files.enter_context(BufferedReader(file, SNIFF_BYTES))
    document = read_stream(source.ref.key, source.content_type, stored, settings.read_options)
    return document or read_source(source, settings)


def _open_file(source: Source) -> IO[bytes]:
    return Path(source.ref.key).open("rb", buffering=0)


def _refuse_empty_folder(path: str, _max_bytes: int) -> Source:
    raise ReviewboxError(f"{path}: there are no files in this folder")


def _read_file(path: str, max_bytes: int) -> Source:
    try:
        return read_file(Path(path), ObjectRef("", path), max_bytes)
    except OSError as error:
        raise ReviewboxError(f"{path}: {error.strerror}") from None


def _read_stdin(max_bytes: int) -> Source:
    body = sys.stdin.buffer.read()
    # Without a name or a content type, the first bytes decide the format.
    fits = len(body) <= max_bytes
    return Source(ObjectRef("", "stdin"), Revision("", ""), len(body), "", body if fits else None)


def _fields(outcome: Verdict | Problem, settings: Settings) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return problem_fields(outcome)
    return verdict_fields(outcome, settings.needs_review_below)


def _rows(reviews: Iterable[Classified], settings: Settings) -> Iterator[Row]:
    for review in reviews:
        yield {"file": review.file, "line": review.line, **_fields(review.outcome, settings)}


def _print_fields(inputs: Iterable[_Input]) -> None:
    """Print which field of each table was read, because it is inferred."""
    tables = [item for item in inputs if item.text_field]
    for item in tables[:_MAX_FIELDS]:
        line = f"{item.name}: the reviews are in `{item.text_field}`; --text-field selects another field."
        print_line(new_terminal(), line)
    if len(tables) > _MAX_FIELDS:
        print_line(new_terminal(), f"{len(tables) - _MAX_FIELDS:,} more tables.")


def _print_table(reviews: Iterable[Classified], settings: Settings) -> None:
    table = verdict_table("file", "line")
    has_uncertain = False
    try:
        for review in reviews:
            fields = _fields(review.outcome, settings)
            if "error_code" in fields:
                fields["error_message"] = for_command_line(fields["error_message"])
            has_uncertain |= fields.get("needs_review") is True
            table.add_row(cell(review.file), str(review.line), *verdict_cells(fields, review.text))
    finally:  # print the reviews that were classified even if an error or Ctrl-C ends the loop
        new_terminal().print(table)
        if has_uncertain:
            reason = f"the score is below {settings.needs_review_below:g}, or the language is not the model's"
            print_line(new_terminal(), f"?: needs review, because {reason}")
