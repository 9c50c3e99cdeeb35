"""What a person sees of results that are few, failed, in other languages, or spread over long periods."""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reviewbox.report import Failure, Result, render, report

Open = Callable[[Iterable[Result]], Page]


@pytest.fixture
def opened(visit: Callable[..., Page], tmp_path: Path) -> Open:
    """Open the report on some results."""

    def open_report(results: Iterable[Result]) -> Page:
        path = tmp_path / "report.html"
        path.write_text(render(report(results)), encoding="utf-8")
        return visit(path)

    return open_report


def review(label: str = "positive", text: str = "Fine.", **cells: str) -> Result:
    return Result("a.csv", "a.csv", 2, label, 0.9, text=text, cells=cells)


def test_only_failures_are_shown_without_empty_charts(opened: Open) -> None:
    page = opened([Result("a.pdf", "a.pdf", failure=Failure("a.pdf", 0, "unsupported_format", "a PDF"))])

    expect(page.locator("#state")).to_have_text("No review has an answer.")
    expect(page.locator("#failures")).to_contain_text("a PDF")
    for section in ("shares", "differences", "time", "phrases", "reviews", "ratings"):
        expect(page.locator(f"#{section}")).to_be_hidden()
    expect(page.locator("#filters button:visible")).to_have_text(["Clear"])


def test_long_names_that_differ_only_in_the_middle_or_at_the_end_can_be_told_apart(opened: Open) -> None:
    """A name that is cut shows the part in which it differs from the others."""
    products = [f"Kettle number {n:02} with a long name (edition {n % 2})" for n in range(6)]
    products += [f"Toaster for breakfast at home, size {size}" for size in ("S", "M", "L", "XL")]

    page = opened(review(product=product) for product in products for _ in range(3))

    drawn = page.locator("#differences svg text").all_text_contents()
    names = [text for text in drawn if "…" in text]
    assert len(names) == len(set(names)) == len(products)


def test_names_of_lines_that_end_at_the_same_share_can_be_read(opened: Open) -> None:
    page = opened(
        review(label=label, date=f"2025-{month:02}")
        for month in range(1, 5)
        for label in ("negative", "positive")
    )

    boxes = [
        page.locator("#time svg text", has_text=name).bounding_box() for name in ("positive", "negative")
    ]

    upper, lower = sorted((box for box in boxes if box), key=lambda box: box["y"])
    assert upper["y"] + upper["height"] <= lower["y"] + 1


def test_long_names_of_other_labels_stay_inside_their_charts(opened: Open) -> None:
    name = "disappointment and anger"

    page = opened(review(label=name, date=f"2025-{month:02}") for month in range(1, 5))

    for section in ("shares", "time"):
        chart = page.locator(f"#{section} svg").first.bounding_box()
        text = page.locator(f"#{section} svg text", has_text=name).bounding_box()
        assert chart
        assert text
        assert chart["x"] <= text["x"]
        assert text["x"] + text["width"] <= chart["x"] + chart["width"]


def test_a_search_needs_no_curly_quotes_and_no_line_breaks(opened: Open) -> None:
    """People type neither, and the phrases that the page offers contain neither."""
    page = opened([review(text="It isn’t\n“quiet” 👍🏽."), review(text="It is loud.")])

    for words in ('isn\'t "quiet"', "“quiet” 👍", "IT ISN’T"):
        page.get_by_label("Search the texts").fill(words)
        expect(page.locator("#state")).to_have_text("1 review of the 2 whose texts are on this page.")


def test_the_line_is_seen_beside_a_long_name_of_a_file(opened: Open) -> None:
    """Otherwise nobody can find the review again."""
    name = "Kundenzufriedenheit Export aller Filialen Januar bis Dezember 2026.csv"

    page = opened([Result(name, name, 41, "negative", 0.9, text="Cold soup.")])

    where = page.locator("#reviews .where").first
    expect(where).to_have_text(re.compile("^line 41 · Kundenzufriedenheit"))
    assert where.evaluate("element => element.scrollWidth > element.clientWidth")  # the end is cut


def test_failures_that_the_filters_leave_out_are_no_empty_table(opened: Open) -> None:
    page = opened(
        [review(), Result("b.csv", "b.csv", failure=Failure("b.csv", 7, "empty_review", "no words"))]
    )

    page.get_by_label("Search the texts").fill("fine")

    expect(page.locator("#failures")).to_contain_text("None of these passes the filters.")
    expect(page.locator("#failures table")).to_have_count(0)


def test_the_bands_of_few_reviews_fit_into_the_chart(opened: Open) -> None:
    """A band that is cut off looks like certainty. That of 1 of 2 reviews reaches 90.5%."""
    days = [f"2024-0{month}-05" for month in (1, 2, 3)]

    page = opened(review(label, date=day) for day in days for label in ("positive", "negative"))

    ticks = page.locator("#time svg").first.locator("text").all_text_contents()
    assert "80%" in ticks


def test_time_without_reviews_takes_its_place_in_the_chart(opened: Open) -> None:
    """Three months that follow January, February and May are not drawn as if they followed each other."""
    months = ["2024-01-05", "2024-02-05", "2024-05-05"]

    page = opened(review(date=day) for day in months for _ in range(2))

    at = bars(page)
    assert (at[2] - at[1]) / (at[1] - at[0]) == pytest.approx(3, abs=0.05)


def test_a_single_wrong_date_does_not_squeeze_the_others(opened: Open) -> None:
    days = ["1970-01-01", *(f"2024-{month:02}-05" for month in range(1, 9))]

    page = opened(review(date=day) for day in days for _ in range(2))

    at = bars(page)
    assert (at[-1] - at[1]) / (at[-1] - at[0]) > 0.7
    expect(page.locator("#time")).to_contain_text("A dotted line stands for a long period without reviews.")


def test_a_course_of_neither_praise_nor_blame_is_not_an_empty_chart(opened: Open) -> None:
    page = opened(review("neutral", date=f"2024-0{month}-01") for month in (1, 2, 3) for _ in range(2))

    expect(page.locator("#time .chart svg").first).to_contain_text("neutral")


def test_a_share_of_a_rating_comes_with_its_number_of_reviews(opened: Open) -> None:
    """100% of one review says less than 100% of many."""
    page = opened([review("negative", stars="1"), *(review(stars="5") for _ in range(7))])

    expect(page.locator("#ratings svg")).to_contain_text("(7)")


def test_the_ticks_of_many_ratings_do_not_overlap(opened: Open) -> None:
    page = opened(review(rating=str(number)) for number in range(101))

    ticks = page.locator("#ratings svg g").filter(has_text=re.compile("^0")).last.locator("text")
    places = sorted((dict(tick.bounding_box() or {}) for tick in ticks.all()), key=lambda place: place["x"])
    assert len(places) > 5
    assert all(left["x"] + left["width"] < right["x"] for left, right in pairwise(places))


def test_text_that_is_written_from_right_to_left_is_read_so(opened: Open) -> None:
    page = opened([review(text="המוצר נשבר אחרי שבוע."), review(text="It broke.")])
    page.get_by_role("button", name="Random sample").click()

    directions = {
        excerpt.inner_text(): excerpt.evaluate("element => getComputedStyle(element).direction")
        for excerpt in page.locator("#reviews .excerpt").all()
    }

    assert directions == {"המוצר נשבר אחרי שבוע.": "rtl", "It broke.": "ltr"}


def bars(page: Page) -> list[float]:
    """Return where the bars with the number of reviews are, from left to right."""
    lines = page.locator("#time .chart").nth(1).locator("svg line")
    ends = lines.evaluate_all("all => all.map(line => [line.x1.baseVal.value, line.x2.baseVal.value])")
    return sorted(start for start, end in ends if start == end)
