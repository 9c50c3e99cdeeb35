import contextlib
import datetime as dt
import gzip
import io
import os
import signal
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.documents.formats.binary_tables import panicking_parquet, refusal, write_back
from tests.documents.reading import NAMES, OPTIONS

from reviewbox.documents import ReadOptions, read_document
from reviewbox.documents.formats.parquet.decoding import decode
from reviewbox.documents.formats.parquet.segments import split_parquet
from reviewbox.documents.formats.parquet.table import read_cells
from reviewbox.errors import ErrorCode, OutOfTimeError, SourceError

REVIEWS = [
    "The room was clean and the staff was very friendly.",
    "Never again: it was loud, and the bed was broken.",
    None,
    "It was okay, but the breakfast could have been better.",
    "Lovely and quiet, and we will certainly be back!",
]


def parquet(table: pa.Table, **options: Any) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, **options)
    return content.getvalue()


def loaded(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


def repeated(values: list[Any], count: int) -> list[Any]:
    return (values * count)[:count]


def columns_of_every_kind(count: int) -> dict[str, pa.Array]:
    def column(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array(repeated(values, count), kind)

    time = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    return {
        "id": column([1, 2, 3], pa.int64()),
        "stars": column([5, None, 1], pa.int32()),
        "votes": column([7], pa.uint8()),
        "price": column([19.9, None], pa.float64()),
        "paid": column([True, None, False], pa.bool_()),
        "visited": column([dt.date(2024, 5, 6), None], pa.date32()),
        "created": column([time], pa.timestamp("us", tz="Europe/Berlin")),
        "local": column([time.replace(tzinfo=None)], pa.timestamp("ns")),
        "duration": column([dt.timedelta(minutes=3)], pa.duration("us")),
        "time": column([dt.time(7, 8)], pa.time64("us")),
        "amount": column([Decimal("19.90"), None], pa.decimal128(10, 2)),
        "tags": column([["a", "b"], [], None], pa.list_(pa.string())),
        "author": column(
            [{"name": "Ann", "age": 40}, None], pa.struct({"name": pa.string(), "age": pa.int8()})
        ),
        "region": column(["north", "south", None], pa.string()).dictionary_encode(),
        "picture": column([b"\0\xff", None], pa.binary()),
        "code": column([b"1234"], pa.binary(4)),
        "comment": column(REVIEWS, pa.string()),
    }


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
@pytest.mark.parametrize("count", [1, 5, 2500])
def test_columns_order_types_and_values_are_unchanged(codec: str, count: int) -> None:
    source = parquet(pa.table(columns_of_every_kind(count)), compression=codec, row_group_size=700)

    result = write_back("a.parquet", source)

    before, after = loaded(source), loaded(result.body)
    assert after.column_names == before.column_names + NAMES
    assert after.select(before.column_names).schema.equals(before.schema, check_metadata=True)
    assert after.select(before.column_names).to_pylist() == before.to_pylist()
    assert [after.schema.field(name).type for name in NAMES] == [
        *(pa.string(), pa.float64(), pa.bool_(), pa.bool_(), pa.string(), pa.string())
    ]
    metadata = pq.ParquetFile(io.BytesIO(result.body)).metadata
    assert metadata.num_row_groups == -(-count // 1000)
    assert metadata.row_group(0).column(0).compression == (
        codec.upper() if codec != "none" else "UNCOMPRESSED"
    )
    assert result.extension == "parquet"


def test_rows_keep_their_order_and_get_their_results() -> None:
    result = write_back("a.parquet", parquet(pa.table({"comment": REVIEWS})))

    assert result.texts == [review or "" for review in REVIEWS]
    assert [row.line for row in result.rows] == [1, 2, 3, 4, 5]
    rows = loaded(result.body).to_pylist()
    assert rows[0] == {
        "comment": REVIEWS[0],
        "sentiment": "positive",
        "score": 0.8765,
        "needs_review": False,
        "other_language": False,
        "error_code": None,
        "error_message": None,
    }
    assert rows[2] == {
        "comment": None,
        "sentiment": None,
        "score": None,
        "needs_review": None,
        "other_language": None,
        "error_code": "missing_field",
        "error_message": "row 3: the review field holds no value, not a review",
    }


def test_pandas_loads_the_same_frame_with_more_columns() -> None:
    frame = pd.DataFrame(
        {
            "rating": pd.array([5, None, 3], "Int64"),
            "region": pd.Categorical(["north", "south", "north"]),
            "created": pd.to_datetime(["2024-05-06", "2024-05-07", None]).tz_localize("Europe/Berlin"),
            "comment": [REVIEWS[0], REVIEWS[1], None],
        },
        index=pd.Index(["a", "b", "c"], name="key"),
    )
    source = io.BytesIO()
    frame.to_parquet(source)

    result = pd.read_parquet(io.BytesIO(write_back("a.parquet", source.getvalue()).body))

    pd.testing.assert_frame_equal(result[list(frame)], frame)
    assert list(result) == [*frame, *NAMES]


def test_duckdb_loads_the_same_columns_with_more_columns(tmp_path: Path) -> None:
    source, target = tmp_path / "source.parquet", tmp_path / "target.parquet"
    source.write_bytes(parquet(pa.table(columns_of_every_kind(5))))
    target.write_bytes(write_back("a.parquet", source.read_bytes()).body)

    def described(path: Path) -> list[tuple[str, str]]:
        rows = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        return [(row[0], row[1]) for row in rows]

    added = dict(zip(NAMES, ["VARCHAR", "DOUBLE", "BOOLEAN", "BOOLEAN", "VARCHAR", "VARCHAR"], strict=True))
    assert described(target) == [*described(source), *added.items()]


def test_what_duckdb_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pa_table = pa.table({"id": [1, 2], "comment": [REVIEWS[0], REVIEWS[1]]})
    with duckdb.connect() as connection:
        connection.register("reviews", pa_table)
        connection.execute(f"COPY reviews TO '{path}' (FORMAT parquet, COMPRESSION zstd)")

    result = write_back("a.parquet", path.read_bytes())

    assert result.texts == [REVIEWS[0], REVIEWS[1]]
    assert loaded(result.body).select(["id", "comment"]).equals(pa_table)


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_every_kind_of_text_column_can_be_the_review(kind: pa.DataType) -> None:
    column = pa.array(REVIEWS, pa.string()).cast(kind)

    result = write_back("a.parquet", parquet(pa.table({"comment": column})))

    assert result.texts == [review or "" for review in REVIEWS]


def test_bytes_that_are_not_text_are_not_a_review() -> None:
    images = [b"\x89PNG\r\n\x1a\n\xff\xfe"] * len(REVIEWS)

    result = write_back("a.parquet", parquet(pa.table({"photo": images, "said": REVIEWS})))

    assert result.notes["text_field"] == "said"
    assert refusal("a.parquet", parquet(pa.table({"photo": images}))).code is ErrorCode.NO_TEXT_FIELD


def test_a_review_inside_a_struct_is_named_by_its_path() -> None:
    records = [{"id": n, "review": {"text": review}} for n, review in enumerate(REVIEWS)] + [{"id": 9}]
    data = parquet(pa.table({"data": records}))

    result = write_back("a.parquet", data)

    assert result.notes["text_field"] == "data.review.text"
    assert result.texts == [review or "" for review in [*REVIEWS, None]]
    named = write_back("a.parquet", data, ReadOptions(text_field="data.review.text"))
    assert named.notes["text_field_by"] == "setting"
    assert named.texts == result.texts


def test_several_fields_are_joined() -> None:
    table = pa.table({"pros": ["Quiet.", None, None], "cons": ["Too small.", "Dirty.", None]})

    result = write_back("a.parquet", parquet(table), ReadOptions(text_field="pros,cons"))

    assert result.texts == ["Quiet.\n\nToo small.", "Dirty.", ""]


def test_values_that_are_no_reviews_get_an_error_in_their_row() -> None:
    reviews = [REVIEWS[0], None, "NULL", "half\0past", REVIEWS[1]]

    result = write_back("a.parquet", parquet(pa.table({"comment": reviews})))

    codes = [row.problem and row.problem.code for row in result.rows]
    missing, nul = ErrorCode.MISSING_FIELD, ErrorCode.NUL_CHARACTER
    assert codes == [None, missing, missing, nul, None]
    assert result.counts.errors == {missing: 2, nul: 1}
    assert all(row.problem.message.startswith(f"row {row.line}: ") for row in result.rows if row.problem)


def test_an_added_column_never_replaces_the_users() -> None:
    table = pa.table({"comment": REVIEWS, "score": [1, 2, 3, 4, 5], "sentiment": list("abcde")})

    after = loaded(write_back("a.parquet", parquet(table)).body)

    assert after.select(table.column_names).equals(table)
    assert after.column_names[3:5] == ["reviewbox_sentiment", "reviewbox_score"]


def test_a_compressed_file_comes_back_compressed() -> None:
    source = parquet(pa.table({"comment": REVIEWS}))

    result = write_back("a.parquet.gz", gzip.compress(source))

    assert result.extension == "parquet.gz"
    assert loaded(gzip.decompress(result.body)).num_rows == len(REVIEWS)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a"])
def test_the_content_decides_whatever_the_name(name: str) -> None:
    assert write_back(name, parquet(pa.table({"comment": REVIEWS}))).extension == "parquet"


def test_the_result_is_the_same_every_time() -> None:
    source = parquet(pa.table(columns_of_every_kind(5)).replace_schema_metadata({"b": "1", "a": "2"}))

    assert write_back("a.parquet", source).body == write_back("a.parquet", source).body
    assert {b"a", b"b"} <= set(loaded(write_back("a.parquet", source).body).schema.metadata)


def test_a_table_without_rows_is_refused() -> None:
    empty = parquet(pa.table({"comment": pa.array([], pa.string())}))

    assert refusal("a.parquet", empty).code is ErrorCode.HEADER_ONLY


def test_a_table_without_text_is_refused_and_its_columns_are_listed() -> None:
    problem = refusal("a.parquet", parquet(pa.table({"id": [1, 2], "stars": [3, 4]})))

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'stars'" in problem.message


def test_a_table_with_too_many_rows_is_refused_before_it_is_read() -> None:
    problem = refusal("a.parquet", parquet(pa.table({"comment": REVIEWS})), ReadOptions(max_rows=4))

    assert problem.code is ErrorCode.TOO_LARGE


def test_a_decompression_bomb_is_refused_before_it_is_read() -> None:
    table = pa.table({"comment": REVIEWS[:1] * 100_000, "zeros": [0] * 100_000})
    bomb = parquet(table, compression="gzip", use_dictionary=False, compression_level=9)

    assert refusal("a.parquet", bomb, ReadOptions(max_bytes=1_000_000)).code is ErrorCode.DECOMPRESSION_BOMB


@pytest.mark.parametrize("name", ["a.parquet", "a"])
def test_a_damaged_file_is_refused(name: str) -> None:
    source = parquet(pa.table({"comment": REVIEWS}))
    damaged = [
        source[:60],
        source[:-20],
        source[:-8] + b"\xff\xff\xff\xff" + source[-4:],
        source[:-60] + bytes(52) + source[-8:],
        source[:4] + bytes(80) + source[84:],
    ]

    assert {refusal(name, data).code for data in damaged} == {ErrorCode.CORRUPT_FILE}


def test_every_byte_of_the_footer_may_be_damaged() -> None:
    """Damage gives a result or a refusal, and nothing else. It also makes positions negative."""
    source = parquet(pa.table({"comment": REVIEWS, "id": [1, 2, 3, 4, 5]}), store_schema=False)
    size = int.from_bytes(source[-8:-4], "little")

    for offset in range(len(source) - 8 - size, len(source) - 8):
        damaged = bytearray(source)
        damaged[offset] ^= 0x15
        with contextlib.suppress(SourceError):
            write_back("a.parquet", bytes(damaged), OPTIONS)
        with contextlib.suppress(SourceError):
            list(read_cells(bytes(damaged), OPTIONS))


def test_a_whole_footer_that_exceeds_the_limit_is_too_large_and_not_damaged() -> None:
    source = parquet(pa.table({"comment": REVIEWS}))
    codes = []
    for data in (source, source[:-8] + b"\xff\xff\xff\x00PAR1", source[:-4] + b"PAR2"):
        with pytest.raises(SourceError) as raised:
            split_parquet(io.BytesIO(data), ReadOptions(max_bytes=1), lambda *_: None)
        codes.append(raised.value.problem.code)

    assert codes == [ErrorCode.TOO_LARGE, ErrorCode.CORRUPT_FILE, ErrorCode.CORRUPT_FILE]


def test_an_encrypted_file_is_refused() -> None:
    source = parquet(pa.table({"comment": REVIEWS}))

    problem = refusal("a.parquet", b"PARE" + source[4:-4] + b"PARE")

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "encrypted" in problem.message


def test_a_page_at_which_the_library_ends_its_process_fails_its_file_only() -> None:
    source = parquet(pa.table({"comment": REVIEWS}))

    assert refusal("a.parquet", panicking_parquet()).code is ErrorCode.CORRUPT_FILE
    assert write_back("a.parquet", source).texts == [review or "" for review in REVIEWS]


@pytest.mark.parametrize("damage", [0x01, 0x80])
def test_every_byte_of_a_page_may_be_damaged(damage: int) -> None:
    """Damage gives a result or a refusal. Some of these bytes make the library end its process."""
    codes = pa.array([b"123456"] * 40, pa.binary(6))
    table = pa.table({"comment": (REVIEWS * 8)[:40], "id": range(40), "code": codes})
    encodings = {"comment": "DELTA_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED", "code": "PLAIN"}
    source = parquet(table, compression="none", use_dictionary=False, column_encoding=encodings)
    footer = len(source) - 8 - int.from_bytes(source[-8:-4], "little")

    for offset in range(4, footer, 5):
        damaged = bytearray(source)
        damaged[offset] ^= damage
        with contextlib.suppress(SourceError):
            write_back("a.parquet", bytes(damaged), OPTIONS)


def test_splitting_stops_when_the_time_is_over() -> None:
    source = parquet(pa.table({"comment": [f"Good room {number}." for number in range(9000)]}))
    segments: list[int] = []

    def check_time() -> None:
        if segments:
            raise OutOfTimeError("no time")

    options = replace(OPTIONS, segment_bytes=10_000, check_time=check_time)
    with pytest.raises(OutOfTimeError):
        split_parquet(io.BytesIO(source), options, lambda index, _: segments.append(index))

    assert len(segments) <= 4


def test_files_can_be_read_at_the_same_time() -> None:
    """Even if one of them is not read to its end."""
    texts = {name: [f"Good room {name}{number}." for number in range(700)] for name in "abc"}
    rows = {
        name: read_document(name, "", parquet(pa.table({"comment": texts[name]})), OPTIONS).rows
        for name in texts
    }

    next(rows.pop("c"))

    read = list(zip(rows["a"], rows["b"], strict=True))
    assert [one.text for one, _ in read] == texts["a"]
    assert [other.text for _, other in read] == texts["b"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes as Linux lists them")
def test_a_decoder_that_is_killed_does_not_make_the_file_invalid() -> None:
    """A system without memory does that. Another attempt may succeed."""

    class KillingFile(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            for task in Path("/proc/self/task").iterdir():
                for child in (task / "children").read_text().split():
                    if b"decoder.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(int(child), signal.SIGKILL)
            return super().read(size)

    with pytest.raises(MemoryError):
        list(decode(KillingFile(parquet(pa.table({"comment": REVIEWS}))), 100))
