"""Tables that common libraries write yield the same reviews, and come back with the same fields."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbox.documents import ReadOptions, read_document
from reviewbox.documents.compression import COMPRESSIONS, decompress
from reviewbox.model.verdicts import Verdict
from reviewbox.results.added_fields import AddedFields

FIELDS = ["id", "shop", "review"]
_VERDICT = Verdict("positive", 0.9, {"negative": 0.1, "positive": 0.9}, 7, 1, 0.98)

Rows = list[dict[str, str]]


def _by_csv(**options: Any) -> Callable[[Rows], bytes]:
    def write(rows: Rows) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, **options)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()

    return write


def _from_csv(**options: Any) -> Callable[[bytes], list[dict[str, Any]]]:
    return lambda data: list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), **options))


def _to_workbook(rows: Rows) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(FIELDS)
    for row in rows:
        sheet.append([row[field] for field in FIELDS])
        for cell in sheet[sheet.max_row]:
            cell.data_type = "s"  # not a formula
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _from_workbook(data: bytes) -> list[dict[str, Any]]:
    header, *rows = openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def _to_parquet(rows: Rows) -> bytes:
    target = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(rows), target)
    return target.getvalue()


def _from_parquet(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.parquet.read_table(io.BytesIO(data)).to_pylist()
    return rows


def _from_lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


# How a table is written, and how its result is read, by the extension.
LIBRARIES: Mapping[str, tuple[Callable[[Rows], bytes], Callable[[bytes], list[dict[str, Any]]]]] = {
    "csv": (_by_csv(quoting=csv.QUOTE_ALL), _from_csv()),
    "tsv": (_by_csv(delimiter="\t", quoting=csv.QUOTE_ALL), _from_csv(delimiter="\t")),
    "jsonl": (lambda rows: "".join(f"{json.dumps(row)}\n" for row in rows).encode(), _from_lines),
    "json": (lambda rows: json.dumps(rows, ensure_ascii=False, indent=1).encode(), _from_lines),
    "xlsx": (_to_workbook, _from_workbook),
    "parquet": (_to_parquet, _from_parquet),
}  # fmt: skip

# What XML, and so a workbook, cannot contain is left out.
_TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Cn"]) | st.sampled_from(",;\"'\\|\t\n"), max_size=30
)
ROWS = st.lists(
    st.builds(
        lambda number, shop, text: {
            "id": str(number),
            "shop": shop,
            "review": f"It was a good stay, and we {text.strip()} will come again.",
        },
        st.integers(1, 10**6),
        st.sampled_from(["Berlin", "Paris, Texas", 'the "old" mill', "Zürich", "a\tb"]),
        _TEXT,
    ),
    min_size=1,
    max_size=8,
)


@given(
    rows=ROWS, extension=st.sampled_from(sorted(LIBRARIES)), compressed=st.sampled_from([None, *COMPRESSIONS])
)
@settings(deadline=None, max_examples=40, derandomize=True)
def check_table(rows: Rows, extension: str, compressed: Any) -> None:
    """Write rows with a library, read them, write the result, and read that with the library."""
    write, read = LIBRARIES[extension]
    data = write(rows)
    suffix = compressed.extensions[0] if compressed else ""

    document = read_document(
        f"a.{extension}{suffix}", "", compressed.compress(data) if compressed else data, ReadOptions()
    )

    table = document.table
    assert table is not None
    found = list(document.rows)
    assert str(document.notes()["text_field"]).endswith("review")
    assert [row.text.splitlines() for row in found] == [row["review"].splitlines() for row in rows]
    added = AddedFields(table, 0.7)
    writer = table.open_writer(added.names)
    for row in found:
        writer.write(row, added.values(row, _VERDICT))
    body = writer.finish()
    assert table.extension.endswith(suffix)
    body = decompress(table.compress(body), 10**9).data
    results = read(body)
    assert [{field: row[field] for field in FIELDS} for row in results] == rows
    assert {row["sentiment"] for row in results} == {"positive"}
