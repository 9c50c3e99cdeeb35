"""Generates files of every format, encoding, compression and fault from a seed.

    python tests/dropped_files.py FOLDER [SEED]

writes them for `make demo REVIEWS=FOLDER` and `reviewbox classify FOLDER`. The reviews are generated
from a few phrases. Each file has its expected outcome.
"""

import csv
import gzip
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OPENINGS = {
    "kitchen/kettle": "I bought this kettle in spring and use it every day.",
    "kitchen/knife": "The knife came in a plain box, two days late.",
    "films/harbour": "We saw it on a rainy Sunday, in a half-empty cinema.",
    "films/heist": "It is the third film about the same bank.",
    "hotels/station": "We stayed three nights, on the second floor.",
    "hotels/lake": "My sister had booked the room with the balcony.",
    "apps/budget": "I have used this app since the last update.",
    "flights/evening": "Seat 14C, evening flight, hand luggage only.",
    "restaurants/corner": "We were four, on a Friday, without a booking.",
    "clothing/coat": "I ordered the coat in blue, one size up.",
}
PRAISE = (
    "It is wonderful and I would buy it again at once.",
    "Everything about it was a pleasure, from the first minute to the last.",
    "I love it; nothing I have tried comes close.",
    "The staff were kind, quick and funny \u2013 a delight.",
    "Absolutely worth the money, and better than the pictures.",
    "Not bad at all: in fact it is the best I ever had.",
)
BLAME = (
    "It broke within a week and nobody answered my letters.",
    "A complete waste of money, dull and badly made.",
    "I hated every minute of it and wanted my evening back.",
    "The worst service I have met with, rude and slow.",
    "Don't bother: it neither works nor looks like the pictures.",
    "It smelled, it leaked, and it was dirty when it came. Terrible.",
)
DEEP = 10_000
LONG_LINE = 5_000_000
HUGE_LINE = 100_000_000
BOMB = 64_000_000


@dataclass(frozen=True)
class Dropped:
    """A file and its expected outcome.

    Attributes:
        name: the path below the folder.
        data: the bytes.
        rows: the number of reviews; 1 for a single review, or if the whole file is refused.
        errors: the number of reviews without a verdict, by error code.
    """

    name: str
    data: bytes
    rows: int = 1
    errors: Counter[str] = field(default_factory=Counter)


class Reviewer:
    """Generates reviews."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret

    def review(self, sentences: int = 3) -> str:
        """Return a review with this number of sentences: a neutral one, then all praise or all blame."""
        mood = self._random.choice((PRAISE, BLAME))
        opening = self._random.choice(list(OPENINGS.values()))
        return " ".join([opening, *(self._random.choice(mood) for _ in range(sentences - 1))])

    def rows(self, count: int) -> list[dict[str, object]]:
        """Return the rows of a shop's table."""
        return [
            {
                "id": 1000 + number,
                "product": self._random.choice(list(OPENINGS)),
                "price": round(self._random.uniform(3, 300), 2),
                "text": self.review(self._random.randint(2, 4)),
            }
            for number in range(count)
        ]

    def noise(self, size: int) -> bytes:
        """Return random bytes, like those of a compressed image."""
        return self._random.randbytes(size)


def delimited(rows: Sequence[dict[str, object]], **options: object) -> str:
    """Return rows as `csv` writes them, with a header unless `header` is false."""
    text = io.StringIO()
    header = options.pop("header", True)
    writer = csv.writer(text, **{"lineterminator": "\n", **options})  # type: ignore[arg-type]
    if header:
        writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def lines(rows: Iterable[object]) -> str:
    """Return rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def gzipped(text: str) -> bytes:
    """Compress a text with gzip, without a timestamp."""
    return gzip.compress(text.encode(), mtime=0)


def zstandard(text: str) -> bytes:
    """Compress a text with zstd."""
    return zstd.compress(text.encode())


def refused(name: str, data: bytes, code: str) -> Dropped:
    """Return a file that is refused with this error code."""
    return Dropped(name, data, errors=Counter([code]))


def make_files(seed: int) -> list[Dropped]:
    """Return the files of a seed."""
    reviewer = Reviewer(seed)
    return [*texts(reviewer), *json_tables(reviewer), *delimited_tables(reviewer), *faults(reviewer)]


def texts(reviewer: Reviewer) -> list[Dropped]:
    """Return files that are one review each."""
    review = reviewer.review
    files = [
        Dropped(f"texts/{name.replace('/', '_')}.txt", f"{review()}\n".encode())
        for name in list(OPENINGS)[:5]
    ]
    page = (
        '<!DOCTYPE html>\n<html><head><meta charset="{charset}"><title>Terrible awful page</title>'
        "<script>var worst = '<p>awful</p>';</script></head>\n<body><!-- hated it -->"
        "<h1>My stay</h1><p class='review'>{review}</p></body></html>\n"
    )
    return [
        *files,
        Dropped("texts/four words.txt", b"Great value, works well."),
        Dropped("texts/long.txt", " ".join(review(5) for _ in range(40)).encode()),
        Dropped("texts/with mark.txt", review().encode("utf-8-sig")),
        Dropped("texts/UTF16.TXT", review().encode("utf-16")),
        Dropped("texts/utf16 big-endian.txt", b"\xfe\xff" + review().encode("utf-16-be")),
        Dropped("texts/utf32.txt", review().encode("utf-32")),
        Dropped("texts/western.txt", f"Caf\u00e9 \u2013 {PRAISE[0]} \u20ac5 well spent.".encode("cp1252")),
        Dropped("texts/windows line ends.text", review().replace(". ", ".\r\n").encode()),
        Dropped("texts/no extension", review().encode()),
        Dropped("texts/2026.11 Mr. Smith", review().encode()),
        Dropped("texts/unknown.opinion", review().encode()),
        Dropped("texts/emoji \U0001f600.txt", f"{review()} \U0001f600\U0001f44d".encode()),
        Dropped("texts/tags.txt", f"<b>{review()}</b><br /><br />{PRAISE[2]} &amp; more.".encode()),
        Dropped("texts/small.txt.gz", gzipped(review())),
        Dropped("texts/small.txt.zst", zstandard(review())),
        Dropped("texts/packed without saying.txt", gzipped(review())),
        Dropped("pages/page.html", page.format(charset="utf-8", review=review()).encode()),
        Dropped(
            "pages/old.htm",
            page.format(charset="iso-8859-2", review=f"{PRAISE[1]} \u0141adne.").encode("iso-8859-2"),
        ),
        Dropped("pages/page.html.gz", gzipped(page.format(charset="utf-8", review=review()))),
        Dropped("pages/page without extension", page.format(charset="utf-8", review=review()).encode()),
        Dropped(
            "pages/note.md",
            f"---\ntitle: x\n---\n# My stay\n\n- **{review()}**\n- [link](./a.png)\n".encode(),
        ),
        Dropped("pages/note.markdown.zst", zstandard(f"## Kettle\n\n> {review()}\n")),
    ]


def json_tables(reviewer: Reviewer) -> list[Dropped]:
    """Return valid JSON files of every kind."""
    rows = reviewer.rows
    members = [gzipped(lines(rows(5))) for _ in range(2)]
    mixed = lines(rows(3)).encode() + '{"text": "Caf\u00e9 trop cher, et mauvais."}\n'.encode("cp1252")
    return [
        Dropped("json/one.json", json.dumps(rows(1)[0]).encode()),
        Dropped("json/one, indented.json.gz", gzipped(json.dumps(rows(1)[0], indent=2))),
        Dropped("json/array.json", json.dumps(rows(6)).encode(), 6),
        Dropped("json/array, indented.json", json.dumps(rows(6), indent=4).encode(), 6),
        Dropped("json/array.json.zst", zstandard(json.dumps(rows(6), ensure_ascii=False)), 6),
        Dropped("json/array, UTF-16.json", json.dumps(rows(4), ensure_ascii=False).encode("utf-16"), 4),
        Dropped("json/really lines.json", lines(rows(7)).encode(), 7),
        Dropped(
            "json/one after the other.json", "\n".join(json.dumps(r, indent=1) for r in rows(3)).encode(), 3
        ),
        Dropped("json/array.dat", json.dumps(rows(3)).encode(), 3),
        Dropped("json/lines.jsonl", lines(rows(12)).encode(), 12),
        Dropped("json/lines.ndjson", lines(rows(4)).replace("\n", "\r\n\r\n").encode(), 4),
        Dropped("json/lines, UTF-16.jsonl", lines(rows(4)).encode("utf-16"), 4),
        Dropped("json/two members.jsonl.gz", b"".join(members), 10),
        Dropped("json/two encodings.jsonl", mixed, 4),
        Dropped("json/own sentiment.jsonl", lines({"sentiment": 5, **row} for row in rows(3)).encode(), 3),
    ]


def delimited_tables(reviewer: Reviewer) -> list[Dropped]:
    """Return valid CSV and TSV files of every kind."""
    rows = reviewer.rows
    quoted = [{**row, "text": f'She said "{PRAISE[0]}"\nand {row["text"]}'} for row in rows(5)]
    unusual = [{"nr": row["id"], "shop": "Berlin", "verdict in words": row["text"]} for row in rows(6)]
    text_format = "".join(f"{row['id']}\t\\N\t{row['text']}\\nreally\n" for row in rows(4))
    western = [{**row, "text": f"Caf\u00e9 f\u00fcr alle. {row['text']}"} for row in rows(5)]
    return [
        Dropped("tables/plain.csv", delimited(rows(10)).encode(), 10),
        Dropped("tables/quoted line breaks.csv", delimited(quoted).encode(), 5),
        Dropped("tables/all quoted.csv", delimited(rows(5), quoting=csv.QUOTE_ALL).encode(), 5),
        Dropped(
            "tables/excel.csv", delimited(western, delimiter=";", lineterminator="\r\n").encode("cp1252"), 5
        ),
        Dropped("tables/excel utf-8.csv", delimited(western, lineterminator="\r\n").encode("utf-8-sig"), 5),
        Dropped(
            "tables/excel sep.csv", ("sep=;\r\n" + delimited(western, delimiter=";")).encode("cp1252"), 5
        ),
        Dropped("tables/excel unicode.tsv", delimited(western, delimiter="\t").encode("utf-16"), 5),
        Dropped("tables/excel unicode.csv", delimited(western, delimiter="\t").encode("utf-16"), 5),
        Dropped("tables/bars.csv", delimited(rows(5), delimiter="|").encode(), 5),
        Dropped(
            "tables/backslashes.csv",
            delimited(quoted, doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL).encode(),
            5,
        ),
        Dropped("tables/no header.csv", delimited(rows(6), header=False).encode(), 6),
        Dropped("tables/only prose.csv", delimited(unusual).encode(), 6),
        Dropped("tables/index.csv", delimited([{"": n, **row} for n, row in enumerate(rows(4))]).encode(), 4),
        Dropped(
            "tables/one column.csv", ("review\n" + "".join(f"{r['text']}\n" for r in rows(4))).encode(), 4
        ),
        Dropped("tables/old macintosh.csv", delimited(rows(4), lineterminator="\r").encode(), 4),
        Dropped("tables/own fields.csv", delimited([{"score": 1, **row} for row in rows(3)]).encode(), 3),
        Dropped("tables/tabs.tsv", delimited(rows(5), delimiter="\t").encode(), 5),
        Dropped("tables/postgresql.tsv", text_format.encode(), 4),
        Dropped("tables/packed.csv.gz", gzipped(delimited(rows(9))), 9),
        Dropped("tables/packed.csv.zst", zstandard(delimited(rows(9))), 9),
        Dropped("tables/packed.tsv.gz", gzipped(delimited(rows(9), delimiter="\t")), 9),
        Dropped("tables/looks like one", delimited(rows(4)).encode(), 4),
    ]


def faults(reviewer: Reviewer) -> list[Dropped]:
    """Return files with one fault each."""
    rows, review = reviewer.rows, reviewer.review
    ten = delimited(rows(10))
    # Cut in the last row: gzip ends with eight bytes of sums.
    stored = gzip.compress(ten.encode(), compresslevel=0, mtime=0)
    table = lines(rows(4))
    damaged = bytearray(gzipped(ten))
    damaged[len(damaged) // 2] ^= 0xFF
    good = {"text": review()}
    deep = '{"text": "fine", "more": ' + "[" * DEEP + "]" * DEEP + "}\n"
    in_json = [
        ("broken", '{"text": "cut off\n', "broken_json"),
        ("no object", '["a list"]\n', "not_an_object"),
        ("missing", '{"stars": 1}\n', "missing_field"),
        ("null", '{"text": null}\n', "missing_field"),
        ("empty", '{"text": "  "}\n', "empty_review"),
        ("not a number", '{"text": "good", "stars": NaN}\n', ""),
        ("infinite", '{"text": "good", "stars": -Infinity}\n', ""),
        ("huge number", '{"text": "good", "votes": 1e999}\n', "invalid_number"),
        ("surrogate", '{"text": "good \\ud83d"}\n', "lone_surrogate"),
        ("nul", '{"text": "good \\u0000 film"}\n', "nul_character"),
        ("deep", deep, "nested_too_deep"),
        ("long", '{"text": "' + "good " * (LONG_LINE // 5) + '"}\n', "line_too_long"),
    ]
    in_csv = [
        ("ragged", "1,kettle\n2,kettle,3.50,good,really,good\n", {"ragged_row": 2}),
        ("unclosed", '1,kettle,3.50,"It never ends\n', {"unclosed_quote": 1}),
        ("null", "1,kettle,3.50,NULL\n2,kettle,3.50,\\N\n3,kettle,3.50,nan\n", {"missing_field": 3}),
        ("empty", "1,kettle,3.50,\n", {"empty_review": 1}),
    ]
    return [
        *(
            Dropped(
                f"faults/{name}.jsonl", (table + line + table).encode(), 9, Counter([code] if code else [])
            )
            for name, line, code in in_json
        ),
        *(
            Dropped(
                f"faults/{name}.csv",
                (ten + extra + delimited(rows(2), header=False)).encode(),
                12 + sum(codes.values()),
                Counter(codes),
            )
            for name, extra, codes in in_csv
        ),
        Dropped(
            "faults/undecodable.jsonl", table.encode() + b'{"text": "\x81\x8d"}\n', 5, Counter(not_text=1)
        ),
        Dropped(
            "faults/half an array.json", json.dumps([good, good]).encode()[:-1], 3, Counter(broken_json=1)
        ),
        Dropped(
            "faults/array and more.json", json.dumps([good]).encode() + b" }}", 2, Counter(trailing_garbage=1)
        ),
        refused("faults/deep.json", deep.encode(), "nested_too_deep"),
        refused("faults/broken.json", b'{\n  "text": "good",\n', "broken_json"),
        Dropped("faults/cut.csv.gz", stored[:-20], 10, Counter(truncated_file=1)),
        refused("faults/cut.txt.gz", gzipped(review())[:-9], "truncated_file"),
        refused("faults/cut.jsonl.zst", zstandard(table)[:-9], "truncated_file"),
        Dropped("faults/tail.csv.gz", gzipped(ten) + b"tail", 11, Counter(trailing_garbage=1)),
        refused("faults/damaged.csv.gz", bytes(damaged), "corrupt_file"),
        refused("faults/bomb.txt.gz", gzip.compress(b"good " * (BOMB // 5)), "decompression_bomb"),
        refused("faults/bomb.jsonl.zst", zstd.compress(b"good " * (BOMB // 5)), "decompression_bomb"),
        refused(
            "faults/100 MB line.jsonl", b'{"text": "' + b"good " * (HUGE_LINE // 5) + b'"}\n', "line_too_long"
        ),
        refused("faults/noise.bin", reviewer.noise(5000), "binary_file"),
        refused(
            "faults/picture.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + reviewer.noise(500), "unsupported_format"
        ),
        refused("faults/workbook.xlsx", b"PK\x03\x04" + reviewer.noise(500), "unsupported_format"),
        refused("faults/workbook.csv", b"PK\x03\x04" + reviewer.noise(500), "unsupported_format"),
        refused("faults/scan.pdf", b"%PDF-1.7\n" + reviewer.noise(500), "unsupported_format"),
        refused("faults/nul.txt", review().replace(" ", "\0", 1).encode(), "nul_character"),
        refused(
            "faults/half a character.txt", "good \ud83d".encode("utf-16", "surrogatepass"), "lone_surrogate"
        ),
        refused("faults/undecodable.txt", b"good \x81\x8d\x8f film", "not_text"),
        refused("faults/no words.txt", b" \n\t\n", "empty_review"),
        refused("faults/empty.txt", b"", "empty_file"),
        refused("faults/empty.csv.gz", gzip.compress(b"", mtime=0), "empty_file"),
        refused("faults/blank.csv", b"\n\r\n \n", "empty_table"),
        refused("faults/empty array.json", b"[]", "empty_table"),
        refused("faults/header alone.csv", b"id,product,price,text\n", "header_only"),
        refused("faults/no review.csv", b"id,stars\n1,5\n2,4\n", "no_text_field"),
        refused("faults/no review.jsonl", b'{"id": 1, "stars": 5}\n', "no_text_field"),
        refused("faults/two of them.csv", b"id,text,text\n1,good,bad\n", "no_text_field"),
    ]


def write_files(folder: Path, seed: int) -> list[Dropped]:
    """Write the files of a seed below a folder, and return them."""
    files = make_files(seed)
    for dropped in files:
        path = folder / dropped.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dropped.data)
    return files


if __name__ == "__main__":
    written = write_files(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(f"{len(written)} files in {sys.argv[1]}")  # noqa: T201 - it reports to the terminal
