import csv
import gzip
import io
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.documents.reading import OPTIONS, document

from reviewbox.documents import ReadOptions, Row
from reviewbox.documents.detection import LINE_READERS, line_reader
from reviewbox.documents.segments import SegmentedTable, cut
from reviewbox.errors import ErrorCode, SourceError

# What tables are made of where a reader could take a wrong turn.
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


def in_segments(name: str, data: bytes, segment_bytes: int) -> tuple[SegmentedTable, list[Row]]:
    """Cut a table, and read each segment by itself, from what JSON holds of the table."""
    table = cut(io.BytesIO(data), LINE_READERS[name], replace(OPTIONS, segment_bytes=segment_bytes))
    restored = SegmentedTable.restore(json.loads(json.dumps(table.fields())), LINE_READERS)
    assert restored == table
    rows = [
        row
        for index, segment in enumerate(restored.segments)
        for row in restored.rows(index, data[segment.start : segment.end], OPTIONS)
    ]
    return restored, rows


@pytest.mark.parametrize(
    ("name", "file", "start"),
    [
        ("CSV", "a.csv", "id,review\n1,good\n"),
        ("CSV", "a.csv", "A title\n\nid;review\n1;good\n"),
        ("CSV", "a.csv", 'id,review\n1,"a \\"quoted\\" film"\n'),
        ("TSV", "a.tsv", "review\tid\ngood\t1\n"),
        ("TSV", "a.tsv", "review\tid\na line\\\nand another\t1\n"),
        ("JSON Lines", "a.jsonl", '{"text":"good"}\n'),
    ],
)
@given(pieces=st.lists(st.sampled_from([*CELLS, *OBJECTS]), max_size=40), segment_bytes=st.integers(1, 60))
@settings(deadline=None, max_examples=150)
def test_segments_hold_the_rows_of_the_whole(
    name: str, file: str, start: str, pieces: list[str], segment_bytes: int
) -> None:
    data = (start + "".join(pieces)).encode()
    whole = document(file, data)

    table, rows = in_segments(name, data, segment_bytes)

    # A whole document's rows are also checked for what no review may hold.
    assert [(row.line, row.raw) for row in rows] == [(row.line, row.raw) for row in whole.rows]
    assert table.table.notes == whole.notes
    assert whole.table is not None
    assert table.table.table.header(["x"]) == whole.table.header(["x"])


@given(data=st.binary(max_size=200), segment_bytes=st.integers(1, 40))
@settings(deadline=None, max_examples=200)
def test_bytes_of_any_encoding_are_cut_where_rows_end(data: bytes, segment_bytes: int) -> None:
    data = b"id,review\n1,good\n" * 20 + data
    whole = document("a.csv", data)

    _, rows = in_segments("CSV", data, segment_bytes)

    assert [row.raw for row in rows] == [row.raw for row in whole.rows]


def test_segments_are_full_and_leave_nothing_out() -> None:
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


def test_what_is_kept_is_what_segments_are() -> None:
    data = b"A title\nid,review\n" + b"".join(b"%d,good\n" % n for n in range(100))
    kept: dict[int, bytes] = {}

    table = cut(io.BytesIO(data), LINE_READERS["CSV"], ReadOptions(segment_bytes=50), kept.__setitem__)

    assert [data[s.start : s.end] for s in table.segments] == [kept[n] for n in range(len(table.segments))]


def test_a_line_that_fits_no_memory_refuses_the_table() -> None:
    data = b"id,review\n1,good\n2," + b"x" * 2000 + b"\n"

    with pytest.raises(SourceError) as raised:
        cut(io.BytesIO(data), LINE_READERS["CSV"], ReadOptions(max_bytes=1000))

    assert raised.value.problem.code is ErrorCode.LINE_TOO_LONG
    assert raised.value.problem.message.startswith("line 3 ")


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
        ("a", b"%PDF-1.7\n", None),
        ("a", b"", None),
    ],
)
def test_tables_of_lines_are_told_by_how_they_begin(name: str, head: bytes, expected: str | None) -> None:
    found = line_reader(name, "", head)

    assert (found.name if found else None) == expected


def test_a_compressed_table_is_told_by_the_content() -> None:
    data = gzip.compress(b"id,review\n1,good\n" * 10_000)

    found = line_reader("a.csv.gz", "", data[: len(data) // 2])

    assert found is not None
    assert found.name == "CSV"


def test_blank_lines_take_no_memory_to_speak_of() -> None:
    data = b"id,review\n1,good\n" + b"\n" * 2000 + b"2,bad\n"

    with pytest.raises(SourceError) as raised:
        cut(io.BytesIO(data), LINE_READERS["CSV"], ReadOptions(max_bytes=1000))

    assert raised.value.problem.code is ErrorCode.LINE_TOO_LONG
