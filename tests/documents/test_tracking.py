"""How much of a table has been read, for showing progress."""

import gzip
import io
import json
from collections.abc import Callable

import pandas as pd
import pytest

from reviewbox.documents import ReadOptions, read_document

ROWS = [
    {"id": number, "review": f"Ещё один отзыв, number {number}, and it is good."} for number in range(200)
]


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    content = io.BytesIO()
    write(content)
    return content.getvalue()


FRAME = pd.DataFrame(ROWS)
LINES = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in ROWS)
CSV = FRAME.to_csv(index=False)
TABLES = {
    "a.csv": CSV.encode(),
    "a.csv.gz": gzip.compress(CSV.encode()),
    "latin.csv": CSV.replace("Ещё один отзыв", "café").encode("latin-1"),
    "wide.csv": FRAME.replace("Ещё один отзыв", "one", regex=True).to_csv(index=False).encode("utf-16"),
    "a.jsonl": LINES.encode(),
    "a.json": json.dumps(ROWS, ensure_ascii=False).encode(),
    "a.xlsx": saved(lambda file: FRAME.to_excel(file, index=False)),
    "a.parquet": saved(FRAME.to_parquet),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_share_of_a_table_that_has_been_read_grows_to_all_of_it(name: str) -> None:
    options = ReadOptions(fallback_encoding="windows-1252")

    shares = [share for _, share in read_document(name, "", TABLES[name], options).rows_with_shares()]

    assert len(shares) == 200
    assert shares == sorted(shares)
    assert shares[0] < 0.02
    assert shares[99] == pytest.approx(0.5, abs=0.06)
    assert 0.95 < shares[-1] <= 1


def test_a_single_review_is_read_at_once() -> None:
    document = read_document("a.txt", "", b"A good film.", ReadOptions())

    assert [(row.text, share) for row, share in document.rows_with_shares()] == [("A good film.", 1)]
