"""Finds stored results, in a folder or in S3, and reads them.

Receipts lead to tables. Tables are looked for by their names only if there is no receipt.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Generic, Protocol, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from reviewbox.documents import read_document
from reviewbox.documents.detection import SNIFF_BYTES
from reviewbox.documents.document import Cells
from reviewbox.errors import AbsenceCode, ArchivedError, ConflictError, ReviewboxError, SourceError
from reviewbox.folder_storage import read_file
from reviewbox.objects import ObjectRef, Source
from reviewbox.report.results import Failure, Result, result_of_receipt, results_of_table
from reviewbox.results.doubt import doubt_in
from reviewbox.results.keys import is_table, is_table_key, results_prefix_of, source_of_table
from reviewbox.results.receipt import MAX_RECEIPT_BYTES, Part, Receipt
from reviewbox.results.rows import Lines, read_table, table_options
from reviewbox.settings import Settings
from reviewbox.stack import aws
from reviewbox.stack.listing import is_receipt, is_uri, list_objects, parse_uri
from reviewbox.storage import S3Storage, names_nothing
from reviewbox.tool_files import is_tool_file

T = TypeVar("T")

# Several reads at once hide the latency of S3; each chunk of receipts is held in memory.
_CHUNK = 256


class Place(Protocol):
    """Where results are stored."""

    def list_keys(self) -> Iterable[str]:
        """Yield the keys of everything that may be a result."""

    def read(self, key: str) -> bytes | None:
        """Return an object's content; None if it is gone, or larger than any receipt."""

    def open(self, key: str) -> BufferedReader | None:
        """Open an object, with a buffer of at least `SNIFF_BYTES`; None if it is gone."""

    def size(self, key: str) -> int:
        """Return the size of an object in bytes; 0 if it is gone."""

    def part_key(self, receipt_key: str, receipt: Receipt, part: Part) -> str | None:
        """Return the key of a part of a table; None if it is not there or cannot be the receipt's."""

    def source(self, receipt_key: str, receipt: Receipt, max_bytes: int) -> Source | None:
        """Return the file that a receipt is about; None if it is gone, archived, or has changed since."""


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """Results in a folder: of `reviewbox watch`, or copied from S3."""

    root: Path  # the folder
    file: str = ""  # the only file to report on, within the folder; "" for all
    # The folder of the files that were classified; None to look beside the results.
    sources: Path | None = None

    def list_keys(self) -> Iterator[str]:
        """Yield the paths of the files below the folder, in order."""
        if self.file:
            yield self.file
            return
        for parent, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                key = Path(parent, name).relative_to(self.root).as_posix()
                # Neither a link to nothing nor a pipe is a result.
                if not name.startswith(".") and not is_tool_file(key) and _is_file(self.root / key):
                    yield key

    def read(self, key: str) -> bytes | None:
        """Return a file's content."""
        with suppress(FileNotFoundError):  # it has been deleted since
            return read_file(self.root / key, ObjectRef("", key), MAX_RECEIPT_BYTES).body
        return None

    def open(self, key: str) -> BufferedReader | None:
        """Open a file."""
        with suppress(FileNotFoundError):
            return BufferedReader((self.root / key).open("rb", buffering=0), SNIFF_BYTES)
        return None

    def size(self, key: str) -> int:
        """Return the size of a file."""
        with suppress(FileNotFoundError):
            return (self.root / key).stat().st_size
        return 0

    def part_key(self, receipt_key: str, receipt: Receipt, part: Part) -> str | None:  # noqa: ARG002 - as documented
        """Return where a part of a table is: the folder may hold only some levels of the bucket's keys."""
        folders = [self.root / folder for folder in PurePosixPath(receipt_key).parents]
        path = _find_file(folders, part.key)
        return path.relative_to(self.root).as_posix() if path else None

    def source(self, receipt_key: str, receipt: Receipt, max_bytes: int) -> Source | None:
        """Return the source, if its content is still the same."""
        ref = receipt.content["source"]
        # `reviewbox watch inbox` writes into `inbox-results`.
        receipt_path = (self.root / receipt_key).resolve()
        beside = [
            folder.with_name(ref["bucket"])
            for folder in receipt_path.parents
            if folder.name == f"{ref['bucket']}-results"
        ]
        path = _find_file([self.sources] if self.sources else beside, ref["key"])
        if path is None:
            return None
        source = read_file(path, ObjectRef(ref["bucket"], ref["key"]), max_bytes)
        return source if source.body and _is_same(source.body, str(ref.get("etag"))) else None


@dataclass(frozen=True, slots=True)
class S3Place:
    """Results in S3."""

    storage: S3Storage  # reads objects
    prefix: ObjectRef  # the bucket, and the key of one object or a prefix of keys

    def list_keys(self) -> Iterator[str]:
        """Yield the keys of the object, or of all objects under the prefix."""
        key = self.prefix.key
        if key and not key.endswith("/") and self.storage.revision(self.prefix):
            yield key
            return
        for item in list_objects(self.storage, self.prefix):
            yield item.key

    def read(self, key: str) -> bytes | None:
        """Return an object's content."""
        source = self.storage.read(self._ref(key), MAX_RECEIPT_BYTES)
        return source.body if source else None

    def open(self, key: str) -> BufferedReader | None:
        """Open an object as it is now; return None if it is gone, or changes meanwhile."""
        revision = self.storage.revision(self._ref(key))
        with suppress(ConflictError):
            return self.storage.stream(self._ref(key), revision) if revision else None
        return None

    def size(self, key: str) -> int:
        """Return the size of an object."""
        source = self.storage.read(self._ref(key), 0)
        return source.size if source else 0

    def part_key(self, receipt_key: str, receipt: Receipt, part: Part) -> str | None:
        """Return the key of a part, unless the receipt names an object that is not its own."""
        source = receipt.content["source"]["key"]
        prefix = results_prefix_of(receipt_key, source)
        is_own = prefix is not None and is_table_key(part.key, prefix, source)
        return part.key if is_own and part.bucket == self.prefix.bucket else None

    def source(self, receipt_key: str, receipt: Receipt, max_bytes: int) -> Source | None:
        """Return the source, if it is still the revision that was classified."""
        ref = receipt.content["source"]
        if results_prefix_of(receipt_key, ref["key"]) is None:
            return None
        try:
            source = self.storage.read(ObjectRef(ref["bucket"], ref["key"]), max_bytes)
        except ArchivedError:
            return None
        except (ClientError, ParamValidationError) as error:  # anybody may have written the receipt
            if names_nothing(error):
                return None
            raise
        return source if source and source.revision.etag == ref.get("etag") else None

    def _ref(self, key: str) -> ObjectRef:
        return ObjectRef(self.prefix.bucket, key)


def find_place(path: str, sources: Path | None = None) -> Place:
    """Return the place that a path or an S3 URI names; raise ReviewboxError if it does not exist."""
    if is_uri(path):
        return S3Place(S3Storage(aws.connect("s3")), parse_uri(path))
    if Path(path).is_dir():
        return FolderPlace(Path(path), sources=sources)
    if Path(path).is_file():
        return FolderPlace(Path(path).parent, Path(path).name, sources)
    raise ReviewboxError(f"{path}: no such file or folder")


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """What to do with each result.

    Attributes:
        of_receipt: gets the key and the receipt of a single review, or of a source that failed as a whole.
        of_rows: gets the rows of a table or of a part of it, the key of its source, the column of the review
            ("" if no receipt says it), and what returns the lines of the rows in the source.
        of_failure: gets the key of the source of a table that is missing or cannot be read, and the code and
            the message of the error.
    """

    of_receipt: Callable[[str, Receipt], T]
    of_rows: Callable[[Iterator[Cells], str, str, Lines], Iterator[T]]
    of_failure: Callable[[str, str, str], T]


@dataclass(slots=True)
class StoredResults:
    """The results in a place, read one by one."""

    place: Place  # where they are
    settings: Settings = field(default_factory=Settings)  # how the sources are read
    # The digests of the models that made the results read so far.
    models: set[str] = field(default_factory=set)
    # The number of receipts and other JSON files, or of tables if no receipt names them; known once the first
    # result has been read.
    total: int = 0
    done: float = 0.0  # how many of them are done; the fraction is the share of the table that is being read
    skipped: int = 0  # how many JSON files are not receipts of this version
    # The doubts about fields of tables, with the sources' keys, from the results read so far.
    doubts: list[str] = field(default_factory=list)
    # Called for each file or object that is found, before the first result is read.
    on_listed: Callable[[], object] = lambda: None

    def __iter__(self) -> Iterator[Result]:
        """Yield every result, for a report; see `read`."""

        def of_receipt(key: str, receipt: Receipt) -> Result:
            return replace(result_of_receipt(receipt, receipt.content["source"]["key"]), receipt=key)

        def of_failure(source: str, code: str, message: str) -> Result:
            return Result(source, source, failure=Failure(source, 0, code, message))

        return self.read(Reader(of_receipt, results_of_table, of_failure))

    def read(self, reader: Reader[T]) -> Iterator[T]:
        """Yield what a reader returns for every result, in the order of the results' keys.

        A table that cannot be read is a failure, and does not stop the others.

        Raises:
            ReviewboxError: there are no results.
        """
        keys = []
        for key in self.place.list_keys():
            keys.append(key)
            self.on_listed()
        receipts = [key for key in keys if is_receipt(key)]
        self.total = len(receipts)
        for key, receipt in self._receipts(receipts):
            done, model = self.done, receipt.content.get("model")
            self.models.add(str(model.get("sha256")) if isinstance(model, dict) else "")
            if "counts" in receipt.content:
                yield from self._read_table(key, receipt, reader)
            else:
                yield _read_receipt(key, receipt, reader)
            self.done = done + 1
        if self.skipped == len(receipts):
            yield from self._read_unnamed(list(filter(is_table, keys)), reader)

    def _read_table(self, key: str, receipt: Receipt, reader: Reader[T]) -> Iterator[T]:
        content, lines = receipt.content, Lines.of(receipt)
        notes, source = content.get("notes"), str(content["source"]["key"])
        if doubt := doubt_in(notes):
            self.doubts.append(f"{source}: {doubt}")
        text_field = str(notes.get("text_field") or "") if isinstance(notes, dict) else ""
        for part in receipt.parts:
            part_key = self.place.part_key(key, receipt, part)
            for row in self._read_part(part_key, part.key, reader, source, text_field, lines):
                yield row
                self.done += 1 / max(1, content["counts"]["total"])

    def _read_unnamed(self, tables: Sequence[str], reader: Reader[T]) -> Iterator[T]:
        """Read tables that no receipt names. At least one of them has to be a result."""
        lines: defaultdict[str, Lines] = defaultdict(Lines)
        reasons: list[str] = []
        read = 0

        def of_failure(source: str, code: str, message: str) -> T:
            reasons.append(f"{source}: {message}")
            return reader.of_failure(source, code, message)

        noted = replace(reader, of_failure=of_failure)
        self.total = len(tables)
        for number, key in enumerate(tables):
            source, size = source_of_table(key), max(1, self.place.size(key))

            def on_bytes(done: int, number: int = number, size: int = size) -> None:
                self.done = number + done / size

            for item in self._read_part(key, key, noted, source, "", lines[source], on_bytes):
                yield item
                read += 1
        if read == len(reasons):
            raise ReviewboxError(
                reasons[0]
                if reasons
                else "no results here: neither receipts of this version nor classified tables; `reviewbox "
                "watch FOLDER` makes them from files of reviews, and `reviewbox backfill` updates those of a "
                "bucket"
            )

    def _read_part(  # noqa: PLR0913, PLR0917 - what a part is, and what it is a part of
        self,
        key: str | None,
        name: str,
        reader: Reader[T],
        source: str,
        text_field: str,
        lines: Lines,
        on_bytes: Callable[[int], object] | None = None,
    ) -> Iterator[T]:
        stored = self.place.open(key) if key else None
        for item in read_table(
            stored,
            name,
            table_options(self.settings),
            lambda table: reader.of_rows(table, source, text_field, lines),
            partial(reader.of_failure, source),
        ):
            yield item
            if stored and on_bytes:
                on_bytes(stored.tell())
        lines.end_part()

    def read_texts(self, results: Sequence[Result]) -> Iterator[str]:
        """Yield the texts of results that are single reviews, from their sources; "" if one is gone."""
        with ThreadPoolExecutor(aws.MAX_CONNECTIONS) as pool:
            yield from pool.map(self._text, results)

    def _text(self, result: Result) -> str:
        receipt = self._receipt(result.receipt)
        if receipt is None:
            return ""
        source = self.place.source(result.receipt, receipt, self.settings.max_object_bytes)
        if source is None or source.body is None:
            return ""
        try:
            document = read_document(
                source.ref.key, source.content_type, source.body, self.settings.read_options
            )
            return "".join(row.text for row in islice(document.rows, 1))
        except SourceError:
            return ""

    def _receipts(self, keys: Iterable[str]) -> Iterator[tuple[str, Receipt]]:
        """Yield each key with its receipt, in order; keys of anything else are left out."""
        remaining = iter(keys)
        with ThreadPoolExecutor(aws.MAX_CONNECTIONS) as pool:
            while chunk := list(islice(remaining, _CHUNK)):
                for key, receipt in zip(chunk, pool.map(self._receipt, chunk), strict=True):
                    if receipt:
                        yield key, receipt
                    else:
                        self.skipped += 1
                        self.done += 1

    def _receipt(self, key: str) -> Receipt | None:
        receipt = Receipt.decode(self.place.read(key) or b"")
        return receipt if receipt.content else None


def _read_receipt(key: str, receipt: Receipt, reader: Reader[T]) -> T:
    """Return what a reader returns for a receipt that is not a table's, whoever wrote it."""
    source = receipt.content["source"]["key"]
    try:
        result_of_receipt(receipt, source)
    except (KeyError, TypeError, ValueError, OverflowError):
        message = f"the receipt {key} was not written by Reviewbox; classify the file again"
        return reader.of_failure(source, AbsenceCode.BROKEN_RECEIPT, message)
    return reader.of_receipt(key, receipt)


def _find_file(folders: Iterable[Path], key: str) -> Path | None:
    """Return the first file that a key names below one of the folders, which may hold only the key's end."""
    names = PurePosixPath(key).parts
    if ".." in names or key.startswith("/"):
        return None
    paths = (folder.joinpath(*names[start:]) for folder in folders for start in range(len(names)))
    return next(filter(_is_file, paths), None)


def _is_file(path: Path) -> bool:
    """Return whether there is such a file. S3 allows names that are too long for a file."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_same(body: bytes, etag: str) -> bool:
    """Return whether a file has the content that was classified, as far as the ETag shows."""
    digests = {hashlib.sha256(body).hexdigest(), hashlib.md5(body, usedforsecurity=False).hexdigest()}
    known = etag.strip('"')
    return known in digests or "-" in known  # S3's ETag of an upload in parts says nothing
