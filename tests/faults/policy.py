"""What template.yaml allows the functions to do in S3."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

_TEMPLATE = Path(__file__).parents[2] / "template.yaml"
_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}
_VALUES = {"SourcePrefix": "incoming/", "ResultsPrefix": "results/"}


class Policy:
    """The statements of a policy, with the default prefixes; every bucket counts as the right one.

    Attributes:
        hides_absence: whether S3 returns 403 for a missing object, as it does to a role that is not allowed
        to list the whole bucket.
    """

    @classmethod
    def of_uploads(cls) -> "Policy":
        """Return the policy of the functions that classify."""
        return cls(_properties("ObjectsPolicy")["PolicyDocument"]["Statement"])

    @classmethod
    @cache
    def of_results(cls) -> "Policy":
        """Return the policy of the function that copies results into the catalog."""
        (policy,) = _properties("OnResultRole")["Policies"]
        return cls(policy["PolicyDocument"]["Statement"])

    def __init__(self, statements: Iterable[Any]) -> None:
        self.hides_absence = False
        self._allowed: dict[str, list[re.Pattern[str]]] = {}
        for statement in statements:
            for action in _listed(statement.get("Action", [])):
                conditions = statement.get("Condition", {})
                prefixes = next(
                    (each["s3:prefix"] for each in conditions.values() if "s3:prefix" in each), None
                )
                patterns = _listed(prefixes or statement["Resource"])
                self._allowed.setdefault(action, []).extend(map(_pattern, patterns))
                if action == _ACTIONS["ListObjectsV2"] and "StringLike" in conditions:
                    self.hides_absence = True

    def allows(self, operation: str, params: dict[str, Any]) -> bool:
        """Return whether the function may make this request."""
        place = params["Prefix"] if operation == "ListObjectsV2" else params["Key"]
        return any(pattern.fullmatch(place) for pattern in self._allowed.get(_ACTIONS[operation], []))


def _properties(resource: str) -> Any:
    return _template()["Resources"][resource]["Properties"]


@cache
def _template() -> Any:
    return yaml_parse(_TEMPLATE.read_text(encoding="utf-8"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _pattern(resource: Any) -> re.Pattern[str]:
    """Return what the key of a resource matches, or the prefix of a listing."""
    text = resource["Fn::Sub"] if isinstance(resource, dict) and "Fn::Sub" in resource else resource
    text = text[0] if isinstance(text, list) else text
    text = re.sub(r"\$\{(\w+)\}", lambda match: _VALUES.get(match[1], match[0]), str(text))
    _, _, key = text.partition(":::")
    key = key.partition("/")[2] if key else text
    return re.compile(".*".join(map(re.escape, key.split("*"))), re.DOTALL)
