"""Exports of common tools are returned with the same columns and types."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3

from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.process_object import Outcome
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage

ADDED = ["sentiment", "score", "needs_review", "other_language", "error_code", "error_message"]

FRAME = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "product": ["kettle", 'the "best" lamp', None, "chair, blue"],
        "price": [19.99, 5.0, None, 1e-7],
        "bought": pd.to_datetime(["2024-01-31", "2024-02-29", "2025-12-24", "2026-10-01"]),
        "verified": [True, False, True, True],
        "zip": ["01234", "99999", "00001", "10000"],
        "text": [
            "the film is good",
            'bad, "awful"\nfilm, not good, awful',
            "caf\u00e9: a good\tgood film \U0001f600",
            "the film; bad bad",
        ],
    }
)


def csv_reader(**options: object) -> Callable[[bytes], pd.DataFrame]:
    return lambda data: pd.read_csv(io.BytesIO(data), **options)


def json_reader(data: bytes) -> pd.DataFrame:
    frame: pd.DataFrame = pd.read_json(io.BytesIO(data), lines=not data.startswith(b"["))
    return frame


def parquet_reader(data: bytes) -> pd.DataFrame:
    frame: pd.DataFrame = pd.read_parquet(io.BytesIO(data))
    return frame


def workbook_reader(data: bytes) -> pd.DataFrame:
    frame: pd.DataFrame = pd.read_excel(io.BytesIO(data), engine="openpyxl")
    return frame


def by_duckdb(statement: str) -> Callable[[Path], bytes]:
    def export(folder: Path) -> bytes:
        target = folder / "export"
        duckdb.from_df(FRAME).query("reviews", f"COPY (FROM reviews) TO '{target}' ({statement})")
        return target.read_bytes()

    return export


def by_pandas_parquet(folder: Path) -> bytes:
    target = folder / "export"
    FRAME.to_parquet(target)
    return target.read_bytes()


def by_pandas_workbook(folder: Path) -> bytes:
    target = folder / "export.xlsx"
    FRAME.to_excel(target, index=False)
    return target.read_bytes()


def by_pandas(**options: object) -> Callable[[Path], bytes]:
    def export(folder: Path) -> bytes:
        target = folder / "export"
        FRAME.to_csv(target, **options)
        return target.read_bytes()

    return export


def by_postgresql(*, text_format: bool) -> Callable[[Path], bytes]:
    r"""Export like `\copy`, with `csv header` or in the text format."""

    def value(cell: object) -> str:
        if cell is None or cell != cell:  # noqa: PLR0124 - what is missing is not itself
            return "\\N" if text_format else ""
        text = {True: "t", False: "f"}[cell] if isinstance(cell, bool) else str(cell)
        if text_format:
            for character, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t")):
                text = text.replace(character, escape)
            return text
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text

    delimiter = "\t" if text_format else ","
    header = "" if text_format else delimiter.join(FRAME.columns) + "\n"
    rows = FRAME.astype(object).itertuples(index=False)
    data = header + "".join(delimiter.join(map(value, row)) + "\n" for row in rows)
    return lambda _: data.encode()


def by_excel(delimiter: str, encoding: str) -> Callable[[Path], bytes]:
    def export(folder: Path) -> bytes:
        frame = FRAME if encoding != "cp1252" else FRAME.replace("\U0001f600", ":)", regex=True)
        text: str = frame.to_csv(sep=delimiter, index=False, lineterminator="\r\n")
        return text.encode(encoding)

    return export


def by_pandas_json(*, lines: bool) -> Callable[[Path], bytes]:
    return lambda _: FRAME.to_json(orient="records", date_format="iso", lines=lines).encode()


def by_jq(folder: Path) -> bytes:
    rows = json.loads(by_pandas_json(lines=False)(folder))
    return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows).encode()


EXPORTS: dict[str, tuple[str, Callable[[Path], bytes], Callable[[bytes], pd.DataFrame]]] = {
    "pandas": ("a.csv", by_pandas(index=False), csv_reader()),
    "pandas, with its index": ("a.csv", by_pandas(), csv_reader(index_col=0)),
    "pandas, everything quoted": ("a.csv", by_pandas(index=False, quoting=1), csv_reader()),
    "pandas, tabs": ("a.tsv", by_pandas(index=False, sep="\t"), csv_reader(sep="\t")),
    "pandas, gzip": ("a.csv.gz", by_pandas(index=False, compression="gzip"), csv_reader(compression="gzip")),
    "pandas, backslashes": (
        "a.csv",
        by_pandas(index=False, doublequote=False, escapechar="\\"),
        csv_reader(doublequote=False, escapechar="\\"),
    ),
    "pandas, JSON": ("a.json", by_pandas_json(lines=False), json_reader),
    "pandas, JSON Lines": ("a.jsonl", by_pandas_json(lines=True), json_reader),
    "DuckDB": ("a.csv", by_duckdb("HEADER"), csv_reader()),
    "DuckDB, semicolons": ("a.csv", by_duckdb("HEADER, DELIMITER ';'"), csv_reader(sep=";")),
    "DuckDB, JSON": ("a.json", by_duckdb("FORMAT json"), json_reader),
    "DuckDB, JSON array": ("a.json", by_duckdb("FORMAT json, ARRAY true"), json_reader),
    "PostgreSQL": ("a.csv", by_postgresql(text_format=False), csv_reader()),
    "PostgreSQL, text": (
        "a.tsv",
        by_postgresql(text_format=True),
        csv_reader(sep="\t", header=None, na_values="\\N", quoting=3),
    ),
    "Excel, UTF-8": ("a.csv", by_excel(",", "utf-8-sig"), csv_reader()),
    "Excel, Windows-1252": ("a.csv", by_excel(";", "cp1252"), csv_reader(sep=";", encoding="cp1252")),
    "Excel, Unicode text": ("a.tsv", by_excel("\t", "utf-16"), csv_reader(sep="\t", encoding="utf-16")),
    "jq -c": ("a.jsonl", by_jq, json_reader),
    "pandas, Parquet": ("a.parquet", by_pandas_parquet, parquet_reader),
    "DuckDB, Parquet": ("a.parquet", by_duckdb("FORMAT parquet, COMPRESSION zstd"), parquet_reader),
    "pandas, workbook": ("a.xlsx", by_pandas_workbook, workbook_reader),
}  # fmt: skip


# DuckDB reads workbooks with an extension that it downloads.
NOT_FOR_DUCKDB = ("pandas, backslashes", "pandas, workbook")


@pytest.fixture
def s3(store: S3) -> Client:
    return Client(store)


@pytest.fixture
def pipeline(storage: S3Storage, classifier: Classifier) -> Pipeline:
    return Pipeline(storage, classifier, Settings(fallback_encoding="windows-1252"))


def classified(name: str, data: bytes, pipeline: Pipeline) -> tuple[str, bytes]:
    """Classify a table and return the key and bytes of the result; every row has a verdict."""
    assert isinstance(pipeline.store, S3Storage)
    client, key = pipeline.store.client, f"incoming/{name}"
    client.put_object(Bucket=BUCKET, Key=key, Body=data)
    outcome = pipeline.process(ObjectRef(BUCKET, key), lambda: 900)
    receipt = json.loads(client.get_object(Bucket=BUCKET, Key=f"results/{key}.json")["Body"].read())
    assert outcome is Outcome.CLASSIFIED, receipt["error"]
    assert (receipt["counts"]["total"], receipt["counts"]["failed"]) == (len(FRAME), 0)
    part = receipt["parts"][0]["key"]
    body = client.get_object(Bucket=BUCKET, Key=part)["Body"].read()
    if receipt["notes"].get("header") is False:
        # The export has no header row. The result has one with the numbers of the columns.
        header, _, body = body.partition(b"\n")
        assert header.split(b"\t")[:2] == [b"1", b"2"]
    return part, body


@pytest.mark.parametrize("how", EXPORTS)
def test_pandas_reads_back_the_same_columns_and_types(how: str, pipeline: Pipeline, tmp_path: Path) -> None:
    name, export, read = EXPORTS[how]
    source = export(tmp_path)
    before = read(source)

    _, data = classified(name, source, pipeline)

    # The result is always UTF-8, and the result of an array is JSON Lines.
    if how.startswith("Excel"):
        data = data.decode("utf-8-sig").encode(_encoding(how))
    after = read(data)
    pd.testing.assert_frame_equal(after[after.columns[: len(before.columns)]], before)
    added = after[after.columns[len(before.columns) :]]
    assert len(added.columns) == len(ADDED)
    if "text" in before:
        assert list(added.columns) == ADDED
    assert list(added.iloc[:, 0]) == ["positive", "negative", "positive", "negative"]


def _encoding(how: str) -> str:
    return {"Excel, Windows-1252": "cp1252", "Excel, Unicode text": "utf-16"}.get(how, "utf-8-sig")


@pytest.mark.parametrize("how", [how for how in EXPORTS if how not in NOT_FOR_DUCKDB])
def test_duckdb_reads_back_the_same_columns_and_types(how: str, pipeline: Pipeline, tmp_path: Path) -> None:
    name, export, _ = EXPORTS[how]
    source = export(tmp_path)
    # DuckDB reads only UTF-8.
    in_utf8 = source.decode(_encoding(how)).encode() if how.startswith("Excel") else source

    key, data = classified(name, source, pipeline)

    before = by_its_reader(tmp_path / name, in_utf8)
    after = by_its_reader(tmp_path / Path(key).name, data)
    assert after[: len(before)] == before
    assert len(after) == len(before) + len(ADDED)


def by_its_reader(path: Path, data: bytes) -> list[tuple[str, str, list[object]]]:
    """Return name, type and values of each column as DuckDB infers them."""
    path.write_bytes(data)
    is_json = ".json" in path.suffixes or ".jsonl" in path.suffixes
    reader = "read_parquet" if path.suffix == ".parquet" else "read_json" if is_json else "read_csv"
    options = ", nullstr='\\N'" if path.suffixes[0] == ".tsv" and b"\\N" in data else ""
    relation = duckdb.sql(f"FROM {reader}('{path}'{options})")
    assert relation is not None
    columns = [[row[column] for row in relation.fetchall()] for column in range(len(relation.columns))]
    # DuckDB numbers columns without a name, with as many digits as the largest number has.
    names = ["" if name.startswith("column") else name for name in relation.columns]
    return list(zip(names, map(str, relation.types), columns, strict=True))
