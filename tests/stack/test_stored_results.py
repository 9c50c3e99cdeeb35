import gzip
import json
import math
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from tests.conftest import BUCKET
from tests.faults.clients import Client
from tests.faults.s3 import S3
from tests.large_tables.work import storage_of

from reviewbox.catalog import CopyOutcome
from reviewbox.cli.watch import watch_folder
from reviewbox.errors import ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.objects import ObjectRef
from reviewbox.pipeline import Pipeline
from reviewbox.report import Readers, Result, report
from reviewbox.settings import Settings
from reviewbox.stack.catalog_copies import Copying
from reviewbox.stack.result_rows import result_rows
from reviewbox.stack.stored_results import S3Place, StoredResults, find_place
from reviewbox.storage import S3Storage

ROWS = [("Oslo", "5", "Good film."), ("Rome", "1", "Awful film."), ("Oslo", "2", "")]


def csv_table(delimiter: str) -> bytes:
    return "\n".join(delimiter.join(row) for row in [("store", "stars", "review"), *ROWS]).encode()


def json_lines() -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in json_rows())


def json_rows() -> list[dict[str, Any]]:
    return [{"store": s, "stars": int(n), "review": text} for s, n, text in ROWS]


def parquet() -> bytes:
    content = BytesIO()
    pq.write_table(pa.Table.from_pylist(json_rows()), content)
    return content.getvalue()


def workbook() -> bytes:
    content = BytesIO()
    book = openpyxl.Workbook()
    for row in [("store", "stars", "review"), *((s, int(n), text) for s, n, text in ROWS)]:
        book.active.append(row)
    book.save(content)
    return content.getvalue()


TABLES: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: csv_table(","),
    "semicolons.csv": lambda: csv_table(";"),
    "a.tsv": lambda: csv_table("\t"),
    "a.csv.gz": lambda: gzip.compress(csv_table(",")),
    "a.jsonl": json_lines,
    "array.json": lambda: json.dumps(json_rows()).encode(),
    "nested.json": lambda: json.dumps({"data": {"reviews": json_rows()}}).encode(),
    "a.xlsx": workbook,
    "a.parquet": parquet,
}


_TWO_LABELS = Settings(labels=2)


def watched_results(folder: Path, classifier: Classifier, settings: Settings = _TWO_LABELS) -> Path:
    """Return the results that `reviewbox watch` writes for the files of a folder."""
    watcher = watch_folder(folder, None, classifier, settings, lambda *_: None)
    watcher.scan()
    watcher.scan()
    return watcher.results


def write(folder: Path, **files: bytes | str) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def results_at(path: Path | str, sources: Path | None = None) -> list[Result]:
    return list(StoredResults(find_place(str(path), sources)))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_in_any_format_is_read_with_its_columns(
    name: str, tmp_path: Path, classifier: Classifier
) -> None:
    folder = write(tmp_path / "inbox", **{name: TABLES[name]()})

    found = results_at(watched_results(folder, classifier))

    has_header = name.endswith((".csv", ".tsv", ".csv.gz", ".xlsx"))
    first, second = (2, 3) if has_header else (1, 2)
    assert [
        (r.source, r.line, r.label, r.text, dict(r.cells) | {"reviewbox_pointer": ""}) for r in found[:2]
    ] == [
        (name, first, "positive", "Good film.", {"store": "Oslo", "stars": "5", "reviewbox_pointer": ""}),
        (name, second, "negative", "Awful film.", {"store": "Rome", "stars": "1", "reviewbox_pointer": ""}),
    ]
    assert found[0].score > 0.7
    (failed,) = [r.failure for r in found[2:] if r.failure]
    assert failed.code in {"empty_review", "missing_field"}


def test_a_table_in_parts_is_one_table(tmp_path: Path, classifier: Classifier) -> None:
    table = "store,review\n" + "Oslo,good film\n" * 40
    settings = Settings(labels=2, max_object_bytes=200)
    results = watched_results(write(tmp_path / "inbox", **{"a.csv": table}), classifier, settings)

    found = results_at(results)

    assert [r.line for r in found] == list(range(2, 42))
    assert {r.source for r in found} == {"a.csv"}


def test_a_report_counts_lines_as_the_other_commands_do(tmp_path: Path, classifier: Classifier) -> None:
    """A person who opens the file at that line finds the review, even below one of several lines."""
    table = 'store,review\nOslo,"good\n\nfilm"\nRome,bad film\nRome,\n'
    place = find_place(str(watched_results(write(tmp_path / "inbox", **{"a.csv": table}), classifier)))

    found = list(StoredResults(place))

    assert (
        [r.line for r in found]
        == [row["source_line"] for row in result_rows(StoredResults(place))]
        == [2, 5, 6]
    )
    assert [r.failure.line for r in found if r.failure] == [6]


def test_single_reviews_lead_to_their_texts(tmp_path: Path, classifier: Classifier) -> None:
    folder = write(
        tmp_path / "inbox", **{"films/a.txt": "Good film.", "b.html": "<p>Bad and awful film.</p>"}
    )
    results = StoredResults(find_place(str(watched_results(folder, classifier))))

    summary = report(results, readers=Readers(results.read_texts))

    assert {r.source: "".join(s.text for s in r.segments).strip() for r in summary.reviews} == {
        "films/a.txt": "Good film.",
        "b.html": "Bad and awful film.",
    }


def test_a_text_that_has_changed_since_is_not_shown(tmp_path: Path, classifier: Classifier) -> None:
    """Its evidence would point to other words."""
    folder = write(tmp_path / "inbox", **{"a.txt": "Good film."})
    results = StoredResults(find_place(str(watched_results(folder, classifier))))
    write(folder, **{"a.txt": "Other words."})

    assert list(results.read_texts(list(results))) == [""]


def test_the_folder_of_the_sources_can_be_named(tmp_path: Path, classifier: Classifier) -> None:
    folder = write(tmp_path / "inbox", **{"films/a.txt": "Good film."})
    shutil.move(watched_results(folder, classifier), tmp_path / "elsewhere")
    results = StoredResults(find_place(str(tmp_path / "elsewhere"), folder))

    assert list(results.read_texts(list(results))) == ["Good film."]


def test_a_file_that_failed_is_a_failure_of_the_whole_file(tmp_path: Path, classifier: Classifier) -> None:
    folder = write(tmp_path / "inbox", **{"a.txt": b"\x00\x02"})

    (found,) = results_at(watched_results(folder, classifier))

    assert found.failure is not None
    assert (found.failure.source, found.failure.line, found.failure.code) == ("a.txt", 0, "binary_file")


def only_table(results: Path, source: str) -> Path:
    """Return the classified table of a source."""
    (table,) = (results / f"{source}.classified").rglob("part-*")
    return table


@pytest.mark.parametrize("name", ["a.csv.classified/*/part-00000.csv", "a.csv.json"])
def test_a_single_table_or_receipt_can_be_reported(name: str, tmp_path: Path, classifier: Classifier) -> None:
    folder = write(tmp_path / "inbox", **{"a.csv": csv_table(",")})

    (named,) = watched_results(folder, classifier).glob(name)
    found = results_at(named)

    assert [r.text for r in found[:2]] == ["Good film.", "Awful film."]


def test_tables_without_receipts_are_found_by_their_names(tmp_path: Path, classifier: Classifier) -> None:
    folder = write(tmp_path / "inbox", **{"a.csv": csv_table(","), "b.jsonl": json_lines()})
    results = watched_results(folder, classifier)
    for receipt in results.glob("*.json"):
        receipt.unlink()

    found = results_at(results)

    assert [(r.source, r.text) for r in found if r.label == "positive"] == [
        ("a.csv", "Good film."),
        ("b.jsonl", "Good film."),
    ]


def test_a_table_that_no_receipt_lists_is_left_out(tmp_path: Path, classifier: Classifier) -> None:
    """It may be what is left of an earlier upload."""
    folder = write(tmp_path / "inbox", **{"a.csv": csv_table(",")})
    results = watched_results(folder, classifier)
    shutil.copytree(only_table(results, "a.csv").parent, results / "old.csv.classified" / ("0" * 32))

    assert {r.source for r in results_at(results)} == {"a.csv"}


def test_a_missing_table_does_not_stop_the_others(tmp_path: Path, classifier: Classifier) -> None:
    folder = write(tmp_path / "inbox", **{"a.csv": csv_table(","), "b.csv": csv_table(",")})
    results = watched_results(folder, classifier)
    only_table(results, "a.csv").unlink()

    found = results_at(results)

    assert [r.failure.code for r in found if r.failure and r.source == "a.csv"] == ["missing_table"]
    assert sum(r.label == "positive" for r in found) == 1


def test_a_receipt_cannot_lead_out_of_the_folder(tmp_path: Path, classifier: Classifier) -> None:
    folder = write(tmp_path / "inbox", **{"a.csv": csv_table(",")})
    results = watched_results(folder, classifier)
    write(tmp_path, **{"secret.csv": "review,sentiment,score\nsecret,positive,0.9\n"})
    receipt = json.loads((results / "a.csv.json").read_bytes())
    receipt["parts"][0]["key"] = "../secret.csv"
    (results / "a.csv.json").write_text(json.dumps(receipt), encoding="utf-8")

    (found,) = results_at(results)

    assert found.failure is not None


def test_columns_that_the_table_had_before_are_kept_apart(tmp_path: Path, classifier: Classifier) -> None:
    """The table's own `sentiment` is a column like any other."""
    table = "sentiment,review\nangry,good film\ncalm,awful film\n"
    folder = write(tmp_path / "inbox", **{"a.csv": table})

    found = results_at(watched_results(folder, classifier))

    assert [(r.label, dict(r.cells)) for r in found] == [
        ("positive", {"sentiment": "angry"}),
        ("negative", {"sentiment": "calm"}),
    ]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.txt": "good film"}, "neither receipts of this version nor classified tables"),
        ({"a.json": "{}"}, "neither receipts of this version nor classified tables"),
        ({"a.csv": "review,stars\ngood film,5\n"}, "a.csv: the table has no column `sentiment`"),
    ],
)
def test_a_place_without_results_is_reported(files: dict[str, str], reason: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", **files)

    with pytest.raises(ReviewboxError, match=reason):
        report(StoredResults(find_place(str(folder))))


def test_a_path_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ReviewboxError, match="no such file or folder"):
        find_place(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    "edit",
    [
        {"score": "high"},
        {"score": None},
        {"score": "0.9"},
        {"score": math.nan},
        {"score": 10**400},
        {"score": True},
        {"needs_review": "yes"},
        {"other_language": 1},
        {"sentiment": None, "score": []},
        {"evidence": [{"start": "x"}]},
        {"evidence": 1},
    ],
)
def test_a_receipt_of_somebody_else_is_a_failure(
    edit: dict[str, Any], tmp_path: Path, classifier: Classifier
) -> None:
    folder = write(tmp_path / "inbox", **{"a.txt": "good film", "b.txt": "good film"})
    results = watched_results(folder, classifier)
    receipt = json.loads((results / "a.txt.json").read_bytes())
    (results / "a.txt.json").write_text(json.dumps(receipt | edit), encoding="utf-8")

    found = {r.source: r for r in results_at(results)}

    assert found["a.txt"].failure is not None
    assert found["a.txt"].failure.code == "broken_receipt"
    assert found["b.txt"].label == "positive"
    rows = {row["source_key"]: row for row in result_rows(StoredResults(find_place(str(results))))}
    assert (rows["a.txt"]["sentiment"], rows["a.txt"]["error_code"]) == (None, "broken_receipt")
    assert rows["b.txt"]["sentiment"] == "positive"


@pytest.mark.parametrize("source", [{"key": "x" * 1000}, {"key": "a\0b.txt"}, {"etag": 1}, {"etag": None}])
def test_a_source_that_no_folder_can_have_has_no_text(
    source: dict[str, Any], tmp_path: Path, classifier: Classifier
) -> None:
    """The results of S3 may have been copied into a folder, and names in S3 may be longer."""
    files: dict[str, bytes | str] = {"a.txt": "good film", "b.csv": csv_table(",")}
    results = watched_results(write(tmp_path / "inbox", **files), classifier)
    for name in ("a.txt.json", "b.csv.json"):
        receipt = json.loads((results / name).read_bytes())
        receipt["source"] |= source
        for part in receipt.get("parts", []):
            part["key"] = source.get("key", part["key"])
        (results / name).write_text(json.dumps(receipt), encoding="utf-8")
    stored = StoredResults(find_place(str(results)))
    found = list(stored)

    assert list(stored.read_texts(found[:1])) == [""]
    assert {r.failure.code for r in found if r.failure} <= {"missing_table", "empty_review"}


def test_what_is_no_file_is_no_result(tmp_path: Path, classifier: Classifier) -> None:
    """A pipe would be waited for."""
    results = watched_results(write(tmp_path / "inbox", **{"a.txt": "good film"}), classifier)
    (results / "link.json").symlink_to("nowhere")
    (results / "loop.json").symlink_to("loop.json")
    os.mkfifo(results / "pipe.json")

    assert [found.source for found in results_at(results)] == ["a.txt"]


def test_members_of_objects_are_columns(tmp_path: Path) -> None:
    row = {
        "text": "good film",
        "shop": {"city": "Oslo", "tags": ["a"]},
        "paid": True,
        "price": 2.0,
        "x": None,
    }
    results = {"sentiment": "positive", "score": 0.9, "needs_review": False}

    (found,) = results_at(write(tmp_path, **{"a.jsonl": json.dumps(row | results) + "\n\n"}) / "a.jsonl")

    assert found.cells == {"shop.city": "Oslo", "paid": "true", "price": "2", "x": ""}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.jsonl",
            '{"text": "good", "sentiment": "positive", "score": 0.9}\nbroken\n',
            "line 2: not valid JSON",
        ),
        ("a.csv", "text,sentiment,score\n".encode("utf-16"), "not a table in UTF-8"),
        ("a.parquet", b"PAR1" + bytes(100) + b"PAR1", "no valid end or start"),
    ],
)
def test_a_damaged_table_is_a_failure_with_its_reason(
    name: str, content: bytes | str, reason: str, tmp_path: Path
) -> None:
    failures = []
    with suppress(ReviewboxError):  # if there is nothing else
        for result in StoredResults(find_place(str(write(tmp_path, **{name: content}) / name))):
            failures += [result.failure.message] if result.failure else []

    assert reason in failures[0]


def test_a_receipt_cannot_lead_to_a_source_outside_of_the_folder(
    tmp_path: Path, classifier: Classifier
) -> None:
    folder = write(tmp_path / "inbox", **{"a.txt": "good film"})
    results = watched_results(folder, classifier)
    write(tmp_path, **{"secret.txt": "secret"})
    receipt = json.loads((results / "a.txt.json").read_bytes())
    receipt["source"] |= {"key": "../secret.txt", "etag": '"-"'}
    (results / "a.txt.json").write_text(json.dumps(receipt), encoding="utf-8")
    stored = StoredResults(find_place(str(results)))

    assert list(stored.read_texts(list(stored))) == [""]


@pytest.mark.parametrize(("score", "expected"), [("nan", 0), ("inf", 0), ("7", 1), ("0,5", 0.5), ("", 0)])
def test_a_score_that_was_edited_cannot_break_the_page(score: str, expected: float, tmp_path: Path) -> None:
    table = f"review;sentiment;score;needs_review\ngood film;positive;{score};TRUE\n"

    (found,) = results_at(write(tmp_path, **{"a.csv": table}) / "a.csv")

    assert (found.score, found.needs_review) == (expected, True)


@pytest.fixture
def bucket(s3: S3Client, store: S3, classifier: Classifier) -> S3Client:
    """A bucket with the results of a table in parts and of a single review, which are made in the fake."""
    pipeline = Pipeline(storage_of(store), classifier, Settings(segment_bytes=300))
    table = "store,review\n" + "Oslo,good film\nRome,awful film\n" * 20
    for key, body in (("incoming/a b.csv", table), ("incoming/films/c.txt", "Good film.")):
        Client(store).put_object(Bucket=BUCKET, Key=key, Body=body.encode())
        pipeline.process(ObjectRef(BUCKET, key), lambda: math.inf)
    for key, made in store.buckets[BUCKET].objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=made.body, ContentType=made.content_type)
    return s3


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    "uri", [f"s3://{BUCKET}", f"s3://{BUCKET}/results/", f"s3://{BUCKET}/results/incoming/"]
)
def test_results_in_s3_are_read_with_their_texts(uri: str) -> None:
    results = StoredResults(find_place(uri))

    summary = report(results, readers=Readers(results.read_texts))

    assert (summary.total, summary.sources) == (41, 2)
    assert {"".join(s.text for s in r.segments) for r in summary.reviews} == {
        "good film",
        "awful film",
        "Good film.",
    }


@pytest.mark.usefixtures("bucket")
def test_one_receipt_in_s3_can_be_reported() -> None:
    found = results_at(f"s3://{BUCKET}/results/incoming/a b.csv.json")

    assert len(found) == 40


def test_a_receipt_in_s3_cannot_name_another_object(bucket: S3Client) -> None:
    """Other principals may write to the results, and must not choose what is read."""
    bucket.put_object(Bucket=BUCKET, Key="secret.csv", Body=b"review,sentiment,score\nsecret,positive,0.9\n")
    key = "results/incoming/a b.csv.json"
    receipt = json.loads(bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    receipt["parts"] = [{"bucket": BUCKET, "key": "secret.csv", "etag": ""}]
    bucket.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(receipt).encode())

    found = results_at(f"s3://{BUCKET}/{key}")

    assert [r.failure.code for r in found if r.failure] == ["missing_table"]


@pytest.mark.parametrize("key", ["secret.txt", "incoming/films/c.txt/../../../secret.txt"])
def test_a_receipt_in_s3_cannot_lead_to_the_text_of_another_object(bucket: S3Client, key: str) -> None:
    """Its own key is that of its source, and says which object it may be about."""
    etag = bucket.put_object(Bucket=BUCKET, Key=key, Body=b"secret")["ETag"]
    receipt_key = "results/incoming/films/c.txt.json"
    receipt = json.loads(bucket.get_object(Bucket=BUCKET, Key=receipt_key)["Body"].read())
    receipt["source"] |= {"key": key, "etag": etag}
    bucket.put_object(Bucket=BUCKET, Key=receipt_key, Body=json.dumps(receipt).encode())
    results = StoredResults(find_place(f"s3://{BUCKET}/{receipt_key}"))

    assert list(results.read_texts(list(results))) == [""]


@pytest.mark.parametrize("name", ["absent-bucket", "no bucket has this name!", ""])
def test_a_receipt_that_names_a_bucket_which_does_not_exist_is_a_result_without_text(
    bucket: S3Client, tmp_path: Path, name: str
) -> None:
    """One receipt that someone else wrote must not prevent the report or the catalog."""
    key = "results/incoming/films/c.txt.json"
    receipt = json.loads(bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    receipt["source"]["bucket"] = name
    bucket.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(receipt).encode())
    results = StoredResults(find_place(f"s3://{BUCKET}/results/"))

    found = [result for result in results if result.source == "incoming/films/c.txt"]
    copying = Copying.between(f"s3://{BUCKET}/results/", str(tmp_path), Settings())
    copied = list(copying.copy([key], lambda _: None))

    assert list(results.read_texts(found)) == [""]
    assert copied == [CopyOutcome.COPIED]


def test_a_source_that_was_archived_since_has_no_text(bucket: S3Client) -> None:
    """A lifecycle rule may archive old sources. The other reviews keep their texts."""
    bucket.put_object(Bucket=BUCKET, Key="incoming/films/c.txt", Body=b"Good film.", StorageClass="GLACIER")
    results = StoredResults(find_place(f"s3://{BUCKET}/results/incoming/films/"))

    assert list(results.read_texts(list(results))) == [""]


def test_an_object_that_is_deleted_before_it_is_read_is_missing(s3: S3Client) -> None:
    """Such as a part that a newer result replaces."""
    s3.put_object(Bucket=BUCKET, Key="results/part.csv", Body=b"text")
    place = S3Place(S3Storage(s3), ObjectRef(BUCKET, "results/"))
    s3.meta.events.register(
        "before-call.s3.GetObject",
        lambda **_: s3.delete_object(Bucket=BUCKET, Key="results/part.csv") and None,
    )

    assert place.open("results/part.csv") is None


def test_the_share_of_a_table_that_no_receipt_names_grows_while_it_is_read(tmp_path: Path) -> None:
    """So that a person who waits for a report on one large table sees how long it takes."""
    row = f"Oslo,5,{'Good film. ' * 20},positive,0.9,false,false,,\n"
    header = "store,stars,review,sentiment,score,needs_review,other_language,error_code,error_message\n"
    (tmp_path / "a.csv").write_text(header + row * 2000, encoding="utf-8")
    results = StoredResults(find_place(str(tmp_path / "a.csv")))

    done = [results.done for _ in results]

    assert results.total == 1
    assert len(done) == 2000
    assert done == sorted(done)
    assert done[0] < 0.2
    assert 0.4 < done[1000] < 0.7
    assert done[-1] > 0.9


def test_the_share_of_a_table_in_s3_that_no_receipt_names_grows_while_it_is_read(store: S3) -> None:
    """S3 says its size."""
    row = f"Oslo,5,{'Good film. ' * 100},positive,0.9,false,false,,\n"
    header = "store,stars,review,sentiment,score,needs_review,other_language,error_code,error_message\n"
    Client(store).put_object(Bucket=BUCKET, Key="a.csv", Body=(header + row * 4000).encode())
    results = StoredResults(S3Place(storage_of(store), ObjectRef(BUCKET, "a.csv")))

    done = [results.done for _ in results]

    assert len(done) == 4000
    assert done == sorted(done)
    assert done[0] < 0.2
    assert 0.4 < done[2000] < 0.9
    assert done[-1] > 0.9
