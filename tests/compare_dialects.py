"""Counts in how many delimited files Reviewbox, clevercsv and Python's csv.Sniffer find the right dialect.

    python tests/compare_dialects.py tests/exports
    python tests/compare_dialects.py FOLDER FOLDER --list

Each folder has an `expected.json`, as for `read_cases.py`. A file counts if it contains delimited text and
`expected.json` states its reviews. Each program sees the whole decoded text with Unix line ends, and has its
own reader. It is right if the reviews are whole cells of one column, in order. Which column that is, which
rows are headers and how much space surrounds a cell does not matter.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from io import StringIO
from itertools import zip_longest
from pathlib import Path

from reviewbox.documents.encoding import decode
from reviewbox.documents.formats.csv.layout import infer_layout
from reviewbox.documents.formats.csv.records import read_records
from reviewbox.documents.lines import Line
from reviewbox.errors import SourceError

Rows = Iterable[Sequence[str]]

_EXTENSIONS = ("", ".csv", ".tsv", ".txt")


def main() -> None:
    """Print for each program how many files it reads correctly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--list", action="store_true", help="also print the files that are misread")
    arguments = parser.parse_args()
    files = [file for folder in arguments.folders for file in delimited_files(folder)]
    for program, read in programs().items():
        wrong = [name for name, text, reviews in files if not is_right(read, text, reviews)]
        print(f"{program}: {len(files) - len(wrong)} of {len(files)} files")
        if arguments.list:
            print("".join(f"  {name}\n" for name in wrong), end="")


def delimited_files(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name, the text and the reviews of each delimited file that should be read."""
    expectations = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    for name, expected in expectations.items():
        is_readable = isinstance(expected, dict) and "reviews" in expected and "refused" not in expected
        if not is_readable or Path(name).suffix not in _EXTENSIONS:
            continue
        encoding = expected.get("fallback_encoding", "windows-1252")
        text = decode((folder / name).read_bytes(), encoding).text.replace("\r\n", "\n")
        if not text.lstrip().startswith(("{", "[")):  # JSON in a file without an extension
            yield name, text, expected["reviews"]


def programs() -> dict[str, Callable[[str], Rows]]:
    """Return a function for each program that returns the rows of a text in the dialect that it finds."""
    found: dict[str, Callable[[str], Rows]] = {"Reviewbox": _read_by_reviewbox}
    try:
        found[f"clevercsv {version('clevercsv')}"] = _read_by_clevercsv
    except ModuleNotFoundError:
        print("clevercsv is not installed: python -m pip install clevercsv")
    found["csv.Sniffer"] = _read_by_sniffer
    return found


def is_right(read: Callable[[str], Rows], text: str, reviews: Sequence[str]) -> bool:
    """Return whether the reviews that are not empty are cells of one column, in order."""
    try:
        columns = zip_longest(*read(text), fillvalue="")
        wanted = [_plain(review) for review in reviews if review.strip()]
        return any(_is_part(wanted, map(_plain, column)) for column in columns)
    except (csv.Error, SourceError):
        return False


def _read_by_reviewbox(text: str) -> Rows:
    lines = [Line(number, line) for number, line in enumerate(StringIO(text, newline="\n"), 1)]
    dialect = infer_layout(lines, ",", is_all=True).layout.dialect
    return [list(map(dialect.unescape, record.cells)) for record in read_records(lines, dialect)]


def _read_by_clevercsv(text: str) -> Rows:
    import clevercsv

    dialect = clevercsv.Detector().detect(text)
    if dialect is None:
        raise csv.Error("no dialect fits")
    return list(clevercsv.reader(StringIO(text, newline=""), dialect))


def _read_by_sniffer(text: str) -> Rows:
    return list(csv.reader(StringIO(text, newline=""), csv.Sniffer().sniff(text)))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _is_part(wanted: Iterable[str], cells: Iterator[str]) -> bool:
    # Each search continues where the one before it ended.
    return all(text in cells for text in wanted)


if __name__ == "__main__":
    main()
