"""The caller can stop reading a document, whatever it contains."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from io import BufferedReader, BytesIO

import pytest
from tests.documents.reading import OPTIONS
from tests.documents.test_work import FILES, GOOD, SKIPPABLE
from tests.documents.work import lines_between_checks

from reviewbox.documents import BinaryTable, ReadOptions, read_document
from reviewbox.documents.compression import COMPRESSIONS
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.segments import Content, split
from reviewbox.errors import OutOfTimeError, SourceError

GZIP, ZSTD = COMPRESSIONS

# How many parts a file has that would keep a reader busy for a long time.
PARTS = 1500
PARTS_OF_WIDE_TABLES = 300  # the number of columns that are read has a maximum
FEWER_PARTS = 700  # a reader still checks the time at the start, in the middle and at the end
# The most lines that a reader executes without a check of the time. They take about a tenth of a second.
MOST_LINES = 160_000
# The samples from which layouts and fields are inferred also have a maximum. These files need all of it.
MOST_LINES_OF_A_SAMPLE = 320_000
LARGE_SAMPLES = ("columns.parquet", "nested columns.parquet", "equal names.csv", "open quotes.csv")
LONG = (
    *LARGE_SAMPLES,
    "rows.xlsx",
    "sheets.xlsx",
    "rows.parquet",
    "row groups.parquet",
    "columns of years.csv",
    "blank rows.csv",
    "UTF-16.csv",
    "carriage returns.csv",
    "joined rows.tsv",
    "broken lines.jsonl",
    "Python lines.jsonl",
    "an object.json",
    "nested records.json",
    "Python.json",
    "brackets.json",
    "braces.json",
    "members.csv.gz",
)
# Files whose names have these words are laborious, so that half as many parts exceed the limits.
LABORIOUS = ("sheets", "groups", "broken", "Python", "object", "nested")

# Other files that take a reader a long time.
SLOW: dict[str, Callable[[int], bytes | str]] = {
    "an object.json": lambda n: json.dumps({"list": [[1] * 99] * (n // 3)}),
    "nested records.json": lambda n: json.dumps([{"a": [{"review": GOOD}]}] * n),
    "columns.json": lambda n: json.dumps({"review": {str(number): GOOD for number in range(n)}}),
    "Python.json": lambda n: str({"reviews": ["good"] * n * 2}),
    "brackets.json": lambda n: "[" * n * 5,
    "braces.json": lambda n: '[{"review": ' * n,
    "Python lines.jsonl": lambda n: f"{ {'review': GOOD} }\n" * n,
    "open quotes.csv": lambda n: "id,review\n" + '1,"good\n' * n,
    "tags of a page.html": lambda n: "<p><br/>" * n * 5,
    "members.csv.gz": lambda n: GZIP.compress(b"id,review\n1,good\n") + GZIP.compress(b"") * n * 5,
    "skipped.csv.zst": lambda n: ZSTD.compress(b"id,review\n1,good\n") + SKIPPABLE * n * 5,
}


def read(name: str, data: bytes | str, check_time: Callable[[], None]) -> None:
    """Read a file, and write it back if that is done by its reader."""
    encoded = data.encode() if isinstance(data, str) else data
    document = read_document(name, "", encoded, replace(OPTIONS, check_time=check_time))
    writer = document.table.open_writer(["label"]) if isinstance(document.table, BinaryTable) else None
    for row in document.rows:
        if writer:
            writer.write(row, {"label": "positive"})
    if writer:
        writer.finish()


def read_or_refuse(name: str, data: bytes | str, check_time: Callable[[], None]) -> None:
    with suppress(SourceError):
        read(name, data, check_time)


@pytest.mark.parametrize("name", LONG)
def test_reading_is_never_long_without_a_check_of_the_time(name: str) -> None:
    is_wide = "columns" in name or "names" in name
    is_laborious = any(word in name for word in LABORIOUS)
    parts = PARTS_OF_WIDE_TABLES if is_wide else FEWER_PARTS if is_laborious else PARTS
    data = {**FILES, **SLOW}[name](parts)
    most = MOST_LINES_OF_A_SAMPLE if name in LARGE_SAMPLES else MOST_LINES

    between = lines_between_checks(partial(read_or_refuse, name, data))

    # A reader that did not check the time would execute more lines.
    assert max(between) <= most < sum(between)


@pytest.mark.parametrize(
    "name",
    [
        "rows.xlsx",
        "rows.parquet",
        "UTF-16.csv",
        "carriage returns.csv",
        "titles.csv",
        "blank lines.jsonl",
        "markup.md",
        "tags of a page.html",
        "nested records.json",
        "columns.json",
        "Python.json",
        "members.csv.gz",
        "skipped.csv.zst",
    ],
)
def test_reading_stops_at_every_check(name: str) -> None:
    """No reader mistakes the end of the time for a fault in the file, wherever it comes."""
    data = {**FILES, **SLOW}[name](FEWER_PARTS)
    checks = 0

    def count() -> None:
        nonlocal checks
        checks += 1

    read_or_refuse(name, data, count)
    for number in {1, 2, checks // 2, checks - 1, checks}:
        left = number

        def stop() -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise OutOfTimeError("no time")

        with pytest.raises(OutOfTimeError):
            read(name, data, stop)


@pytest.mark.parametrize("compress", [bytes, *(way.compress for way in COMPRESSIONS)])
def test_splitting_a_table_checks_the_time(compress: Callable[[bytes], bytes]) -> None:
    rows = b"id,review\n" + b"1,good\n" * 5000  # about twice the permitted number of lines

    def split_table(check_time: Callable[[], None]) -> None:
        stored: BufferedReader = BufferedReader(BytesIO(compress(rows)), SNIFF_BYTES)
        options = ReadOptions(segment_bytes=10**9, check_time=check_time)
        found = line_format("a.csv", "", stored.peek())
        assert found is not None
        split(Content(stored, options), found, options)

    between = lines_between_checks(split_table)

    assert max(between) <= MOST_LINES_OF_A_SAMPLE


def test_a_row_of_very_many_cells_is_a_bad_row_only() -> None:
    data = b"id,review\n" + b"x," * 1_000_000 + b"\n" + b"1,good\n" * 3

    rows = list(read_document("a.csv", "", data, OPTIONS).rows)

    assert [row.text for row in rows if row.problem is None] == ["good"] * 3


def test_a_table_of_very_many_columns_is_refused() -> None:
    data = b"a," * 20_000 + b"\n" + b"1," * 20_000

    with pytest.raises(SourceError, match="more than 16,384 columns"):
        read_document("a.csv", "", data, OPTIONS)
