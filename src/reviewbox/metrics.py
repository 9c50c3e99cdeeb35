"""Metrics in CloudWatch's embedded metric format: fields of a log line that become metrics. Pure.

The format is specified in AWS's documentation, "Specification: Embedded metric format".
"""

from collections.abc import Iterator, Sequence
from typing import Any

from reviewbox.results.receipt import Counts

_MAX_VALUES = 100  # per metric and line


def metric_lines(
    namespace: str, timestamp: int, counts: Counts, latencies: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield the fields of the log lines for an invocation: none if it wrote no result, and usually one.

    The metrics have no dimensions, so their number, and what they cost, depends on the labels only.

    `timestamp` is in milliseconds since the epoch. `latencies` says how long each result took, in
    milliseconds.
    """
    failed = sum(counts.errors.values())
    answered = sum(counts.labels.values())
    values = {
        "Reviews": answered,
        "RowsFailed": failed,
        "OtherLanguage": counts.other_language,
        **{f"Answer{label.capitalize()}": number for label, number in counts.labels.items()},
    }
    units = dict.fromkeys(values, "Count")
    if answered or failed:
        yield _fields(namespace, timestamp, units, values)
    for start in range(0, len(latencies), _MAX_VALUES):
        chunk = list(latencies[start : start + _MAX_VALUES])
        yield _fields(namespace, timestamp, {"Latency": "Milliseconds"}, {"Latency": chunk})


def _fields(namespace: str, timestamp: int, units: dict[str, str], values: dict[str, Any]) -> dict[str, Any]:
    metrics = [{"Name": name, "Unit": unit} for name, unit in units.items()]
    directive = {"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics}
    return {"_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [directive]}, **values}
