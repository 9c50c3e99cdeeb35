"""The page of benchmarks says what the figures beside it say. Nothing is measured here."""

from tests.benchmarks.figures import FULL
from tests.benchmarks.page import render


def test_the_page_is_that_of_the_figures() -> None:
    page = (FULL / "README.md").read_text(encoding="utf-8")

    assert page == render(FULL), "the figures or the text have changed: python -m tests.benchmarks.page"


def test_every_picture_of_the_page_is_there() -> None:
    page = (FULL / "README.md").read_text(encoding="utf-8")

    assert all((FULL / f"{path.stem}.png").exists() for path in FULL.glob("*.json"))
    assert {path.stem for path in FULL.glob("*.json")} == {path.stem for path in FULL.glob("*.png")}
    assert all(f"({path.name})" in page for path in FULL.glob("*.png"))
