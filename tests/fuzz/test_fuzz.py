"""The kept corpus: what the fuzzer starts from, and every input that once failed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fuzz.events import close_account
from tests.fuzz.tables import check_table
from tests.fuzz.targets import CORPUS, TARGETS

CASES = sorted(CORPUS.glob("*/*"))


@pytest.fixture(scope="module", autouse=True)
def _account() -> Iterator[None]:
    yield
    close_account()


def _name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=_name(case)) for case in CASES],
)
def test_every_kept_case_gives_a_right_result_or_a_coded_error(case: Path) -> None:
    TARGETS[case.parent.name](case.read_bytes())


def test_tables_of_common_libraries_come_back_with_the_same_fields() -> None:
    check_table()
