"""The number of requests to S3 for a copy has an upper bound. `pytest -s` prints the table of ADR 16."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.catalog.service import Service
from tests.faults.clients import Client
from tests.test_template import ROOT

from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings

KINDS = {
    "GetObject": "read",
    "HeadObject": "read",
    "PutObject": "PUT",
    "ListObjectsV2": "LIST",
    "DeleteObject": "DELETE",
}
KEY = "incoming/a.csv"
LARGE = "\n".join(["id,comment", *(f"{number},good film" for number in range(30)), ""]).encode()
ADR = (ROOT / "docs" / "adr" / "0016-catalog.md").read_text(encoding="utf-8")


def requests(service: Service) -> str:
    """Copy the result, and return the numbers of requests as a row of the table."""
    counts: Counter[str] = Counter()

    def count(operation: str, _params: Any, perform: Callable[[], Any]) -> Any:
        counts[KINDS[operation]] += 1
        return perform()

    replace(service, s3=service.s3.behind(count)).copy(KEY)
    return " | ".join(str(counts[kind]) for kind in ("read", "PUT", "LIST", "DELETE"))


def test_the_table_in_the_decision_is_right(s3: Client, classifier: Classifier) -> None:
    small = Service(s3, classifier)
    small.upload(KEY, b"")
    table = {"a review, or an error, for the first time": requests(small)}
    small.upload(KEY, b"id,comment\n1,good film\n")
    table["a small table that replaces it"] = requests(small)
    table["a duplicate"] = requests(small)
    large = Service(s3, classifier, Settings(segment_bytes=60))
    large.upload(KEY, LARGE)
    parts = s3.list_objects_v2(Bucket="reviewbox", Prefix=f"results/{KEY}.classified/")["KeyCount"]
    table[f"a table in {parts} parts that replaces that"] = requests(large)
    rows = [f"| {what} | {numbers} |" for what, numbers in table.items()]
    print("\n" + "\n".join(rows))  # noqa: T201 - for the decision

    assert re.findall(r"^\| a .*$", ADR, re.MULTILINE) == rows


@pytest.mark.parametrize("dates", [3])
def test_each_date_of_a_result_costs_a_listing(s3: Client, classifier: Classifier, dates: int) -> None:
    service = Service(s3, classifier)
    for day in range(1, dates + 1):
        service.upload(KEY, f"id,comment\n{day},good film\n".encode())
        service.copy(KEY, f"2026-11-{day:02}")

    assert requests(service).split(" | ")[2] == str(dates)
