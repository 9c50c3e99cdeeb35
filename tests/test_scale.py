"""docs/scale.md says what the price table, the measured rate and the quotas come to."""

import math
import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from reviewbox.classified import SPARE_SECONDS
from reviewbox.cli import prices
from reviewbox.cli.estimates import (
    Counted,
    Estimate,
    Function,
    comprehend_dollars,
    comprehend_units,
    estimate,
)

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
SECONDS_HIDDEN = 6 * 900
BATCH = TEMPLATE["Resources"]["OnUpload"]["Properties"]["Events"]["Uploads"]["Properties"]["BatchSize"]

# The page's two ways to hold reviews: one a file, or so many a table.
ROWS = (1, 5_000)
# What an object takes: a file's receipt; a table and its receipt. The receipts lie under one prefix, the
# sources under another, and of each one object is read.
WRITES = (1, 2)


def counted(reviews: int, rows: int) -> Counted:
    """Return what so many reviews are, at so many an object."""
    objects = reviews // rows
    work = reviews * prices.MEASURED_CHARACTERS
    work *= prices.TIMES_WITH_EVIDENCE if rows == 1 else 1
    return Counted(objects, tables=objects if rows > 1 else 0, work=work, largest=work // objects)


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


# Seconds for one object of either kind.
EACH = tuple(
    estimate(counted(rows, rows), Function(max_concurrency=1), as_job=False).seconds for rows in ROWS
)
PER_SECOND = tuple(rows / each for rows, each in zip(ROWS, EACH, strict=True))
SECONDS_OF_A_ROW = prices.MEASURED_CPU_SECONDS


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


def comprehend(reviews: int) -> list[str]:
    units = reviews * comprehend_units(prices.MEASURED_CHARACTERS)
    return [f"{comprehend_dollars(units):,.0f}"] * 2


def uploads(reviews: int, form: str) -> list[str]:
    return both(tuple(reviews // rows * prices.S3_WRITE for rows in ROWS), form)


def test_what_it_is_reckoned_from() -> None:
    milliseconds = 1000 * prices.MEASURED_CPU_SECONDS
    function = Function()

    assert rows("What it is reckoned from") == [
        [f"{prices.MEASURED_CHARACTERS:,}"],
        [f"{milliseconds:.0f}", *numbers(prices.MEASURED.replace("`", ""))],
        [f"{milliseconds * prices.TIMES_WITH_EVIDENCE:.0f}"],
        [f"{1000 * prices.SECONDS_OF_WAITING_PER_OBJECT:.0f}"],
        [f"{ROWS[1]:,}", f"{ROWS[1] * prices.MEASURED_CHARACTERS / 1e6:.1f}"],
        [f"{function.memory_megabytes:,}"],
        numbers(f"{prices.REGION}, {prices.DATE}"),
    ]
    assert prices.MEASURED in section("What it is reckoned from")
    assert f"{prices.REGION}, {prices.DATE}" in section("What it is reckoned from")
    assert function.memory_megabytes == prices.MEGABYTES_PER_VCPU  # "one vCPU"
    assert not prose("What it is reckoned from")


def test_one_function() -> None:
    usable = LAMBDA_SECONDS - SPARE_SECONDS - prices.SECONDS_OF_WAITING_PER_OBJECT

    assert rows("One function") == [
        [f"{EACH[0]:.3f}", f"{EACH[1]:.1f}"],
        both(PER_SECOND, ".1f"),
        both(tuple(86_400 * each for each in PER_SECOND), ",.0f"),
        ["1", f"{math.floor(usable / SECONDS_OF_A_ROW):,}"],
        dollars(taken(1_000_000), ",.2f"),
        comprehend(1_000_000),
    ]
    assert prose("One function") == [
        f"{LAMBDA_SECONDS // 60}",
        f"{SPARE_SECONDS:.0f}",
        f"{LAMBDA_MEGABYTES:,}",
        f"{LAMBDA_MEGABYTES / prices.MEGABYTES_PER_VCPU:.1f}",
    ]


def test_a_thousand_at_once() -> None:
    objects = tuple(1000 / each for each in EACH)

    assert rows("A thousand at once") == [
        both(tuple(1000 * each for each in PER_SECOND), ",.0f"),
        both((objects[0] * WRITES[0], objects[1] * WRITES[1]), ",.0f"),
        both(objects, ",.0f"),
        [f"{1000 * BATCH:,}"] * 2,
    ]
    assert prose("A thousand at once") == [
        f"{QUEUE_AT_FIRST}",
        f"{QUEUE_MORE_IN_A_MINUTE}",
        f"{(1000 - QUEUE_AT_FIRST) / QUEUE_MORE_IN_A_MINUTE:.1f}",
    ]


def test_the_quotas_come_in_their_order() -> None:
    met = [
        (AT_ONCE, AT_ONCE),
        tuple(S3_WRITES * each / writes for each, writes in zip(EACH, WRITES, strict=True)),
        tuple(S3_READS * each for each in EACH),
        (LAMBDA_AT_ONCE, LAMBDA_AT_ONCE),
        (QUEUE_AT_ONCE, QUEUE_AT_ONCE),
        (SQS_IN_FLIGHT / BATCH, SQS_IN_FLIGHT / BATCH),
    ]
    quotas = (AT_ONCE, S3_WRITES, S3_READS, LAMBDA_AT_ONCE, QUEUE_AT_ONCE, SQS_IN_FLIGHT)
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
    ]
    assert days[1] < DAYS_KEPT < days[0]


def test_the_template_is_what_the_page_takes_it_for() -> None:
    queue = TEMPLATE["Resources"]["Uploads"]["Properties"]
    timeout = PARAMETERS["TimeoutSeconds"]["Default"]

    assert queue["MessageRetentionPeriod"] == DAYS_KEPT * 86_400
    assert int(timeout) == LAMBDA_SECONDS
    assert TEMPLATE["Mappings"]["Timeout"][timeout]["Visibility"] == SECONDS_HIDDEN
    assert PARAMETERS["MaxConcurrency"]["MaxValue"] == QUEUE_AT_ONCE


def test_the_readme_promises_no_less() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "A million reviews in tables are less than a dollar." in " ".join(readme.split())
    assert taken(1_000_000)[1].dollars < 1


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
def test_other_pages_lead_there(page: str) -> None:
    assert "scale.md" in (ROOT / page).read_text(encoding="utf-8")
