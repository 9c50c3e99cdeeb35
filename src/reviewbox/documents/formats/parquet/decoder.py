"""The program that decodes Parquet files for `decoding.py`, which describes the protocol.

It is started by its path and imports nothing of this package, so that it starts in milliseconds. Its
arguments are the folders in which Python finds packages. It ends with its standard input.
"""

import sys
from io import SEEK_CUR, SEEK_END, SEEK_SET, BytesIO
from signal import SIG_IGN, SIGINT, signal
from typing import IO, Any

_LENGTH_BYTES = 8
# The first byte of each message to `decoding.py`.
REQUEST, BATCH, END, FAILURE = b"?", b"=", b".", b"!"


def send(pipe: IO[bytes], content: bytes) -> None:
    """Write a message to a pipe."""
    pipe.write(len(content).to_bytes(_LENGTH_BYTES, "little"))
    pipe.write(content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Return the next message from a pipe, or b"" if the other side has ended."""
    size = int.from_bytes(pipe.read(_LENGTH_BYTES), "little")
    content = pipe.read(size)
    return content if len(content) == size else b""


class _RequestedFile:
    """A file whose bytes are requested by messages."""

    def __init__(self, size: int, answers: IO[bytes], requests: IO[bytes]) -> None:
        self._size = size
        self._answers = answers
        self._requests = requests
        self._position = 0

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._position = offset + {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int) -> bytes:
        size = max(0, min(size, self._size - self._position))
        send(self._requests, b"%b%d %d" % (REQUEST, self._position, size))
        content = receive(self._answers)
        self._position += len(content)
        return content


def _decode(file: Any, batch_rows: int, messages: IO[bytes]) -> None:
    from arro3.core import RecordBatchReader
    from arro3.io import read_parquet

    reader = read_parquet(file, batch_size=batch_rows)
    _send_rows(messages, RecordBatchReader.from_batches(reader.schema, []))
    for batch in reader:
        _send_rows(messages, batch)


def _send_rows(messages: IO[bytes], rows: Any) -> None:
    from arro3.io import write_ipc_stream

    content = BytesIO(BATCH)
    content.seek(0, SEEK_END)
    write_ipc_stream(rows, content, compression=None)
    send(messages, content.getvalue())


def main() -> None:
    """Decode one file after the other."""
    signal(SIGINT, SIG_IGN)  # Ctrl-C is also for the process that started this one, which decides what to do
    sys.path[:] = sys.argv[1:]
    answers, messages = sys.stdin.buffer, sys.stdout.buffer
    while order := receive(answers):
        size, batch_rows = map(int, order.split())
        try:
            _decode(_RequestedFile(size, answers, messages), batch_rows, messages)
        except BaseException:  # noqa: BLE001 - a panic in Rust is not an Exception
            send(messages, FAILURE)
        else:
            send(messages, END)


if __name__ == "__main__":
    main()
