"""The exports of many tools are read correctly, or refused."""

import json
from pathlib import Path

import pytest
from tests.read_cases import check

FOLDER = Path(__file__).parent / "exports"
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXPECTED)
def test_an_export_is_read_right_or_refused(name: str) -> None:
    assert list(check(FOLDER / name, EXPECTED[name])) == []


def test_every_export_has_an_expectation() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"expected.json", "README.md", ".gitattributes"}

    assert files == set(EXPECTED)
