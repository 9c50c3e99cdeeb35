"""Reading takes work in proportion to the size of a file, whatever is repeated in it."""

from functools import partial

from tests.documents.work import lines_executed
from tests.fuzz.documents import DroppedFile, read_or_refuse

_SEPARATOR = b"\n---\n"
_MAX_UNIT_BYTES = 60
_COUNTS = (40, 80, 160)
# Work in proportion to the size doubles with it. Work that grows with the square is multiplied by four.
_MAX_GROWTH = 2.6


def check_work(case: bytes) -> None:
    """Read a file in which something is repeated 40, 80 and 160 times, and compare the work.

    A case is a name and a start, as `DroppedFile.decode` expects them, a line of three dashes, and what is
    repeated. A reader may do more once a file has enough of something, but not at each doubling.
    """
    start, _, unit = case.partition(_SEPARATOR)
    unit = unit[:_MAX_UNIT_BYTES]
    files = [DroppedFile.decode(start + b"\n" * (b"\n" not in start) + unit * count) for count in _COUNTS]
    read_or_refuse(files[0])  # imports libraries
    small, medium, large = (lines_executed(partial(read_or_refuse, file)) for file in files)
    assert min(medium / small, large / medium) < _MAX_GROWTH, f"{small}, {medium} and {large} lines"
