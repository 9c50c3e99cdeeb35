"""Files of every format and with every error. Each field contains a text that occurs nowhere else."""

import gzip
import io
import itertools
import json
from collections.abc import Mapping

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl.comments import Comment

from reviewbox.documents.compression import COMPRESSIONS

# A canary is one of these words and a number. What the content of an object holds:
VALUE = "zvalue"
# What its columns, fields and sheets are called. Receipts may name them.
NAME = "zname"
# What belongs to an object or its notification, besides the bucket, the key and the content.
EXTRA = "zextra"
# What somebody may send instead of an event.
EVENT = "zevent"

_NUMBERS = itertools.count(1000)
_GZIP, _ZSTD = COMPRESSIONS


def canary(kind: str) -> str:
    """Return a text of this kind that was never returned before."""
    return f"{kind}{next(_NUMBERS)}"


def value() -> str:
    """Return a text for a field that is not the review."""
    return canary(VALUE)


def name() -> str:
    """Return the name of a field."""
    return canary(NAME)


def review(kind: str = VALUE) -> str:
    """Return a review with canaries of this kind."""
    return f"It was {canary(kind)} and good, and we will come again with {canary(kind)}."


def _delimited(delimiter: str, rows: int = 4) -> str:
    header = delimiter.join(["id", name(), "review"])
    return "\n".join([header, *(delimiter.join([value(), value(), review()]) for _ in range(rows)), ""])


def _object() -> dict[str, object]:
    return {"id": value(), name(): value(), "review": review(), "more": {name(): [value(), value()]}}


def _lines(rows: int = 4) -> str:
    return "".join(f"{json.dumps(_object())}\n" for _ in range(rows))


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    book.properties.creator, book.properties.title = value(), value()
    sheet = book.active
    sheet.title = name()
    sheet.append(["id", name(), "review"])
    for _ in range(4):
        sheet.append([value(), value(), review()])
    sheet["A2"].comment = Comment(value(), value())
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _parquet() -> bytes:
    rows = [{"id": value(), "shop": value(), "review": review()} for _ in range(4)]
    table = pa.Table.from_pylist(rows).replace_schema_metadata({name(): value()})
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def _gzip_with_a_name(text: str) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(value(), "wb", fileobj=target, mtime=0) as file:
        file.write(text.encode())
    return target.getvalue()


def valid_files() -> Mapping[str, bytes]:
    """Return a file of every format and compression."""
    page = f'<html lang="{value()}"><head><title>{value()}</title><script>{value()}</script></head>'
    body = f'<body><!-- {value()} --><p class="{value()}">{review()}</p></body></html>'
    columns = [name(), "review"]
    texts = {
        "a.txt": review(),
        "a.md": f"---\ntitle: {value()}\n---\n# {value()}\n\n[{review()}](https://{value()}.example)\n",
        "a.html": page + body,
        "one.json": json.dumps(_object()),
        "array.json": json.dumps([_object() for _ in range(4)], indent=1),
        "nested.json": json.dumps({name(): value(), "data": {"reviews": [_object() for _ in range(4)]}}),
        "split.json": json.dumps({"columns": columns, "data": [[value(), review()] for _ in range(4)]}),
        "ids.json": json.dumps({value(): _object() for _ in range(4)}),
        "python.jsonl": "".join(f"{_object()!r}\n" for _ in range(4)),
        "a.jsonl": _lines(),
        "titles.jsonl": f"{_lines()}{json.dumps({'title': review(), 'review': ''})}\n",
        "a.csv": _delimited(","),
        "a.tsv": _delimited("\t"),
        "notes.txt": _delimited(";"),
        "report.csv": f"{review()}\n\n{_delimited(',')}\n{review()}\n",
        "no header.csv": "".join(f"{number},{value()},{review()}\n" for number in range(6)),
        "postgresql.tsv": "".join(f"{number}\t\\N\t{review()}\\n{value()}\n" for number in range(6)),
        "large.csv": _delimited(",", 40),
        "large.jsonl": _lines(20),
    }
    files = {file: text.encode() for file, text in texts.items()}
    files |= {
        f"{file}.gz": _GZIP.compress(files[file]) for file in ("a.txt", "array.json", "a.csv", "a.jsonl")
    }
    files |= {f"{file}.zst": _ZSTD.compress(files[file]) for file in ("a.html", "a.tsv", "large.csv")}
    return files | {
        "named.csv.gz": _gzip_with_a_name(_delimited(",")),
        "utf-16.csv": _delimited(";").encode("utf-16"),
        "windows.csv": _delimited(";").replace("good", "caf\u00e9").encode("cp1252"),
        "a.xlsx": _workbook(),
        "a.parquet": _parquet(),
    }


def faulty_files(max_bytes: int) -> Mapping[str, bytes]:
    """Return files with every error that a file can have, where objects may have `max_bytes`."""
    table, lines = _delimited(",").encode(), _lines().encode()
    stored = gzip.compress(table, compresslevel=0, mtime=0)
    damaged = bytearray(gzip.compress(_lines().encode(), mtime=0))
    damaged[len(damaged) // 2] ^= 0xFF
    secret = value().encode()
    return {
        "empty file.txt": b"",
        "empty table.csv": b"\n\n",
        "header only.csv": f"{name()},review\n".encode(),
        "binary file.txt": secret + b"\1\2\3\4\5\6" * 50,
        "unsupported format.pdf": b"%PDF-1.7\n" + secret,
        "unsupported format.zip": b"PK\x03\x04" + bytes(22) + secret,
        "bomb.txt.gz": _GZIP.compress(secret + b" good" * 400_000),
        "bomb.jsonl.zst": _ZSTD.compress(lines + b"good " * 400_000),
        "corrupt file.jsonl.gz": bytes(damaged),
        "corrupt file.parquet": _parquet()[:-20] + b"PAR1",
        "corrupt file.xlsx": _workbook()[:-30],
        "no text field.csv": f"{name()},{name()}\n{value()},1\n{value()},2\n".encode(),
        "two text fields.csv": f"{name()},{name()}\n{review()},{review()}\n{review()},{review()}\n".encode(),
        "no text field.json": json.dumps([{name(): value(), name(): 1}] * 3).encode(),
        "empty review.txt": b" \n",
        "empty review.csv": table + f"{value()},{value()},\n".encode(),
        "too large.txt": (review() + "\n").encode() * (max_bytes // 50),
        "not text.csv": table + b"1,2,\x81\x8d" + secret + b"\n",
        "not text.txt": b"\x81\x8d\x8f " + secret,
        "nul character.jsonl": lines + json.dumps({"review": f"{value()}\0 good"}).encode(),
        "nul character.txt": secret + b" good\0 film",
        "lone surrogate.jsonl": lines + b'{"review": "good ' + secret + b' \\ud83d"}\n',
        "truncated file.csv.gz": stored[:-40],
        "truncated file.txt.gz": _GZIP.compress(review().encode())[:-9],
        "trailing garbage.csv.gz": _GZIP.compress(table) + secret,
        "trailing garbage.json": json.dumps([_object()]).encode() + secret,
        "line too long.csv": table + secret + b"x" * max_bytes + b"\n",
        "missing field.jsonl": lines + json.dumps({name(): value()}).encode() + b'\n{"review": 3}\n',
        "missing field.csv": table + f"{value()},{value()},NULL\n".encode(),
        "broken json.jsonl": lines + b'{"review": "' + secret + b"\n" + b"{" + secret + b": 1}\n",
        "broken json.json": b'{\n  "review": "' + secret + b'",\n',
        "half an array.json": json.dumps([_object(), _object()]).encode()[:-20],
        "nested too deep.jsonl": lines
        + b'{"review": "'
        + secret
        + b'", "a": '
        + b"[" * 600
        + b"]" * 600
        + b"}\n",
        "invalid number.jsonl": lines + json.dumps({"review": review(), "a": 0}).encode()[:-2] + b"1e999}\n",
        "not an object.jsonl": lines + json.dumps([value()]).encode() + b'\n"' + secret + b'"\n',
        "ragged row.csv": table + f"{value()}\n{value()},{value()},{value()},{value()},{value()}\n".encode(),
        "unclosed quote.csv": f'id,review\n1,"{review()}"\n2,"{review()}"\n3,"{review()}\n'.encode(),
    }
