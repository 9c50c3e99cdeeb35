"""Decodes Parquet files in another process.

On some damaged pages, the library ends its process: it panics inside a function that is called from C, and
Rust cannot unwind there. So the program `decoder.py` decodes each file. If it dies, only that file fails.

The two exchange messages. The first one has the size of the file and the rows per batch. Then the program
requests bytes of the file, and gets them. It sends the rows in batches, each as an Arrow IPC stream of its
own; the first stream has the schema and no rows. After the last one, it waits for the next file.
"""

import atexit
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import cache
from io import SEEK_END, BytesIO
from subprocess import DEVNULL, PIPE, Popen
from typing import IO, TYPE_CHECKING, cast

from reviewbox.documents.formats.columns import unreadable
from reviewbox.documents.formats.parquet import decoder
from reviewbox.documents.formats.parquet.decoder import BATCH, FAILURE, REQUEST, receive, send

if TYPE_CHECKING:
    from arro3.core import RecordBatchReader

DESCRIPTION = "the Parquet file"
# SIGKILL and SIGTERM: a system whose memory is exhausted sends the first one.
_STOPPED = (-9, -15)


def decode(file: IO[bytes], batch_rows: int) -> "Iterator[RecordBatchReader]":
    """Yield a reader without rows for the schema of a Parquet file, and one for each batch of its rows.

    Only the pages that are decoded are read.

    Raises:
        SourceError: the file is damaged, or uses a feature that the library lacks.
        MemoryError: the machine cannot run the program; the file is not to blame.
    """
    program = _take_program()
    try:
        last = yield from _converse(program, file, batch_rows)
    except BaseException:  # also if the caller does not want the other batches
        program.kill()
        _end([program])
        raise
    _waiting().append(program)
    if last == FAILURE:
        raise unreadable(DESCRIPTION)


@cache
def _waiting() -> "list[Popen[bytes]]":
    """Return the programs that wait for a file: starting one takes as long as classifying a few reviews."""
    programs: list[Popen[bytes]] = []
    atexit.register(_end, programs)
    return programs


def _end(programs: "list[Popen[bytes]]") -> None:
    for program in programs:
        program.communicate()


def _take_program() -> "Popen[bytes]":
    with suppress(IndexError):
        while (program := _waiting().pop()).poll() is not None:
            _end([program])
        return program
    command = [sys.executable, "-I", "-S", "-B", decoder.__file__, *sys.path]
    try:
        return Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)  # noqa: S603 - our own program
    except OSError as error:
        raise MemoryError("the program that decodes Parquet cannot be started") from error


def _converse(
    program: "Popen[bytes]", file: IO[bytes], batch_rows: int
) -> "Generator[RecordBatchReader, None, bytes]":
    """Answer the requests of the program, yield the rows that it sends, and return its last message."""
    from arro3.io import read_ipc_stream

    _tell(program, b"%d %d" % (file.seek(0, SEEK_END), batch_rows))
    while message := receive(cast("IO[bytes]", program.stdout)):
        kind, content = message[:1], message[1:]
        if kind == BATCH:
            yield read_ipc_stream(BytesIO(content))
        elif kind == REQUEST:
            position, size = map(int, content.split())
            file.seek(position)
            _tell(program, file.read(size))
        else:
            return kind
    if program.wait() in _STOPPED:
        raise MemoryError("the program that decodes Parquet was stopped")
    raise unreadable(DESCRIPTION)


def _tell(program: "Popen[bytes]", message: bytes) -> None:
    with suppress(BrokenPipeError):  # the program has died, and nothing is received any more
        send(cast("IO[bytes]", program.stdin), message)
