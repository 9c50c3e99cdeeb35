"""`reviewbox estimate`, of files and of what moto holds."""

import gzip
import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from samtranslator.yaml_helper import yaml_parse
from tests.conftest import BUCKET
from typer.testing import CliRunner, Result

from reviewbox.cli import app, prices
from reviewbox.cli.estimates import Function, comprehend_dollars, comprehend_units
from reviewbox.settings import Settings

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
    told: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return told


def dollars(told: dict[str, Any], way: str) -> dict[str, float]:
    return {item["name"]: item["dollars"] for item in told[way]["items"]}


def table(*lengths: int) -> bytes:
    """JSON Lines of reviews of so many characters."""
    return b"".join(json.dumps({"text": "x" * length}).encode() + b"\n" for length in lengths)


@pytest.mark.parametrize(("characters", "units"), [(1, 3), (300, 3), (301, 4), (400, 4), (1300, 13)])
def test_comprehend_charges_each_hundred_characters_begun_and_three_at_least(
    characters: int, units: int
) -> None:
    assert comprehend_units(characters) == units


@pytest.mark.parametrize(
    ("units", "dollars"), [(0, 0), (3, 0.0003), (10e6, 1000), (13e6, 1150), (50e6, 3000), (130e6, 5000)]
)
def test_comprehend_gets_cheaper_with_volume(units: float, dollars: float) -> None:
    assert comprehend_dollars(units) == pytest.approx(dollars)


def test_files_are_counted_as_the_service_reads_them(tmp_path: Path) -> None:
    """Rows of tables, compressed or not; characters, not bytes; a row without a review is no review."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("é" * 250, encoding="utf-8")
    (tmp_path / "two.csv").write_text(f"text,stars\n{'x' * 301},1\n,2\n", encoding="utf-8")
    (tmp_path / "three.jsonl.gz").write_bytes(gzip.compress(table(100, 1300) + b"broken\n"))

    told = estimate(tmp_path)

    assert (told["objects"], told["tables"], told["unreadable"]) == (3, 2, [])
    assert (told["reviews"], told["failed_reviews"]) == (4, 2)
    assert told["characters"] == 250 + 301 + 100 + 1300
    assert told["comprehend"] == {"units": 3 + 4 + 3 + 13, "dollars": pytest.approx(0.0023)}


PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": partial(gzip.compress, compresslevel=0)}


@pytest.mark.parametrize("compression", PACKED)
def test_a_table_that_fits_is_read_whole_and_priced_in_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "10000")
    body = table(*[100] * 999, 0)
    (tmp_path / f"a.jsonl{compression}").write_bytes(PACKED[compression](body))

    told = estimate(tmp_path)

    assert (told["reviews"], told["failed_reviews"], told["characters"]) == (999, 1, 99_900)
    assert (told["tables"], told["large"], told["segments"]) == (1, 1, math.ceil(len(body) / 10_000))
    assert (told["beginnings"], told["too_large"], told["unreadable"]) == (0, 0, [])
    assert told["seconds"]["10"] < 99.9 * prices.CPU_SECONDS_PER_KILOBYTE
    assert "1 table larger than a segment, in 12 segments together" in run(tmp_path).stdout


def quoted(count: int) -> bytes:
    """CSV, each review of which has two lines."""
    return b"text,stars\n" + b"".join(b'"' + b"x" * 40 + b"\n" + b"x" * 59 + b'",1\n' for _ in range(count))


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize(("name", "body"), [("a.jsonl", table(*[100] * 2000)), ("a.csv", quoted(2000))])
@pytest.mark.parametrize("place", ["file", "object"])
def test_a_larger_table_is_told_from_its_beginning(
    s3: S3Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compression: str,
    name: str,
    body: bytes,
    place: str,
) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "50000")
    monkeypatch.setenv("REVIEWBOX_SEGMENT_BYTES", "10000")
    packed = PACKED[compression](body)
    if place == "file":
        (tmp_path / f"{name}{compression}").write_bytes(packed)
    else:
        put(s3, {f"{name}{compression}": packed})

    path = tmp_path if place == "file" else f"s3://{BUCKET}/"
    told = estimate(path)

    assert (told["too_large"], told["failed_reviews"], told["unreadable"]) == (0, 0, [])
    assert told["reviews"] == pytest.approx(2000, rel=0.1 if compression else 0.01)
    assert told["characters"] == pytest.approx(100 * told["reviews"], rel=0.01)
    assert told["segments"] == pytest.approx(len(body) / 10_000, abs=2)
    assert told["beginnings"] == 1
    printed = run(path).stdout
    assert "of 1 table no more than the beginning was read; the rest is taken to be like it" in printed


def test_what_is_too_large_and_no_table_of_lines_is_refused_where_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "1000")
    (tmp_path / "a.json").write_text(json.dumps([{"text": "x" * 100}] * 20), encoding="utf-8")
    (tmp_path / "b.csv").write_bytes("text,stars\ngood,1\n".encode("utf-16") * 50)

    told = estimate(tmp_path)

    assert (told["too_large"], told["large"]) == (2, 0)
    assert [u["code"] for u in told["unreadable"]] == ["too_large"] * 2


def test_a_table_that_takes_too_long_to_cut_is_told(tmp_path: Path) -> None:
    """A sparse file of some terabytes, whose first bytes are reviews."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(table(*[1000] * 16_800))
    os.truncate(path, 2**40)

    told = " ".join(run(path).stdout.split())

    assert "the largest table is cut in one invocation, and that may take" in told
    assert "split it" in told


def test_a_million_characters_cost_what_the_price_table_says(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(table(*[1000] * 1000))
    assert (tmp_path / "a.jsonl").stat().st_size < Settings().segment_bytes

    told = estimate(tmp_path)

    seconds = 1000 * prices.CPU_SECONDS_PER_KILOBYTE + prices.SECONDS_OF_WAITING_PER_OBJECT
    assert told["seconds"] == {"10": pytest.approx(seconds), "1000": pytest.approx(seconds)}  # one object
    assert dollars(told, "queue") == {
        "Lambda, computing": pytest.approx(seconds * 1769 / 1024 * prices.LAMBDA_GB_SECOND),
        "Lambda, requests": pytest.approx(prices.LAMBDA_REQUEST),
        "S3, writing results": pytest.approx(2 * prices.S3_WRITE),
        "S3, reading": pytest.approx(5 * prices.S3_READ),
        "SQS, requests": pytest.approx(3 * prices.SQS_REQUEST),
    }
    assert dollars(told, "job")["S3 Batch Operations"] == pytest.approx(0.250001)
    assert told["queue"]["dollars"] == pytest.approx(sum(dollars(told, "queue").values()))
    assert told["comprehend"]["dollars"] == pytest.approx(1.0)


def test_evidence_for_a_single_review_counts_as_work(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1_000_000, encoding="utf-8")
    (tmp_path / "b.jsonl").write_bytes(table(1_000_000))

    single, row = (estimate(tmp_path / name)["seconds"]["10"] for name in ("a.txt", "b.jsonl"))

    waiting = prices.SECONDS_OF_WAITING_PER_OBJECT
    assert single - waiting == pytest.approx(prices.TIMES_WITH_EVIDENCE * (row - waiting))


def test_another_rate_changes_the_computing_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(table(*[1000] * 1000))

    told, other = estimate(tmp_path), estimate(tmp_path, "--rate", 50)

    assert other["rate"] == {"cpu_ms_per_1000_characters": 50, "source": "as --rate says"}
    assert other["seconds"]["10"] == pytest.approx(50.1)
    assert dollars(told, "queue")["Lambda, computing"] != dollars(other, "queue")["Lambda, computing"]
    for name in dollars(told, "queue").keys() - {"Lambda, computing"}:
        assert dollars(told, "queue")[name] == dollars(other, "queue")[name]


def test_what_cannot_be_read_is_named_and_the_rest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "100")
    (tmp_path / "a.txt").write_text("great film", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\x00\x01")
    (tmp_path / "c.txt").write_text("x" * 101, encoding="utf-8")
    (tmp_path / "d.txt").symlink_to("x" * 300)

    told = estimate(tmp_path)
    printed = run(tmp_path).stdout

    assert (told["objects"], told["reviews"], told["too_large"]) == (3, 1, 1)
    assert {(Path(u["object"]).name, u["code"]) for u in told["unreadable"]} == {
        ("b.txt", "binary_file"),
        ("c.txt", "too_large"),
        ("d.txt", ""),
    }
    assert "3 could not be read" in printed
    assert "d.txt" in printed
    assert "File name too long" in printed


def test_prices_rate_and_comprehend_are_told_with_where_they_are_from(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(table(*[1000] * 1000))

    printed = " ".join(run(tmp_path).stdout.split())

    assert "1 object, 1.0 MB, 1,000 reviews, 1,000,000 characters" in printed
    assert "units of text 10,000 $1.00" in printed
    assert f"Prices of {prices.REGION}, {prices.DATE}." in printed
    assert f"18.5 ms of processor time for 1,000 characters (measured by {prices.MEASURED})" in printed
    assert "sample" not in printed


@pytest.mark.usefixtures("s3")
def test_what_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    for path, expected in {
        "no/such/file": "no such file or folder",
        str(tmp_path): "nothing to classify",
        f"s3://{BUCKET}/none": "nothing lies under it",
        "s3://no-such-bucket/a": "AWS answered NoSuchBucket to ListObjectsV2",
    }.items():
        result = run(path, status=2)

        assert result.stderr.startswith(f"reviewbox: {path}: {expected}")
        assert result.stderr.count("\n") == 1


def put(s3: S3Client, bodies: dict[str, bytes], **more: Any) -> None:
    for key, body in bodies.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def test_objects_are_estimated_from_a_sample_of_each_kind(s3: S3Client) -> None:
    """Tables by their bytes, single reviews by their number."""
    texts = {f"in/{number}.txt": b"x" * 350 for number in range(20)}
    tables = {f"in/{number}.jsonl": table(*[200] * (number + 1)) for number in range(10)}
    packed = {f"in/{number}.jsonl.gz": gzip.compress(table(400, 400), mtime=0) for number in range(7)}
    put(s3, texts | tables | packed | {"other/a.txt": b"x"})

    told = estimate(f"s3://{BUCKET}/in/")

    assert (told["objects"], told["listed"], told["sampled"], told["tables"]) == (37, 37, 15, 17)
    assert told["reviews"] == 20 + 55 + 14
    assert told["characters"] == 20 * 350 + 55 * 200 + 14 * 400
    assert told["comprehend"]["units"] == 20 * 4 + 55 * 3 + 14 * 4
    assert "of 37 in S3 a sample of 15 was read" in run(f"s3://{BUCKET}/in/").stdout


def test_objects_cost_what_the_same_files_cost(s3: S3Client, tmp_path: Path) -> None:
    bodies = {"a.txt": b"great film", "b.jsonl": table(10, 5000), "c.csv.gz": gzip.compress(b"text\ngood\n")}
    put(s3, bodies)
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)

    told, files = estimate(f"s3://{BUCKET}/"), estimate(tmp_path)

    same = ("objects", "bytes", "tables", "reviews", "characters", "comprehend", "unreadable")
    assert {name: told[name] for name in same} == {name: files[name] for name in same}
    assert told["queue"]["dollars"] == pytest.approx(files["queue"]["dollars"])
    assert told["seconds"]["10"] == pytest.approx(files["seconds"]["10"])


def test_objects_that_will_be_refused_are_counted_and_named(
    s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWBOX_MAX_OBJECT_BYTES", "100")
    put(s3, {"a.txt": b"great film", "b.txt": b"\x00\x01", "c.txt": b"x" * 101})
    put(s3, {"d.txt": b"great film"}, StorageClass="GLACIER")

    told = estimate(f"s3://{BUCKET}/")

    assert (told["objects"], told["too_large"], told["archived"], told["sampled"]) == (4, 1, 1, 2)
    assert [(u["object"], u["code"]) for u in told["unreadable"]] == [(f"s3://{BUCKET}/b.txt", "binary_file")]
    assert (told["reviews"], told["characters"]) == (1, 10)


def test_estimates_are_for_the_function_that_the_template_makes() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}

    expected = Function(*(int(defaults[name]) for name in ("MemorySize", "Threads", "MaxConcurrency")))
    assert Function() == expected
