"""docs/scale.md says what the price table, the measured rate and the quotas come to."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse
from tests.large_table import count_requests

from reviewbox.classification import SPARE_SECONDS
from reviewbox.cli import prices
from reviewbox.cli.estimates import (
    OBJECTS_AT_ONCE,
    OBJECTS_IN_A_BATCH,
    Counted,
    Estimate,
    Function,
    comprehend_dollars,
    comprehend_units,
    estimate,
    seconds_to_cut,
)
from reviewbox.documents import ReadOptions
from reviewbox.model.classifier import Classifier

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
PARAMETERS = TEMPLATE["Parameters"]

# AWS's, in November 2026.
LAMBDA_AT_ONCE = 1_000
LAMBDA_MORE_IN_TEN_SECONDS = 1_000
LAMBDA_SECONDS = 15 * 60
LAMBDA_MEGABYTES = 10_240
QUEUE_AT_ONCE = 1_000  # the largest MaximumConcurrency of an event source
QUEUE_AT_FIRST = 5
QUEUE_MORE_IN_A_MINUTE = 300
SQS_IN_FLIGHT = 120_000
S3_WRITES = 3_500  # a second and prefix
S3_READS = 5_500

# The template's.
AT_ONCE = Function().max_concurrency
DAYS_KEPT = 4
DAYS_OF_WORK = 5
SECONDS_HIDDEN = 6 * 900
EVENTS = TEMPLATE["Resources"]["OnUpload"]["Properties"]["Events"]
BATCHES = tuple(EVENTS[queue]["Properties"]["BatchSize"] for queue in ("Uploads", "Segments"))

# The page's two ways to hold reviews: one a file, or so many a table.
ROWS = (1, 5_000)
OPTIONS = ReadOptions(segment_bytes=int(PARAMETERS["SegmentBytes"]["Default"]))


def table(size: int, *, compressed: bool = False) -> Counted:
    """Return what a table of lines is that has so many bytes, all of them reviews."""
    counted = Counted(objects=1, tables=1)
    counted.add_source(size, size, OPTIONS, compressed=compressed)
    return counted


TABLE = table(ROWS[1] * prices.MEASURED_CHARACTERS)
# What an object takes under the prefix that takes most, as a test counts it. Of a file that is its receipt
# and itself; of a table its plan, that all is sent, and what is done.
WRITES = (1, TABLE.segments + 2)
READS = (1, 4 * TABLE.segments + 3)


def counted(reviews: int, rows: int) -> Counted:
    """Return what so many reviews are, at so many an object."""
    objects = reviews // rows
    if rows == 1:
        work = prices.MEASURED_CHARACTERS * prices.TIMES_WITH_EVIDENCE
        return Counted(objects, work=objects * work, largest=work)
    assert rows == ROWS[1]
    return replace(
        TABLE,
        objects=objects,
        tables=objects,
        large=objects,
        work=objects * TABLE.work,
        in_segments=objects * TABLE.in_segments,
        segments=objects * TABLE.segments,
        cut=objects * TABLE.cut,
        sends=objects * TABLE.sends,
    )


def taken(reviews: int, at_once: int = 1, *, as_job: bool = False) -> tuple[Estimate, Estimate]:
    """Return what so many reviews take, as files and as tables."""
    files, tables = (
        estimate(counted(reviews, rows), Function(max_concurrency=at_once), as_job=as_job) for rows in ROWS
    )
    return files, tables


def seconds(reviews: int, at_once: int = 1) -> tuple[float, float]:
    """Return how long that lasts."""
    files, tables = taken(reviews, at_once)
    return files.seconds, tables.seconds


# A batch of either kind, and seconds of work on one of its objects.
BATCH = tuple(
    estimate(counted(OBJECTS_IN_A_BATCH * rows, rows), Function(max_concurrency=1), as_job=False)
    for rows in ROWS
)
EACH = tuple(batch.seconds / OBJECTS_IN_A_BATCH for batch in BATCH)
PER_SECOND = tuple(rows / each for rows, each in zip(ROWS, EACH, strict=True))
# An invocation of its own takes a segment; what is largest is a full one.
A_SEGMENT = replace(table(OPTIONS.segment_bytes + 1), objects=0, large=0, cut=0, sends=0, segments=1)


def largest_table(*, compressed: bool) -> int:
    """Return how many bytes, decompressed, are cut in one invocation."""
    usable = LAMBDA_SECONDS - SPARE_SECONDS - prices.SECONDS_OF_WAITING_PER_OBJECT
    fits, too_large = 1, 10**12
    while too_large - fits > OPTIONS.segment_bytes:
        middle = (fits + too_large) // 2
        if seconds_to_cut(table(middle, compressed=compressed), Function()) < usable:
            fits = middle
        else:
            too_large = middle
    return fits


def numbers(text: str) -> list[str]:
    """Every number in a text, as it is written there; those in links and in code are none."""
    return re.findall(r"(?<!\w)\d+(?:,\d{3})*(?:\.\d+)?", re.sub(r"\]\(.*?\)|`.*?`", "", text))


def section(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def rows(heading: str) -> list[list[str]]:
    """The numbers in each row of a section's table, its header left out."""
    return [numbers(line) for line in section(heading).splitlines() if line.startswith("|")][2:]


def prose(heading: str) -> list[str]:
    """The numbers in what is no table."""
    return numbers("\n".join(line for line in section(heading).splitlines() if not line.startswith("|")))


def both(values: tuple[float, ...], form: str) -> list[str]:
    return [format(value, form) for value in values]


def dollars(estimates: tuple[Estimate, Estimate], form: str) -> list[str]:
    return both(tuple(each.dollars for each in estimates), form)


def requests(estimated: Estimate) -> int:
    """Return how many requests to S3 an estimate counts."""
    items = {item.name: int(item.quantity.replace(",", "")) for item in estimated.items if "S3" in item.name}
    return items["S3, writing results"] + items["S3, reading"]


def invocations(reviews: int) -> tuple[float, float]:
    """Return how many there are: one for a batch, and one for a segment."""
    files, tables = (
        int(item.quantity.replace(",", ""))
        for each in taken(reviews)
        for item in each.items
        if item.name == "Lambda, requests"
    )
    return files, tables


def comprehend(reviews: int) -> list[str]:
    units = reviews * comprehend_units(prices.MEASURED_CHARACTERS)
    return [f"{comprehend_dollars(units):,.0f}"] * 2


def uploads(reviews: int, form: str) -> list[str]:
    return both(tuple(reviews // rows * prices.S3_WRITE for rows in ROWS), form)


def test_what_it_is_reckoned_from() -> None:
    milliseconds = 1000 * prices.MEASURED_CPU_SECONDS
    waiting = prices.SECONDS_OF_WAITING_PER_REQUEST
    function = Function()

    assert rows("What it is reckoned from") == [
        [f"{prices.MEASURED_CHARACTERS:,}"],
        [f"{milliseconds:.0f}", *numbers(prices.MEASURED.replace("`", ""))],
        [f"{milliseconds * prices.TIMES_WITH_EVIDENCE:.0f}"],
        [f"{1000 * waiting:.0f}", f"{prices.SECONDS_OF_WAITING_PER_OBJECT / waiting:.0f}"],
        [f"{OBJECTS_IN_A_BATCH}", f"{OBJECTS_AT_ONCE}"],
        [f"{ROWS[1]:,}", f"{TABLE.cut / 1e6:.1f}"],
        [f"{OPTIONS.segment_bytes // 1024**2}", f"{TABLE.segments}"],
        [f"{prices.CUT_BYTES_PER_CPU_SECOND / 1e6:.0f}"],
        [f"{function.memory_megabytes:,}"],
        numbers(f"{prices.REGION}, {prices.DATE}"),
    ]
    assert prices.MEASURED in section("What it is reckoned from")
    assert f"{prices.REGION}, {prices.DATE}" in section("What it is reckoned from")
    assert function.memory_megabytes == prices.MEGABYTES_PER_VCPU  # "one vCPU"
    assert not prose("What it is reckoned from")


def test_one_function() -> None:
    largest = [largest_table(compressed=compressed) for compressed in (False, True)]

    assert rows("One function") == [
        [f"{EACH[0]:.3f}", f"{EACH[1]:.1f}"],
        [
            f"{BATCH[0].seconds:.1f}",
            f"{estimate(A_SEGMENT, Function(max_concurrency=1), as_job=False).seconds:.1f}",
        ],
        both(PER_SECOND, ".1f"),
        both(tuple(86_400 * each for each in PER_SECOND), ",.0f"),
        ["1", f"{largest[0] // prices.MEASURED_CHARACTERS:,}"],
        [f"{requests(estimate(counted(rows, rows), Function(), as_job=False))}" for rows in ROWS],
        dollars(taken(1_000_000), ",.2f"),
        comprehend(1_000_000),
    ]
    assert prose("One function") == [
        f"{LAMBDA_SECONDS // 60}",
        f"{SPARE_SECONDS:.0f}",
        *both(tuple(each / 1e9 for each in largest), ".1f"),
        f"{LAMBDA_MEGABYTES:,}",
        f"{LAMBDA_MEGABYTES / prices.MEGABYTES_PER_VCPU:.1f}",
    ]


def test_one_table() -> None:
    tables = [table(size) for size in (TABLE.cut, 10**9, 10**10)]
    ten, thousand = (
        [estimate(each, Function(max_concurrency=number), as_job=False) for each in tables]
        for number in (AT_ONCE, 1000)
    )

    assert rows("One table") == [
        [f"{each.cut // prices.MEASURED_CHARACTERS:,}" for each in tables],
        [f"{each.segments:,}" for each in tables],
        [f"{each.longest_cut:.1f}" for each in ten],
        [f"{each.seconds / 60:.1f}" for each in ten],
        [f"{each.seconds / 60:.1f}" for each in thousand],
        [f"{requests(each):,}" for each in ten],
        [f"{ten[0].dollars:.3f}", *(f"{each.dollars:.2f}" for each in ten[1:])],
    ]
    sizes = section("One table").splitlines()[1]
    assert numbers(sizes) == [f"{TABLE.cut / 1e6:.1f}", "1", "10"]
    assert prose("One table") == ["1,000"]


@pytest.mark.usefixtures("s3")
def test_a_table_takes_the_requests_of_s3_that_the_page_says(classifier: Classifier) -> None:
    rows = b"".join(json.dumps({"text": "good film " * 10}).encode() + b"\n" for _ in range(62))

    counted = count_requests(classifier, rows, segment_bytes=1000)

    found = {
        folder: (
            counted.under(folder, "PutObject"),
            counted.under(folder, "GetObject", "HeadObject", "ListObjectsV2"),
        )
        for folder in ("incoming/", "results/", "work/")
    }
    assert counted.segments == TABLE.segments
    assert found["work/"] == (WRITES[1], READS[1])
    assert max(found.values()) == found["work/"]


def test_a_thousand_at_once() -> None:
    objects = tuple(1000 / each for each in EACH)

    assert rows("A thousand at once") == [
        both(tuple(1000 * each for each in PER_SECOND), ",.0f"),
        [f"{objects[1]:.1f}"],
        both((objects[0] * WRITES[0], objects[1] * WRITES[1]), ",.0f"),
        both((objects[0] * READS[0], objects[1] * READS[1]), ",.0f"),
        [f"{1000 * batch:,}" for batch in BATCHES],
    ]
    assert prose("A thousand at once") == [
        f"{QUEUE_AT_FIRST}",
        f"{QUEUE_MORE_IN_A_MINUTE}",
        f"{(1000 - QUEUE_AT_FIRST) / QUEUE_MORE_IN_A_MINUTE:.1f}",
        f"{math.ceil(1000 * BATCHES[0] / SQS_IN_FLIGHT)}",
        f"{SQS_IN_FLIGHT:,}",
    ]


def test_the_quotas_come_in_their_order() -> None:
    met = [
        (AT_ONCE, AT_ONCE),
        tuple(S3_WRITES * each / writes for each, writes in zip(EACH, WRITES, strict=True)),
        tuple(S3_READS * each / reads for each, reads in zip(EACH, READS, strict=True)),
        tuple(SQS_IN_FLIGHT / batch for batch in BATCHES),
        (LAMBDA_AT_ONCE, LAMBDA_AT_ONCE),
        (QUEUE_AT_ONCE, QUEUE_AT_ONCE),
    ]
    quotas = (AT_ONCE, S3_WRITES, S3_READS, SQS_IN_FLIGHT, LAMBDA_AT_ONCE, QUEUE_AT_ONCE)
    cells = [[f"{quota:,}", *both(values, ",.0f")] for quota, values in zip(quotas, met, strict=True)]
    cells[0].append(f"{PARAMETERS['MaxConcurrency']['MaxValue']:,}")

    assert rows("The quotas, in the order in which they are met") == cells
    files = [values[0] for values in met]
    assert files == sorted(files)
    kept = 86_400 * DAYS_KEPT
    assert prose("The quotas, in the order in which they are met") == [
        f"{LAMBDA_MORE_IN_TEN_SECONDS:,}",
        "10",
        f"{10_000 / LAMBDA_MORE_IN_TEN_SECONDS * 10:.0f}",
        f"{DAYS_KEPT}",
        f"{kept * 1000 * PER_SECOND[0] / 1e9:.1f}",
        f"{kept * 1000 * PER_SECOND[1] / 1e9:.1f}",
        f"{DAYS_OF_WORK}",
        f"{SECONDS_HIDDEN / 60:.0f}",
        f"{SQS_IN_FLIGHT / SECONDS_HIDDEN:.0f}",
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
        both(tuple(each / 3600 for each in seconds(reviews, AT_ONCE)), ".1f"),
        both(thousand, ".1f"),
        both(writing, ".1f"),
        dollars(taken(reviews), ",.2f"),
        dollars(taken(reviews, as_job=True), ",.2f"),
        uploads(reviews, ",.2f"),
        comprehend(reviews),
    ]
    assert not prose("Ten million reviews")


def test_ten_billion() -> None:
    reviews = 10_000_000_000
    writes = tuple(10_000 / each * writes for each, writes in zip(EACH, WRITES, strict=True))
    days = tuple(each / 86_400 for each in seconds(reviews, 1000))

    assert rows("Ten billion reviews") == [
        both(tuple(reviews / rows for rows in ROWS), ",.0f"),
        both(invocations(reviews), ",.0f"),
        both(days, ".1f"),
        both(tuple(each / 3600 for each in seconds(reviews, 10_000)), ".1f"),
        both(writes, ",.0f"),
        both(tuple(math.ceil(each / S3_WRITES) for each in writes), ".0f"),
        dollars(taken(reviews), ",.0f"),
        dollars(taken(reviews, as_job=True), ",.0f"),
        uploads(reviews, ",.0f"),
        comprehend(reviews),
    ]
    assert prose("Ten billion reviews") == [
        f"{days[0]:.1f}",
        f"{DAYS_KEPT}",
        f"{10_000 / QUEUE_AT_ONCE:.0f}",
        f"{math.ceil(10_000 * BATCHES[0] / SQS_IN_FLIGHT)}",
    ]
    assert days[1] < DAYS_KEPT < days[0]


def test_the_template_is_what_the_page_takes_it_for() -> None:
    queue = TEMPLATE["Resources"]["Uploads"]["Properties"]
    timeout = PARAMETERS["TimeoutSeconds"]["Default"]

    lifecycle = TEMPLATE["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    settings = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]

    assert (OBJECTS_IN_A_BATCH, 1) == BATCHES
    assert f"{OBJECTS_AT_ONCE}" == settings["REVIEWBOX_OBJECTS_AT_ONCE"]
    assert TEMPLATE["Resources"]["Segments"]["Properties"]["MessageRetentionPeriod"] == DAYS_KEPT * 86_400
    assert queue["MessageRetentionPeriod"] == DAYS_KEPT * 86_400
    assert [rule["ExpirationInDays"] for rule in lifecycle if rule["Id"] == "work"] == [DAYS_OF_WORK]
    assert int(timeout) == LAMBDA_SECONDS
    assert TEMPLATE["Mappings"]["Timeout"][timeout]["Visibility"] == SECONDS_HIDDEN
    assert PARAMETERS["MaxConcurrency"]["MaxValue"] == QUEUE_AT_ONCE


def test_the_readme_promises_no_less() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "A million reviews in tables cost less than a dollar." in " ".join(readme.split())
    assert taken(1_000_000)[1].dollars < 1


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_other_pages_lead_there(page: str) -> None:
    assert "scale.md" in (ROOT / page).read_text(encoding="utf-8")
