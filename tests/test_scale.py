"""The figures in docs/scale.md follow from the prices, the measured rate and the quotas."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse
from tests.large_table import count_requests

from reviewbox.deadline import RESERVED_SECONDS
from reviewbox.documents import ReadOptions
from reviewbox.model.classifier import Classifier
from reviewbox.stack import prices
from reviewbox.stack.cost import (
    OBJECTS_PER_BATCH,
    Estimate,
    Function,
    Workload,
    comprehend_dollars,
    comprehend_units,
    estimate,
    split_work,
)

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
PARAMETERS = TEMPLATE["Parameters"]
SETTINGS = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

# Quotas of AWS, in November 2026.
LAMBDA_CONCURRENCY = 1_000
LAMBDA_MORE_IN_TEN_SECONDS = 1_000
LAMBDA_SECONDS = 15 * 60
LAMBDA_MEGABYTES = 10_240
QUEUE_CONCURRENCY = 1_000  # the largest MaximumConcurrency of an event source
QUEUE_FIRST_CONCURRENCY = 5
QUEUE_MORE_IN_A_MINUTE = 300
SQS_IN_FLIGHT = 120_000
S3_WRITES = 3_500  # per second and prefix
S3_READS = 5_500

# Settings of the template.
CONCURRENCY = Function().max_concurrency
RETENTION_DAYS = 4
WORK_RETENTION_DAYS = 5
VISIBILITY_SECONDS = 6 * 900
EVENTS = TEMPLATE["Resources"]["OnUpload"]["Properties"]["Events"]
BATCHES = tuple(EVENTS[queue]["Properties"]["BatchSize"] for queue in ("Uploads", "Segments"))

# The page compares files of one review with tables of this many.
ROWS = (1, 5_000)
OPTIONS = ReadOptions(segment_bytes=int(PARAMETERS["SegmentBytes"]["Default"]))


def table(size: int) -> Workload:
    """A table of this decompressed size, all of which is text."""
    return Workload(objects=1, tables=1, work=size) + split_work(size, OPTIONS)


TABLE = table(ROWS[1] * prices.MEASURED_CHARACTERS)
# Requests under the prefix that has most of them. For a file these are its receipt and itself. For tables, a
# test counts them.
WRITES = (1, TABLE.segments + 3)
READS = (1, 4 * TABLE.segments + 3)


def workload_of(reviews: int, rows: int) -> Workload:
    """A number of reviews in files of one review or in tables."""
    objects = reviews // rows
    if rows == 1:
        work = prices.MEASURED_CHARACTERS * prices.EVIDENCE_FACTOR
        return Workload(objects, work=objects * work)
    assert rows == ROWS[1]
    return replace(
        TABLE,
        objects=objects,
        tables=objects,
        large=objects,
        work=objects * TABLE.work,
        segments=objects * TABLE.segments,
        split_bytes=objects * TABLE.split_bytes,
    )


def estimates(reviews: int, concurrency: int = 1, *, as_job: bool = False) -> tuple[Estimate, Estimate]:
    """Estimates for this many reviews as files and as tables."""
    files, tables = (
        estimate(workload_of(reviews, rows), Function(max_concurrency=concurrency), as_job=as_job)
        for rows in ROWS
    )
    return files, tables


def seconds(reviews: int, concurrency: int = 1) -> tuple[float, float]:
    files, tables = estimates(reviews, concurrency)
    return files.seconds, tables.seconds


# A full batch of files, and as many tables; and the seconds of work on one object.
BATCH = tuple(
    estimate(workload_of(OBJECTS_PER_BATCH * rows, rows), Function(max_concurrency=1), as_job=False)
    for rows in ROWS
)
PER_OBJECT = tuple(batch.seconds / OBJECTS_PER_BATCH for batch in BATCH)
PER_SECOND = tuple(rows / seconds for rows, seconds in zip(ROWS, PER_OBJECT, strict=True))
# A full segment, which has its own invocation.
SEGMENT = Workload(
    work=OPTIONS.segment_bytes,
    segments=1,
)


def numbers(text: str) -> list[str]:
    """Every number in a text, as it is written there, except in links and in code."""
    return re.findall(r"(?<!\w)\d+(?:,\d{3})*(?:\.\d+)?", re.sub(r"\]\(.*?\)|`.*?`", "", text))


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """The numbers in each row of a section's table, without its header."""
    return [numbers(line) for line in section(heading).splitlines() if line.startswith("|")][2:]


def prose(heading: str) -> list[str]:
    """The numbers outside the table of a section."""
    return numbers("\n".join(line for line in section(heading).splitlines() if not line.startswith("|")))


def both(values: tuple[float, ...], form: str) -> list[str]:
    return [format(value, form) for value in values]


def total(estimated: Estimate) -> float:
    return sum(item.dollars for item in estimated.items)


def dollars(both_ways: tuple[Estimate, Estimate], form: str) -> list[str]:
    return both(tuple(map(total, both_ways)), form)


def requests(workload: Workload) -> int:
    """The upper bound of requests to S3 for a workload."""
    items = estimate(workload, Function(), as_job=False).items
    return sum(int(item.quantity.replace(",", "")) for item in items if item.name.startswith("S3"))


def invocations(reviews: int) -> tuple[float, float]:
    """One invocation for a batch and one for a segment."""
    files, tables = (
        int(item.quantity.replace(",", ""))
        for each in estimates(reviews)
        for item in each.items
        if item.name == "Lambda, requests"
    )
    return files, tables


def comprehend(reviews: int) -> list[str]:
    units = reviews * comprehend_units(prices.MEASURED_CHARACTERS)
    return [f"{comprehend_dollars(units):,.0f}"] * 2


def uploads(reviews: int, form: str) -> list[str]:
    return both(tuple(reviews // rows * prices.S3_WRITE for rows in ROWS), form)


def test_assumptions() -> None:
    milliseconds = 1000 * prices.MEASURED_CPU_SECONDS
    function = Function()

    assert rows("Assumptions") == [
        [f"{prices.MEASURED_CHARACTERS:,}"],
        [f"{milliseconds:.0f}", *numbers(prices.MEASURED_BY.replace("`", ""))],
        [f"{milliseconds * prices.EVIDENCE_FACTOR:.0f}"],
        [f"{OBJECTS_PER_BATCH}", SETTINGS["REVIEWBOX_OBJECTS_AT_ONCE"]],
        [f"{1000 * prices.WAIT_SECONDS_PER_OBJECT_OF_JOB:.0f}"],
        [f"{ROWS[1]:,}", f"{TABLE.split_bytes / 1e6:.1f}"],
        [f"{OPTIONS.segment_bytes // 1024**2}", f"{TABLE.segments}"],
        [f"{prices.SPLIT_BYTES_PER_SECOND / 1e6:.0f}"],
        [f"{requests(Workload(objects=1))}"],
        [f"{requests(Workload(**{unit: 1}))}" for unit in ("tables", "segments")],
        [f"{function.memory_megabytes:,}"],
        numbers(f"{prices.REGION}, {prices.DATE}"),
    ]
    assert prices.MEASURED_BY in section("Assumptions")
    assert f"{prices.REGION}, {prices.DATE}" in section("Assumptions")
    assert function.memory_megabytes == prices.MEGABYTES_PER_VCPU  # "one vCPU"
    assert not prose("Assumptions")


def test_one_function() -> None:
    assert rows("One function") == [
        [f"{PER_OBJECT[0]:.3f}", f"{PER_OBJECT[1]:.1f}"],
        [
            f"{BATCH[0].seconds:.1f}",
            f"{estimate(SEGMENT, Function(max_concurrency=1), as_job=False).seconds:.1f}",
        ],
        both(PER_SECOND, ".1f"),
        both(tuple(86_400 * each for each in PER_SECOND), ",.0f"),
        ["1", f"{prices.MAX_TABLE_BYTES // prices.MEASURED_CHARACTERS:,.0f}"],
        [f"{requests(workload_of(rows, rows))}" for rows in ROWS],
        dollars(estimates(1_000_000), ",.2f"),
        comprehend(1_000_000),
    ]
    assert prose("One function") == [
        f"{LAMBDA_SECONDS // 60}",
        f"{RESERVED_SECONDS:.0f}",
        f"{prices.MAX_TABLE_BYTES / 1e9:.2f}",
        f"{LAMBDA_MEGABYTES:,}",
        f"{LAMBDA_MEGABYTES / prices.MEGABYTES_PER_VCPU:.1f}",
    ]


def test_one_table() -> None:
    tables = [table(size) for size in (TABLE.split_bytes, 10**9, 8 * 10**9)]
    ten, thousand = (
        [estimate(each, Function(max_concurrency=number), as_job=False) for each in tables]
        for number in (CONCURRENCY, 1000)
    )

    assert rows("One table") == [
        [f"{each.split_bytes // prices.MEASURED_CHARACTERS:,}" for each in tables],
        [f"{each.segments:,}" for each in tables],
        [f"{each.split_bytes / prices.SPLIT_BYTES_PER_SECOND:.1f}" for each in tables],
        [f"{each.seconds / 60:.1f}" for each in ten],
        [f"{each.seconds / 60:.1f}" for each in thousand],
        [f"{requests(each):,}" for each in tables],
        [f"{total(ten[0]):.3f}", *(f"{total(each):.2f}" for each in ten[1:])],
    ]
    sizes = section("One table").splitlines()[1]
    assert numbers(sizes) == [f"{TABLE.split_bytes / 1e6:.1f}", "1", "8"]
    assert prose("One table") == ["1,000"]


def test_a_table_takes_no_more_requests_than_the_page_says(classifier: Classifier) -> None:
    rows = b"".join(json.dumps({"text": f"{n:010}" + "good film " * 9}).encode() + b"\n" for n in range(62))

    counted = count_requests(classifier, rows, segment_bytes=1000)

    folders = ("incoming/", "results/", "work/")
    writes = {folder: counted.under(folder, "PutObject") for folder in folders}
    reads = {folder: counted.under(folder, "GetObject", "HeadObject", "ListObjectsV2") for folder in folders}
    assert counted.segments == TABLE.segments
    assert WRITES[1] / 2 <= writes["work/"] <= WRITES[1]
    assert READS[1] / 2 <= max(reads.values()) <= READS[1]
    assert writes["work/"] == max(writes.values())


def test_a_thousand_functions() -> None:
    objects = tuple(1000 / each for each in PER_OBJECT)

    assert rows("A thousand functions") == [
        both(tuple(1000 * each for each in PER_SECOND), ",.0f"),
        [f"{objects[1]:.1f}"],
        both((objects[0] * WRITES[0], objects[1] * WRITES[1]), ",.0f"),
        both((objects[0] * READS[0], objects[1] * READS[1]), ",.0f"),
        [f"{1000 * batch:,}" for batch in BATCHES],
    ]
    assert prose("A thousand functions") == [
        f"{QUEUE_FIRST_CONCURRENCY}",
        f"{QUEUE_MORE_IN_A_MINUTE}",
        f"{(1000 - QUEUE_FIRST_CONCURRENCY) / QUEUE_MORE_IN_A_MINUTE:.1f}",
        f"{math.ceil(1000 * BATCHES[0] / SQS_IN_FLIGHT)}",
        f"{SQS_IN_FLIGHT:,}",
    ]


def test_quotas_are_in_the_order_in_which_they_are_reached() -> None:
    reached = [
        (CONCURRENCY, CONCURRENCY),
        tuple(S3_WRITES * each / writes for each, writes in zip(PER_OBJECT, WRITES, strict=True)),
        tuple(S3_READS * each / reads for each, reads in zip(PER_OBJECT, READS, strict=True)),
        tuple(SQS_IN_FLIGHT / batch for batch in BATCHES),
        (LAMBDA_CONCURRENCY, LAMBDA_CONCURRENCY),
        (QUEUE_CONCURRENCY, QUEUE_CONCURRENCY),
    ]
    quotas = (CONCURRENCY, S3_WRITES, S3_READS, SQS_IN_FLIGHT, LAMBDA_CONCURRENCY, QUEUE_CONCURRENCY)
    cells = [[f"{quota:,}", *both(values, ",.0f")] for quota, values in zip(quotas, reached, strict=True)]
    cells[0].append(f"{PARAMETERS['MaxConcurrency']['MaxValue']:,}")

    assert rows("Quotas, in the order in which you reach them") == cells
    files = [values[0] for values in reached]
    assert files == sorted(files)
    kept = 86_400 * RETENTION_DAYS
    assert prose("Quotas, in the order in which you reach them") == [
        f"{LAMBDA_MORE_IN_TEN_SECONDS:,}",
        "10",
        f"{10_000 / LAMBDA_MORE_IN_TEN_SECONDS * 10:.0f}",
        f"{RETENTION_DAYS}",
        f"{kept * 1000 * PER_SECOND[0] / 1e9:.1f}",
        f"{kept * 1000 * PER_SECOND[1] / 1e9:.1f}",
        f"{WORK_RETENTION_DAYS}",
        f"{VISIBILITY_SECONDS / 60:.0f}",
        f"{SQS_IN_FLIGHT / VISIBILITY_SECONDS:.0f}",
    ]


def test_ten_million() -> None:
    reviews = 10_000_000
    thousand = tuple(each / 60 for each in seconds(reviews, 1000))
    writing = tuple(
        max(minutes, reviews / rows * writes / S3_WRITES / 60)
        for minutes, rows, writes in zip(thousand, ROWS, WRITES, strict=True)
    )

    assert rows("Ten million reviews") == [
        both(tuple(reviews / rows for rows in ROWS), ",.0f"),
        both(invocations(reviews), ",.0f"),
        both(tuple(each / 3600 for each in seconds(reviews, CONCURRENCY)), ".1f"),
        both(thousand, ".1f"),
        both(writing, ".1f"),
        dollars(estimates(reviews), ",.2f"),
        dollars(estimates(reviews, as_job=True), ",.2f"),
        uploads(reviews, ",.2f"),
        comprehend(reviews),
    ]
    assert not prose("Ten million reviews")


def test_ten_billion() -> None:
    reviews = 10_000_000_000
    writes = tuple(10_000 / each * writes for each, writes in zip(PER_OBJECT, WRITES, strict=True))
    days = tuple(each / 86_400 for each in seconds(reviews, 1000))

    assert rows("Ten billion reviews") == [
        both(tuple(reviews / rows for rows in ROWS), ",.0f"),
        both(invocations(reviews), ",.0f"),
        both(days, ".1f"),
        both(tuple(each / 3600 for each in seconds(reviews, 10_000)), ".1f"),
        both(writes, ",.0f"),
        both(tuple(math.ceil(each / S3_WRITES) for each in writes), ".0f"),
        dollars(estimates(reviews), ",.0f"),
        dollars(estimates(reviews, as_job=True), ",.0f"),
        uploads(reviews, ",.0f"),
        comprehend(reviews),
    ]
    assert prose("Ten billion reviews") == [
        f"{days[0]:.1f}",
        f"{RETENTION_DAYS}",
        f"{10_000 / QUEUE_CONCURRENCY:.0f}",
        f"{math.ceil(10_000 * BATCHES[0] / SQS_IN_FLIGHT)}",
    ]
    assert days[1] < RETENTION_DAYS < days[0]


def test_the_page_describes_the_template() -> None:
    queue = TEMPLATE["Resources"]["Uploads"]["Properties"]
    timeout = PARAMETERS["TimeoutSeconds"]["Default"]

    lifecycle = TEMPLATE["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]

    assert (OBJECTS_PER_BATCH, 1) == BATCHES
    segments = TEMPLATE["Resources"]["Segments"]["Properties"]
    assert segments["MessageRetentionPeriod"] == RETENTION_DAYS * 86_400
    assert queue["MessageRetentionPeriod"] == RETENTION_DAYS * 86_400
    assert [rule["ExpirationInDays"] for rule in lifecycle if rule["Id"] == "work"] == [WORK_RETENTION_DAYS]
    assert int(timeout) == LAMBDA_SECONDS
    assert TEMPLATE["Mappings"]["Timeout"][timeout]["Visibility"] == VISIBILITY_SECONDS
    assert PARAMETERS["MaxConcurrency"]["MaxValue"] == QUEUE_CONCURRENCY


def test_the_price_in_the_readme_is_true() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert re.search(r"million reviews in tables [^.]*less than a dollar", " ".join(readme.split()))
    assert total(estimates(1_000_000)[1]) < 1


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_other_pages_link_to_this_page(page: str) -> None:
    assert "scale.md" in (ROOT / page).read_text(encoding="utf-8")
