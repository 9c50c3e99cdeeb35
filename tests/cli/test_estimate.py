"""`reviewbox estimate`, of files and of what moto holds."""

import gzip
import json
import math
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from samtranslator.yaml_helper import yaml_parse
from tests.conftest import BUCKET
from typer.testing import CliRunner, Result

from reviewbox.cli import app
from reviewbox.settings import Settings
from reviewbox.stack import prices
from reviewbox.stack.cost import Function

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REVIEWBOX_MAX_OBJECT_BYTES", "REVIEWBOX_SEGMENT_BYTES"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: object, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["estimate", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


def estimate(*arguments: object) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return report


def dollars(report: dict[str, Any], way: str) -> dict[str, float]:
    return {item["name"]: item["dollars"] for item in report[way]["items"]}


@cache
def table(*lengths: int) -> bytes:
    """JSON Lines with reviews of these lengths."""
    return b"".join(
        json.dumps({"text": text(n, length)}).encode() + b"\n" for n, length in enumerate(lengths)
    )


def text(number: int, length: int) -> str:
    """A review of this length, different for each number."""
    random = Random(number)  # noqa: S311 - no secret
    syllables = "ba ce di fo gu ha ke li mo nu pa re si to vu".split()
    words = ("we liked the " + "".join(random.choices(syllables, k=3)) for _ in range(length // 14 + 1))
    return " and ".join(words)[:length]


def test_files_are_counted_as_the_service_reads_them(tmp_path: Path) -> None:
    """Rows of tables count, compressed or not; characters count, not bytes; a row without text has failed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("é" * 250, encoding="utf-8")
    (tmp_path / "two.csv").write_text(f"text,stars\n{text(0, 301)},1\n,2\n", encoding="utf-8")
    (tmp_path / "three.jsonl.gz").write_bytes(gzip.compress(table(100, 1300) + b"broken\n"))

    report = estimate(tmp_path)

    assert (report["objects"], report["tables"], report["unreadable"]) == (3, 2, [])
    assert (report["reviews"], report["failed_reviews"]) == (4, 2)
    assert report["characters"] == 250 + 301 + 100 + 1300
    assert report["units"] == 3 + 4 + 3 + 13
    assert report["comprehend"]["dollars"] == pytest.approx(0.0023)


PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": partial(gzip.compress, compresslevel=0)}


@pytest.mark.parametrize("compression", PACKED)
def test_a_table_of_a_few_segments_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "10000")
    body = table(*[100] * 999, 0)
    (tmp_path / f"a.jsonl{compression}").write_bytes(PACKED[compression](body))

    report = estimate(tmp_path)

    assert (report["reviews"], report["failed_reviews"], report["characters"]) == (999, 1, 99_900)
    assert (report["tables"], report["large"], report["segments"]) == (1, 1, math.ceil(len(body) / 10_000))
    assert (report["unread"], report["too_large"], report["unreadable"]) == (0, 0, [])
    assert report["seconds"]["10"] < 99.9 * prices.CPU_SECONDS_PER_KILOBYTE


@cache
def quoted(count: int) -> bytes:
    """CSV in which each review has two lines."""
    return b"text,stars\n" + b"".join(f'"{text(n, 40)}\n{text(n, 59)}",1\n'.encode() for n in range(count))


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize("place", ["file", "object"])
def test_a_larger_table_is_extrapolated_from_its_beginning(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compression: str,
    name: str,
    place: str,
) -> None:
    path: object = tmp_path
    body = table(*[100] * 2000) if name == "a.jsonl" else quoted(2000)
    packed = PACKED[compression](body)
    if place == "file":
        (tmp_path / f"{name}{compression}").write_bytes(packed)
    else:
        path = f"s3://{BUCKET}/"
        put(request.getfixturevalue("s3"), {f"{name}{compression}": packed})
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "50000")
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "10000")

    report = estimate(path)

    assert (report["too_large"], report["failed_reviews"], report["unreadable"]) == (0, 0, [])
    assert report["reviews"] == pytest.approx(2000, rel=0.1 if compression else 0.01)
    assert report["characters"] == pytest.approx(100 * report["reviews"], rel=0.01)
    assert report["segments"] == pytest.approx(len(body) / 10_000, abs=2)
    assert 0 < report["unread"] < report["bytes"]
    assert "bytes that were not read" in run(path).stdout


@pytest.mark.parametrize("place", ["file", "object"])
def test_a_large_parquet_file_is_split(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path: object = tmp_path
    reviews = [f"the room was very good, {number:04}" for number in range(3000)]
    pq.write_table(
        pa.table({"review": reviews}), tmp_path / "a.parquet", compression="none", use_dictionary=False
    )
    if place == "object":
        path = f"s3://{BUCKET}/"
        put(request.getfixturevalue("s3"), {"a.parquet": (tmp_path / "a.parquet").read_bytes()})
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "50000")
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "10000")

    report = estimate(path)

    assert (report["too_large"], report["unreadable"]) == (0, [])
    assert 0 < report["unread"] < report["bytes"]
    assert (report["reviews"], report["characters"]) == (3000, 3000 * len(reviews[0]))
    assert report["large"] == 1
    assert report["segments"] > 5


def test_a_parquet_file_that_can_be_read_as_a_whole_is_not_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its size decides, unlike that of a table of lines, which is split if it is larger than a segment."""
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "10000")
    reviews = [f"the room was very good, {number:04}" for number in range(3000)]
    pq.write_table(pa.table({"review": reviews}), tmp_path / "a.parquet", compression="none")

    report = estimate(tmp_path)

    assert (report["reviews"], report["tables"]) == (3000, 1)
    assert (report["large"], report["segments"], report["unread"]) == (0, 0, 0)


def test_a_table_that_cannot_be_split_is_refused_if_it_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "1000")
    (tmp_path / "a.json").write_text(
        json.dumps([{"text": text(n, 100)} for n in range(20)]), encoding="utf-8"
    )
    (tmp_path / "b.csv").write_bytes("text,stars\ngood,1\n".encode("utf-16") * 50)

    report = estimate(tmp_path)

    assert (report["too_large"], report["large"]) == (2, 0)
    assert [u["code"] for u in report["unreadable"]] == ["too_large"] * 2


def test_the_user_is_warned_of_a_table_that_takes_too_long_to_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is sparse: it has a size of a terabyte, and reviews only at its beginning."""
    path = tmp_path / "a.jsonl"
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "50000")
    path.write_bytes(table(*[50] * 1100))
    os.truncate(path, 2**40)

    report = " ".join(run(path).stdout.split())

    assert "tables that one invocation may not split in time; divide them: 1" in report


def test_a_million_characters_cost_what_the_price_table_says(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(table(*[1000] * 1000))
    assert (tmp_path / "a.jsonl").stat().st_size < Settings().segment_bytes

    report = estimate(tmp_path)

    seconds = 1000 * prices.CPU_SECONDS_PER_KILOBYTE
    assert report["seconds"] == {"10": pytest.approx(seconds)}  # one object is not divided
    assert dollars(report, "queue") == {
        "Lambda, computing": pytest.approx(seconds * 1769 / 1024 * prices.LAMBDA_GB_SECOND),
        "Lambda, requests": pytest.approx(prices.LAMBDA_REQUEST),
        "S3, writing results": pytest.approx(2 * prices.S3_WRITE),
        "S3, reading": pytest.approx(5 * prices.S3_READ),
        "SQS, requests": pytest.approx(3 * prices.SQS_REQUEST),
    }
    assert dollars(report, "job")["S3 Batch Operations"] == pytest.approx(0.250001)
    assert report["queue"]["dollars"] == pytest.approx(sum(dollars(report, "queue").values()))
    assert report["comprehend"]["dollars"] == pytest.approx(1.0)


def test_evidence_for_a_single_review_doubles_the_time(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1_000_000, encoding="utf-8")
    (tmp_path / "b.jsonl").write_bytes(table(1_000_000))

    single, row = (estimate(tmp_path / name)["seconds"]["10"] for name in ("a.txt", "b.jsonl"))

    assert single == pytest.approx(prices.EVIDENCE_FACTOR * row)


def test_another_rate_changes_only_the_cost_of_computing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(table(*[1000] * 1000))

    report, other = estimate(tmp_path), estimate(tmp_path, "--rate", 50)

    assert other["rate"] == {"cpu_ms_per_1000_characters": 50, "source": "set with --rate"}
    assert other["seconds"]["10"] == pytest.approx(50)
    assert dollars(report, "queue")["Lambda, computing"] != dollars(other, "queue")["Lambda, computing"]
    for name in dollars(report, "queue").keys() - {"Lambda, computing"}:
        assert dollars(report, "queue")[name] == dollars(other, "queue")[name]


def test_unreadable_files_are_named_and_the_others_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "100")
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\x00\x02")
    (tmp_path / "c.txt").write_text("x" * 101, encoding="utf-8")
    (tmp_path / "d.txt").symlink_to("x" * 300)

    report = estimate(tmp_path)
    printed = run(tmp_path).stdout

    assert (report["objects"], report["reviews"], report["too_large"]) == (3, 1, 1)
    assert {(Path(u["object"]).name, u["code"]) for u in report["unreadable"]} == {
        ("b.txt", "binary_file"),
        ("c.txt", "too_large"),
        ("d.txt", ""),
    }
    assert "3 could not be read" in printed
    assert "d.txt" in printed
    assert "File name too long" in printed


def test_the_output_says_where_prices_and_the_rate_are_from(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(table(*[1000] * 1000))

    printed = " ".join(run(tmp_path).stdout.split())

    assert "1 object, 1.0 MB, 1,000 reviews, 1,000,000 characters" in printed
    assert "units of text 10,000 $1.00" in printed
    assert f"Prices of {prices.REGION}, {prices.DATE}." in printed
    assert f"18.5 ms of processor time for 1,000 characters (measured by {prices.MEASURED_BY})" in printed
    assert "not read" not in printed


@pytest.mark.usefixtures("s3")
def test_a_path_without_files_ends_in_a_message_of_one_line(tmp_path: Path) -> None:
    for path, expected in {
        "no/such/file": "no such file or folder",
        str(tmp_path): "nothing to classify",
        f"s3://{BUCKET}/none": "no objects with this prefix",
        "s3://no-such-bucket/a": "AWS returned NoSuchBucket for ListObjectsV2",
    }.items():
        result = run(path, status=2)

        assert result.stderr.startswith(f"reviewbox: {path}: {expected}")
        assert result.stderr.count("\n") == 1


def put(s3: S3Client, bodies: dict[str, bytes], **more: Any) -> None:
    for key, body in bodies.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def test_objects_are_estimated_from_a_sample(s3: S3Client) -> None:
    """All objects are counted. Everything else follows from the sample."""
    texts = {f"in/{number}.txt": b"x" * 350 for number in range(20)}
    tables = {f"in/{number}.jsonl": table(*[200] * (number + 1)) for number in range(10)}
    packed = {f"in/{number}.jsonl.gz": gzip.compress(table(400, 400), mtime=0) for number in range(7)}
    put(s3, texts | tables | packed | {"other/a.txt": b"x"})

    report = estimate(f"s3://{BUCKET}/in/")

    assert report["objects"] == 37
    assert report["bytes"] == sum(map(len, (texts | tables | packed).values()))
    assert 0 < report["unread"] < report["bytes"]
    assert report["reviews"] == pytest.approx(20 + 55 + 14, rel=0.3)
    assert report["characters"] == pytest.approx(20 * 350 + 55 * 200 + 14 * 400, rel=0.3)
    assert report["units"] == pytest.approx(20 * 4 + 55 * 3 + 14 * 4, rel=0.3)
    assert "bytes that were not read" in run(f"s3://{BUCKET}/in/").stdout


def test_objects_that_are_alike_are_estimated_exactly(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "1000")
    put(s3, {f"{number}.jsonl": table(*[100] * 20) for number in range(30)})

    report = estimate(f"s3://{BUCKET}/")

    assert (report["objects"], report["tables"]) == (30, 30)
    assert report["unread"] == report["bytes"] / 3
    assert (report["reviews"], report["characters"]) == (600, 60_000)
    assert (report["large"], report["segments"]) == (30, 90)


def test_objects_cost_what_the_same_files_cost(s3: S3Client, tmp_path: Path) -> None:
    bodies = {"a.txt": b"great film", "b.jsonl": table(10, 5000), "c.csv.gz": gzip.compress(b"text\ngood\n")}
    put(s3, bodies)
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)

    report, files = estimate(f"s3://{BUCKET}/"), estimate(tmp_path)

    same = ("objects", "bytes", "tables", "reviews", "characters", "comprehend", "unreadable")
    assert {name: report[name] for name in same} == {name: files[name] for name in same}
    assert report["queue"]["dollars"] == pytest.approx(files["queue"]["dollars"])
    assert report["seconds"]["10"] == pytest.approx(files["seconds"]["10"])


def test_objects_that_will_be_refused_are_counted(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "100")
    put(s3, {"a.txt": b"great film", "b.txt": b"\x00\x02", "c.txt": b"x" * 101})
    put(s3, {"d.txt": b"great film"}, StorageClass="GLACIER")

    report = estimate(f"s3://{BUCKET}/")

    assert (report["objects"], report["too_large"], report["archived"]) == (4, 1, 1)
    assert {u["object"][-5:]: u["code"] for u in report["unreadable"]} == {
        "b.txt": "binary_file",
        "c.txt": "too_large",
        "d.txt": "",
    }
    assert (report["reviews"], report["characters"]) == (1, 10)


def test_estimates_are_for_the_function_that_the_template_makes() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}

    expected = Function(*(int(defaults[name]) for name in ("MemorySize", "Threads", "MaxConcurrency")))
    assert Function() == expected
