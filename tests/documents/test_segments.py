import csv
import gzip
import io
import itertools
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import OPTIONS, ReadDocument, attempt, document, read_all

from reviewbox.documents import ReadOptions, Row
from reviewbox.documents.compression import COMPRESSIONS
from reviewbox.documents.detection import LINE_FORMATS, line_format, read_stream
from reviewbox.documents.segments import Content, SegmentedTable, split
from reviewbox.errors import ErrorCode, Problem, SourceError

# Cells and objects that could mislead a reader.
CELLS = [
    "a",
    "good film",
    ",",
    '"',
    '""',
    "\\",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "é",
    "1",
    ";",
    "NULL",
    "\ufeff",
]
OBJECTS = ['{"text":"good"}', '{"text":"a","b":1}', '{"c": [', "}", "null"]

TABLES = pytest.mark.parametrize(
    ("name", "file", "start"),
    [
        ("CSV", "a.csv", "id,review\n1,good\n2,It was not good at all\n3,We would come again\n4,Never\n"),
        ("CSV", "a.csv", "A title\n\nid;review\n1;good\n"),
        ("CSV", "a.csv", 'id,review\n1,"a \\"quoted\\" film"\n'),
        (
            "CSV",
            "a.csv",
            'id,review\nid,how was it?\n"{""ImportId"":1}","{""ImportId"":2}"\n1,It was good\n3,Not for us\n',
        ),
        ("CSV", "a.csv", "id,title,review\n1,a,It was good\n2,b,\n,,\nid,title,review\n3,,No\n"),
        ("TSV", "a.tsv", "review\tid\ngood\t1\n"),
        ("TSV", "a.tsv", "review\tid\na line\\\nand another\t1\n"),
        ("JSON Lines", "a.jsonl", '{"text":"good"}\n'),
    ],
)
PIECES = st.lists(st.sampled_from([*CELLS, *OBJECTS]), max_size=40)


def stored(data: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(data), 100_000)


def split_table(
    name: str,
    data: bytes,
    options: ReadOptions,
    on_segment: Callable[[int, bytes], None] | None = None,
) -> SegmentedTable:
    return split(Content(stored(data), options), LINE_FORMATS[name], options, on_segment)


def in_segments(name: str, data: bytes, segment_bytes: int) -> tuple[SegmentedTable, list[Row]]:
    """Split a table, and read each segment on its own with what JSON stores of the table."""
    segments: dict[int, bytes] = {}
    options = replace(OPTIONS, segment_bytes=segment_bytes)
    table = split_table(name, data, options, segments.__setitem__)
    restored = SegmentedTable.from_dict(json.loads(json.dumps(table.to_dict())))
    assert restored == table
    indexes = range(len(restored.segments))
    return restored, [row for index in indexes for row in restored.rows(index, segments[index], OPTIONS)]


def streamed(file: str, data: bytes) -> ReadDocument:
    document = read_stream(file, "", stored(data), OPTIONS)
    assert document is not None
    return read_all(document)


def content(rows: list[Row]) -> list[tuple[int, str, str, Problem | None, str, bool]]:
    return [(row.line, row.raw, row.text, row.problem, row.note, row.is_passthrough) for row in rows]


@TABLES
@given(pieces=PIECES, segment_bytes=st.integers(1, 60))
def test_whole_split_and_streamed_tables_have_the_same_rows(
    name: str, file: str, start: str, pieces: list[str], segment_bytes: int
) -> None:
    data = (start + "".join(pieces)).encode()
    whole = attempt(file, data)
    if isinstance(whole, Problem):  # too little of it looks like reviews
        for read in (lambda: in_segments(name, data, segment_bytes), lambda: streamed(file, data)):
            with pytest.raises(SourceError) as refusal:
                read()
            assert refusal.value.problem == whole
        return

    table, rows = in_segments(name, data, segment_bytes)
    stream = streamed(file, data)

    assert content(rows) == content(whole.rows) == content(stream.rows)
    assert table.notes == whole.notes == stream.notes
    assert whole.table is not None
    assert stream.table is not None
    header = whole.table.render_header(["x"])
    assert table.schema.table.render_header(["x"]) == header
    assert stream.table.render_header(["x"]) == header


@TABLES
@given(pieces=PIECES, segment_bytes=st.integers(1, 60), length=st.integers(0))
def test_truncated_tables_have_the_same_rows_too(
    name: str, file: str, start: str, pieces: list[str], segment_bytes: int, length: int
) -> None:
    data = (start + "".join(pieces)).encode()
    truncated = gzip.compress(data, compresslevel=0)[: -1 - length % (len(data) + 8)]
    whole = attempt(file, truncated)

    if isinstance(whole, Problem):
        for read in (lambda: in_segments(name, truncated, segment_bytes), lambda: streamed(file, truncated)):
            with pytest.raises((SourceError, AssertionError)):
                read()
        return
    _, rows = in_segments(name, truncated, segment_bytes)
    assert content(rows) == content(whole.rows) == content(streamed(file, truncated).rows)


@given(data=st.binary(max_size=200), segment_bytes=st.integers(1, 40))
def test_bytes_of_any_encoding_are_split_where_rows_start(data: bytes, segment_bytes: int) -> None:
    data = b"id,review\n" + b"1,good\n2,not good\n" * 10 + data
    whole = document("a.csv", data)

    _, rows = in_segments("CSV", data, segment_bytes)

    assert content(rows) == content(whole.rows) == content(streamed("a.csv", data).rows)


def test_rows_after_the_sample_are_counted_in_the_notes_of_every_reader() -> None:
    data = b"id,review\n" + b"1,good\n" * 2000 + b"2,caf\xe9\n"
    notes = document("a.csv", data).notes

    table, _ = in_segments("CSV", data, 1000)

    assert notes["lines_in_fallback_encoding"] == 1
    assert table.notes == notes == streamed("a.csv", data).notes


def test_segments_are_full_and_cover_all_rows() -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["id", "review"], *([n, f"good, but\nnot {n}"] for n in range(200))])
    data = text.getvalue().encode()

    table, rows = in_segments("CSV", data, 500)

    *full, last = table.segments
    assert full[0].start == len(b"id,review\r\n")
    assert last.end == len(data)
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(table.segments))
    assert all(500 <= segment.end - segment.start < 550 for segment in full)
    assert [row.line for row in rows] == [2 + 2 * n for n in range(200)]


def test_the_bytes_of_each_segment_are_passed_on() -> None:
    data = b"A title\nid,review\n" + b"".join(b"%d,good\n" % n for n in range(100))
    passed: dict[int, bytes] = {}

    table = split_table("CSV", data, ReadOptions(segment_bytes=50), passed.__setitem__)

    assert [data[s.start : s.end] for s in table.segments] == [passed[n] for n in range(len(table.segments))]


@pytest.mark.parametrize("way", COMPRESSIONS, ids=lambda way: way.name)
def test_a_compressed_table_is_decompressed_as_it_is_streamed(way: object) -> None:
    compression = next(c for c in COMPRESSIONS if c is way)
    data = b"id,review\n" + b"1,good\n" * 100

    read = streamed("a.csv", compression.compress(data))

    assert len(read.rows) == 100
    assert read.notes["compression"] == compression.name
    assert read.table is not None
    assert read.table.extension == "csv" + compression.extensions[0]


def test_a_line_that_does_not_fit_in_memory_refuses_the_table() -> None:
    data = b"id,review\n1,good\n2," + b"x" * 2000 + b"\n"

    with pytest.raises(SourceError) as raised:
        split_table("CSV", data, ReadOptions(max_bytes=1000))

    assert raised.value.problem.code is ErrorCode.LINE_TOO_LONG
    assert raised.value.problem.message.startswith("line 3: ")


def test_blank_lines_that_do_not_fit_in_memory_refuse_the_table() -> None:
    data = b"id,review\n1,good\n" + b"\n" * 2000 + b"2,bad\n"

    with pytest.raises(SourceError) as raised:
        split_table("CSV", data, ReadOptions(max_bytes=1000))

    assert raised.value.problem.code is ErrorCode.LINE_TOO_LONG


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("CSV", b"id,review\n", ErrorCode.HEADER_ONLY),
        ("CSV", b"id,review\n" + b"\n" * 2000, ErrorCode.HEADER_ONLY),
        ("CSV", b"\n" * 2000, ErrorCode.EMPTY_TABLE),
        ("JSON Lines", b"\n", ErrorCode.EMPTY_TABLE),
        ("JSON Lines", b"\n" * 2000, ErrorCode.EMPTY_TABLE),
    ],
)
def test_a_table_without_rows_is_refused_by_every_reader(name: str, data: bytes, code: ErrorCode) -> None:
    file = {"CSV": "a.csv", "JSON Lines": "a.jsonl"}[name]

    for read in (
        lambda: document(file, data),
        lambda: in_segments(name, data, 100),
        lambda: streamed(file, data),
    ):
        with pytest.raises(SourceError) as raised:
            read()
        assert raised.value.problem.code is code


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("a.csv", b"id,review\n1,good\n", "CSV"),
        ("a.csv.gz", b"id,review\n1,good\n", "CSV"),
        ("a.tsv", b"id\treview\n1\tgood\n", "TSV"),
        ("a.jsonl", b'{"text":"good"}\n{"text":', "JSON Lines"),
        ("a.json", b'{"text":"good"}\n{"text":"bad"}\n{"text":', "JSON Lines"),
        ("a", b'{"text":"good"}\n{"text":"bad"}\n{"text":', "JSON Lines"),
        ("export", b"review,id\ngood,1\n", "CSV"),
        ("a.jsonl", b'[{"text":"good"},\n{"text":"bad"}]', None),
        ("a.json", b'[{"text":"good"},\n{"text":"bad"}]', None),
        ("a.json", b'{"text":"good",\n"id":1}', None),
        ("a.txt", b"good\nfilm\n", None),
        ("a.csv", b"id,review\r1,good\r", None),
        ("a.csv", "id,review\n1,good\n".encode("utf-16"), None),
        ("a.csv", b"review " * 10_000, "CSV"),
        ("a", b"", None),
    ],
)
def test_tables_of_lines_are_recognized_by_name_and_first_bytes(
    name: str, head: bytes, expected: str | None
) -> None:
    detected = line_format(name, "", head)

    assert (detected.name if detected else None) == expected
    assert expected or read_stream(name, "", stored(head), OPTIONS) is None


def test_a_large_file_in_an_unsupported_format_is_refused_by_its_first_bytes() -> None:
    """It need not be read as a whole, and is not reported as too large."""
    with pytest.raises(SourceError) as raised:
        line_format("a.csv", "", b"%PDF-1.7\n" + bytes(100_000))

    assert raised.value.problem.code is ErrorCode.UNSUPPORTED_FORMAT


def test_a_compressed_table_is_recognized_by_its_content() -> None:
    data = gzip.compress(b"id,review\n1,good\n" * 10_000)

    detected = line_format("a.csv.gz", "", data[: len(data) // 2])

    assert detected is not None
    assert detected.name == "CSV"
