"""The files and S3 objects that commands read."""

import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, Any, cast

from reviewbox.classification import read_source
from reviewbox.cli.output import check_output
from reviewbox.cli.progress import SECONDS_BEFORE, StepBar, open_progress, track
from reviewbox.cli.render import printable
from reviewbox.documents import Document, Step
from reviewbox.documents.compression import exceeds
from reviewbox.documents.detection import SNIFF_BYTES, read_stream
from reviewbox.documents.unsupported import is_parquet
from reviewbox.errors import ReviewboxError
from reviewbox.objects import ObjectRef, Revision, Source
from reviewbox.settings import Settings
from reviewbox.stack.listing import is_uri
from reviewbox.tool_files import is_tool_file


@dataclass(slots=True)
class Input:
    """A file or object.

    Attributes:
        name: its name, as it is printed.
        read: returns it, without the body if that is larger than the given number of bytes; raises
            ReviewboxError. It may call a function repeatedly with its progress.
        open: opens it as a file; None for stdin.
        size: its size in bytes, as it is stored; until it is read, a guess if it is not a file.
        overhead: how many more bytes could be processed in the time that an input takes whatever its size.
        on_share: is called with the share of it that is done, from 0 to 1.
        on_step: is called with the progress of a step before or after the classification.
    """

    name: str
    read: Callable[[int, Callable[[Step], object]], Source]
    open: Callable[[Source], AbstractContextManager[IO[bytes]]] | None = None
    size: int = 1000
    overhead: int = 100
    on_share: Callable[[float], object] = lambda _: None
    on_step: Callable[[Step], object] = lambda _: None

    @property
    def work(self) -> int:
        """The work that it takes, as a number of bytes that take equally long."""
        return self.size + self.overhead


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """A document whose rows can be read as long as its input is open."""

    source: Source  # where it comes from
    document: Document  # its content
    # The bytes of a table that the service splits, read along with its rows; None for other documents.
    stored: BufferedReader | None = None


def find_inputs(paths: Sequence[str], output: Path | None = None) -> Iterator[Input]:
    """Yield the inputs that paths name: files, folders, S3 URIs, and "-" for stdin.

    Raises:
        ReviewboxError: a path or URI does not exist, or the output would replace a file that is read.
    """
    for path in paths:
        if is_uri(path):
            from reviewbox.cli.s3_sources import object_inputs

            yield from object_inputs(path)
        elif path == "-":
            yield Input(path, _read_stdin)
        elif Path(path).is_dir():
            files = files_below(Path(path))
            if not files:
                yield Input(printable(path), partial(_refuse_empty_folder, path))
            for file in files:
                check_output(output, file)
                yield file_input(file)
        elif Path(path).exists():
            check_output(output, Path(path))
            yield file_input(Path(path))
        else:
            raise ReviewboxError(f"{path}: no such file or folder")


def file_input(path: Path) -> Input:
    """Return a file as an input, which may turn out to be unreadable when it is read."""
    size = 0
    with suppress(OSError):
        size = path.stat().st_size
    return Input(
        printable(str(path)), partial(_read_file, path), lambda _: path.open("rb", buffering=0), size
    )


def track_inputs(
    inputs: Sequence[Input],
    description: str,
    *,
    disable: bool = False,
    seconds_before: float = SECONDS_BEFORE,
) -> Generator[Input, None, None]:
    """Yield inputs, and show how many kilobytes of them are done, and slow steps of the current one."""
    done = done_work = 0.0
    rest, rest_work = sum(item.size for item in inputs), sum(item.work for item in inputs)
    with open_progress(disable=disable, seconds_before=seconds_before) as progress:
        bar = progress.add_task(f"{description} (kB)", total=rest / 1000)
        steps = StepBar(progress, seconds_before)

        def show(item: Input, share: float) -> None:
            steps.hide()
            progress.update(
                bar,
                completed=(done + share * item.size) / 1000,
                total=(done + item.size + rest) / 1000,
                share=(done_work + share * item.work) / (done_work + item.work + rest_work),
            )

        for item in inputs:
            rest, rest_work = rest - item.size, rest_work - item.work
            item.on_share, item.on_step = partial(show, item), steps.show
            yield item
            item.on_share(1.0)
            done, done_work = done + item.size, done_work + item.work


@contextmanager
def open_document(item: Input, settings: Settings) -> Iterator[OpenDocument]:
    """Parse an input as the service does. A table that the service splits is read as one stream instead.

    Raises:
        ReviewboxError: the input cannot be read.
        SourceError: it cannot be parsed.
    """
    source = item.read(settings.max_object_bytes, item.on_step)
    item.size = source.size
    body, options = source.body, settings.read_options
    with ExitStack() as files:
        if body is None and item.open:
            file: Any = files.enter_context(item.open(source))
        elif body is not None and (exceeds(body, options.segment_bytes) or is_parquet(body)):
            file = BytesIO(body)
        else:
            yield OpenDocument(source, read_source(source, settings, on_step=item.on_step))
            return
        stored = files.enter_context(BufferedReader(file, SNIFF_BYTES))
        streamed = read_stream(source.ref.key, source.content_type, stored, options)
        if streamed:
            # The size of what a compressed table expands to is not known.
            document = replace(streamed, share=lambda: stored.tell() / max(source.size, 1))
            yield OpenDocument(source, document, stored)
        else:
            yield OpenDocument(source, read_source(source, settings, on_step=item.on_step))


def files_below(folder: Path, on_error: Callable[[Path, OSError], None] | None = None) -> list[Path]:
    """Return the files below a folder, sorted, without hidden ones and those that tools leave behind.

    `on_error` is called for each file and folder that cannot be accessed. It is left out.

    Raises:
        ReviewboxError: a file or folder cannot be accessed, and there is no `on_error`.
    """

    def handle(error: OSError, path: Path) -> None:
        if isinstance(error, FileNotFoundError) and path != folder:
            return  # removed since it was listed, or a dangling link
        if on_error is None:
            raise ReviewboxError(f"{printable(str(path))}: {error.strerror}") from None
        on_error(path, error)

    def find() -> Iterator[Path]:
        walk = os.walk(folder, onerror=lambda error: handle(error, Path(error.filename)))
        for parent, folders, files in walk:
            folders[:] = (name for name in folders if not name.startswith("."))
            for name in files:
                path = Path(parent, name)
                try:
                    inside = path.relative_to(folder).as_posix()
                    is_source = not name.startswith(".") and not is_tool_file(inside)
                    if is_source and stat.S_ISREG(path.stat().st_mode):
                        yield path
                except OSError as error:
                    handle(error, path)

    return sorted(track(find(), "Listing files"))


def _read_file(path: Path, max_bytes: int, _on_step: Callable[[Step], object]) -> Source:
    try:
        with path.open("rb") as file:
            body = file.read(max_bytes + 1)
            size = max(len(body), os.fstat(file.fileno()).st_size)  # a pipe says 0
    except OSError as error:
        raise ReviewboxError(f"{path}: {error.strerror}") from None
    return _source(str(path), size, body if len(body) <= max_bytes else None)


def _read_stdin(max_bytes: int, on_step: Callable[[Step], object]) -> Source:
    content, stdin = bytearray(), cast("BufferedReader", sys.stdin.buffer)
    while chunk := stdin.read1():
        content += chunk
        on_step(Step("Reading (kB)", len(content) / 1000, None))
    body = bytes(content)
    # Without a name or a content type, the first bytes determine the format.
    return _source("stdin", len(body), body if len(body) <= max_bytes else None)


def _source(name: str, size: int, body: bytes | None) -> Source:
    return Source(ObjectRef("", name), Revision("", ""), size, "", body)


def _refuse_empty_folder(path: str, _max_bytes: int, _on_step: Callable[[Step], object]) -> Source:
    raise ReviewboxError(f"{path}: there are no files in this folder")
