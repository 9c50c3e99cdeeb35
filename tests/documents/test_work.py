"""The work of every reader grows with the size of a file, whatever the file contains.

For CSV with quotes and for JSON, `test_csv_layout.py` and `test_json_records.py` have more such tests.
`test_patterns.py` looks at regular expressions, whose work is not counted.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from io import BufferedReader, BytesIO
from typing import Any

import pyarrow as pa
import pytest
from tests.documents.formats.binary_tables import write_back
from tests.documents.formats.test_parquet import parquet
from tests.documents.formats.test_xlsx import text_cell, with_sheet_xml, workbook
from tests.documents.reading import OPTIONS, document, written
from tests.documents.work import lines_executed

from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import COMPRESSIONS, Compression, DecompressedStream, decompress
from reviewbox.documents.detection import SNIFF_BYTES, line_format
from reviewbox.documents.formats.parquet.footer import read_footer
from reviewbox.documents.review_field import FieldSample, select_review_field
from reviewbox.documents.segments import Content, split
from reviewbox.documents.unsupported import zip_members
from reviewbox.errors import SourceError

GOOD = "It was good, and we will come again."
HEADER_XML = f"<row>{text_cell('id')}{text_cell('review')}</row>"
ROW_XML = f"<row>{text_cell('a')}{text_cell(GOOD)}</row>"
SHEET: list[list[Any]] = [["id", "review"], [1, GOOD], [2, GOOD]]
SKIPPABLE = b"\x50\x2a\x4d\x18" + bytes(4)  # an empty frame of zstd


def read(name: str, data: bytes | str) -> None:
    """Read a file, or refuse it. If it is a table, write it back."""
    encoded = data.encode() if isinstance(data, str) else data
    with suppress(SourceError):
        if name.endswith((".xlsx", ".parquet")):
            write_back(name, encoded)
        elif (found := document(name, encoded)).table:
            written(found)


def read_segments(name: str, data: str) -> None:
    """Split a table into segments of a few rows, and read each of them."""
    stored: BufferedReader = BufferedReader(BytesIO(data.encode()), SNIFF_BYTES)
    options = ReadOptions(segment_bytes=100)
    found = line_format(name, "", stored.peek())
    assert found is not None
    segments: list[bytes] = []
    table = split(Content(stored, options), found, options, lambda _, segment: segments.append(segment))
    for index, segment in enumerate(segments):
        list(table.rows(index, segment, options))


def choose(values: Iterable[tuple[str, object]]) -> None:
    """Choose the review field among values, each with the name of its field."""
    sample = FieldSample()
    for path, value in values:
        sample.add(path, value)
    with suppress(SourceError):
        select_review_field(sample, OPTIONS)


def parse_footer(fields: bytes) -> None:
    """Parse these bytes as the footer of a Parquet file."""
    with suppress(SourceError):
        read_footer(b"PAR1" + fields + len(fields).to_bytes(4, "little") + b"PAR1")


def column(values: list[Any]) -> pa.Table:
    return pa.table({"review": pa.array(values, pa.string())})


def wide(count: int) -> pa.Table:
    return pa.table({f"column {number}": [GOOD] for number in range(count)})


# The content of files of about n parts, by their names.
FILES: Mapping[str, Callable[[int], bytes | str]] = {
    "rows.xlsx": lambda n: with_sheet_xml(HEADER_XML + ROW_XML * n),
    "columns.xlsx": lambda n: with_sheet_xml(f"<row>{text_cell(GOOD) * n}</row>" * 2),
    "equal names.xlsx": lambda n: with_sheet_xml(f"<row>{text_cell('1') * n}</row>{ROW_XML}"),
    "names that are numbers.xlsx": lambda n: with_sheet_xml(
        f"<row>{text_cell('') * n}{''.join(text_cell(str(k)) for k in range(n))}</row>{ROW_XML}"
    ),
    "blank rows.xlsx": lambda n: with_sheet_xml(f'{HEADER_XML}{"<row/>" * n}<row r="{n}"/>{ROW_XML}'),
    "titles.xlsx": lambda n: with_sheet_xml(f"<row>{text_cell('a')}</row>" * n + HEADER_XML + ROW_XML),
    "formats after the table.xlsx": lambda n: with_sheet_xml(
        HEADER_XML + ROW_XML.replace("</row>", '<c s="1"></c>' * n + "</row>") * 2
    ),
    "sheets.xlsx": lambda n: workbook(*[SHEET] * (n // 8)),
    "rows.parquet": lambda n: parquet(column([GOOD] * n * 4)),
    "missing values.parquet": lambda n: parquet(column([None] * n * 4 + [GOOD])),
    "row groups.parquet": lambda n: parquet(column([GOOD] * (n // 2)), row_group_size=1),
    "columns.parquet": lambda n: parquet(wide(n)),
    "nested columns.parquet": lambda n: parquet(pa.table({"a": wide(n).to_struct_array()})),
    "columns.csv": lambda n: f"{','.join(f'c{k}' for k in range(n))}\n{',1' * n}\n",
    "columns of years.csv": lambda n: (
        ",".join(f"19{k % 90 + 10}" for k in range(n)) + f"\n{GOOD[:11]}{',1' * (n - 1)}"
    ),
    "equal names.csv": lambda n: "review," * n + "\n" + f"{GOOD[:10]}," * n,
    "titles.csv": lambda n: f"{GOOD}\n" * n + "id,review\n1,good\n",
    "notes.csv": lambda n: "id,review,x\n1,good,2\n\n" + "We mean it.\n" * n,
    "blank rows.csv": lambda n: "id,review\n1,good\n" + ",\n\n" * n,
    "bytes that are no text.csv": lambda n: b"id,review\n1,good\n" + b"2,\x81\n" * n,
    "UTF-16.csv": lambda n: ("id,review\n" + "1,good\n" * n).encode("utf-16"),
    "carriage returns.csv": lambda n: "id,review\r" + "1,good\r" * n,
    "joined lines.tsv": lambda n: "id\treview\n1\tgood" + "\\\n" * n,
    "joined rows.tsv": lambda n: "id\treview\n" + "1\tgood\\n\\\n2\t\n" * n,
    "blank lines.jsonl": lambda n: f'{{"review": "{GOOD}"}}' + "\n" * n,
    "broken lines.jsonl": lambda n: f'{{"review": "{GOOD}"}}\n' + '{"review": \n' * n,
    "lines.txt": lambda n: f"{GOOD}\n" * n,
    "delimiters.txt": lambda n: "a|b\tc;d,e\n" * n,
    "front matter.md": lambda n: "---\r\na: b\r\n\r\n" * n,
    "markup.md": lambda n: "> - [![*a*](b)](c) **\n===\n" * n,
    "tags.html": lambda n: "<p><b a='>'>good</i><script/><!--" * n,
    "tags": lambda n: "<!-- a -->\n<b><a>" * n,
    "fields of an e-mail": lambda n: "X-Field: a\n b\n" * n,
    "members of an archive": lambda n: b"PK\x03\x04x\xff\xff" * n,
    "parts of an old document": lambda n: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"W\0o\0r\0d\0" * n,
}  # fmt: skip
# Calls whose work grows with n.
CALLS: Mapping[str, Callable[[int], Callable[[], object]]] = {
    "segments of CSV": lambda n: partial(read_segments, "a.csv", "id,review\n" + '1,"good\n"\n\n' * n),
    "segments of JSON Lines": lambda n: partial(read_segments, "a.jsonl", f'{{"review": "{GOOD}"}}\n\n' * n),
    "footer of fields": lambda n: partial(parse_footer, b"\x11" * n),
    "footer of structs": lambda n: partial(parse_footer, b"\x49\xfc\xff\xff\x03" + bytes(n)),
    "footer of lists": lambda n: partial(parse_footer, b"\x49" + b"\xf9\xff\xff\x03" * n),
    "review field: values": lambda n: partial(choose, [("a", GOOD)] * n),
    "review field: words": lambda n: partial(choose, [("a", "It was good. " * n)] * 9),
    "review field: other values": lambda n: partial(choose, [("a", k) for k in range(n)]),
    "review field: fields": lambda n: partial(choose, [(f"a.b{k}", GOOD) for k in range(n)] * 3),
    "review field: titles": lambda n: partial(choose, [(f"title {k}", GOOD) for k in range(n)] * 3),
    "review field: quotes": lambda n: partial(
        choose, [(f"a{k}.{name}", GOOD) for k in range(n) for name in ("quote", "client")] * 3
    ),
    "review field: names of many words": lambda n: partial(choose, [("review of " * n, GOOD)] * 3),
    "review field: long words in names": lambda n: partial(choose, [("review" * n, GOOD)] * 3),
    "review field: nested fields": lambda n: partial(choose, [("reply.reviews[]." * n, GOOD)] * 3),
    "members of gzip": lambda n: partial(decompress, COMPRESSIONS[0].compress(b"a") * n, 10**9),
    "members of zstd": lambda n: partial(decompress, COMPRESSIONS[1].compress(b"a") * n, 10**9),
}


def assert_linear(work: Callable[[int], int], size: int) -> None:
    work(8)  # imports libraries
    small, large = work(size), work(4 * size)

    assert large <= 4.1 * small


@pytest.mark.parametrize("name", FILES)
def test_reading_a_file_takes_work_in_proportion_to_its_size(name: str) -> None:
    assert_linear(lambda size: lines_executed(partial(read, name, FILES[name](size))), 40)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_part_of_a_reader_takes_work_in_proportion_to_the_size(
    call: Callable[[int], Callable[[], object]],
) -> None:
    def work(size: int) -> int:
        prepared = call(size)  # which is not part of the work
        return lines_executed(prepared)

    assert_linear(work, 40)


@pytest.mark.parametrize("way", COMPRESSIONS, ids=lambda way: way.name)
@pytest.mark.parametrize("content", ["members", "frames without data", "zeros", "other data"])
def test_decompressors_get_each_byte_a_constant_number_of_times(way: Compression, content: str) -> None:
    parts = {
        "members": way.compress(b"a"),
        "frames without data": SKIPPABLE,
        "zeros": b"\0" * 40,
        "other data": b"other " * 5,
    }
    passed = 0

    class Counted:
        """A decompressor that counts the bytes that it gets."""

        def __init__(self) -> None:
            self.member = way.decompressor()

        def decompress(self, data: bytes, size: int) -> bytes:
            nonlocal passed
            passed += len(data)
            return self.member.decompress(data, size)

        @property
        def eof(self) -> bool:
            return self.member.eof

        @property
        def unused_data(self) -> bytes:
            return self.member.unused_data

    def bytes_passed(count: int) -> int:
        nonlocal passed
        passed = 0
        data = way.compress(b"a") + parts[content] * count
        counted = replace(way, decompressor=Counted)
        DecompressedStream(BytesIO(data), counted, 10**9, chunk_bytes=256).readall()
        return passed

    assert_linear(bytes_passed, 500)


def test_names_in_an_archive_do_not_overlap_without_end() -> None:
    assert_linear(lambda count: sum(map(len, zip_members(b"PK\x03\x04x\xff\xff" * count))), 2000)
