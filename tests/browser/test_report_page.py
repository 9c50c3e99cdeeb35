"""What a person sees and does with a report, in a real browser."""

import csv
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import HOSTILE, Pages, screenshot, serious_findings

from reviewbox.cli.render import rounded_bytes

Visit = Callable[..., Page]

_MAX_SCREENSHOT = 300_000  # bytes
_LOADS = 5


def rows(pages: Pages) -> list[dict[str, str]]:
    """Return the rows of the large table that have a verdict, as they were written."""
    found: list[dict[str, str]] = []
    for part in sorted(pages.large.parent.glob("shop/results/**/part-*.csv")):
        with part.open(encoding="utf-8", newline="") as file:
            found += (row for row in csv.DictReader(file) if row["sentiment"])
    return found


def test_the_first_paint_is_measured(pages: Pages, visit: Visit, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the time until 100,000 results show something, which depends on the machine."""
    script = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    paints = sorted(visit(pages.large).evaluate(script) for _ in range(_LOADS))

    with capsys.disabled():
        size = rounded_bytes(pages.large.stat().st_size)
        print(  # noqa: T201 - what the test is for
            f"\nfirst paint of 100,000 results: median {paints[_LOADS // 2]:.0f} ms, "
            f"slowest {paints[-1]:.0f} ms of {_LOADS}; size of the page: {size}"
        )
    assert pages.large.stat().st_size < 5_000_000


def test_the_shares_are_the_same_before_and_after_the_scripts(pages: Pages, visit: Visit) -> None:
    """The page shows a table without any script, and the scripts draw it again."""
    written = pages.large.read_text(encoding="utf-8").split("<tbody>", 1)[1].split("</tbody>", 1)[0]
    cells = [text for text in re.split(r"<[^>]*>", written) if text]

    drawn = visit(pages.large).locator("#share-table tbody").inner_text()

    assert re.split(r"[\t\n]", drawn) == cells


def test_filters_count_what_the_table_holds(pages: Pages, visit: Visit) -> None:
    page = visit(pages.large)
    table = rows(pages)
    expected = [r for r in table if r["store"] == "Web shop" and r["sentiment"] == "negative"]

    page.get_by_role("button", name="negative", exact=True).click()
    page.get_by_label("Filter by store").select_option(label="Web shop")

    expect(page.locator("#state")).to_have_text(f"{len(expected):,} reviews of {len(table):,}.")
    page.get_by_text("Table, with ranges and filters").first.click()
    kettles = sum(r["product"] == "Kettle K2" for r in expected)
    assert f"{kettles:,}" in page.locator("#differences tr", has_text="Kettle K2").inner_text()


def test_the_address_holds_the_state(pages: Pages, visit: Visit) -> None:
    page = visit(pages.large)
    page.get_by_role("button", name="negative", exact=True).click()
    page.get_by_label("Filter by store").select_option(label="Oslo")
    page.get_by_role("button", name="Strongest blame").click()
    page.locator("#reviews details summary").first.click()
    expect(page).to_have_url(re.compile("review="))
    before = page.locator("#state").inner_text(), page.locator("#reviews details[open]").inner_text()

    again = visit(pages.large, page.evaluate("location.hash"))

    assert (
        again.locator("#state").inner_text(),
        again.locator("#reviews details[open]").inner_text(),
    ) == before
    again.get_by_role("button", name="Clear").click()
    expect(again.locator("#state")).to_have_text("All 99,817 reviews.")


def test_a_search_finds_texts_and_acts_on_everything(pages: Pages, visit: Visit) -> None:
    page = visit(pages.large)
    page.get_by_role("button", name="Random sample").click()

    page.get_by_label("Search the texts").fill("got stuck")

    expect(page.locator("#state")).to_contain_text("texts are on this page")
    excerpts = page.locator("#reviews .excerpt").all_inner_texts()
    assert excerpts
    assert all("got stuck" in text for text in excerpts)
    shown = page.locator("#share-table tbody tr").all_inner_texts()
    assert sum(int(row.split("\t")[-1].replace(",", "")) for row in shown) < 1000


def test_a_phrase_opens_its_sentences(pages: Pages, visit: Visit) -> None:
    page = visit(pages.large)

    phrase = page.locator("#phrases .phrases details").first
    phrase.locator("summary").click()

    name = phrase.locator(".name").inner_text()
    examples = phrase.locator(".examples li")
    examples.first.wait_for()
    assert all(name.removeprefix("▾ ").split()[0] in text.lower() for text in examples.all_inner_texts())
    assert phrase.locator("mark").count()


def test_an_opened_review_is_shaded_and_its_text_can_be_selected(pages: Pages, visit: Visit) -> None:
    page = visit(pages.demo)
    page.get_by_role("button", name="Praise and blame").click()

    review = page.locator("#reviews details").first
    review.locator("summary").click()

    text = review.locator(".text")
    text.wait_for()
    assert text.locator(".says-positive").count()
    assert text.locator(".says-negative").count()
    text.evaluate("element => getSelection().selectAllChildren(element)")
    selected = page.evaluate("getSelection().toString()")
    source = pages.demo.parent / "inbox" / "films" / "sequel.txt"
    assert selected.split() == source.read_text(encoding="utf-8").split()
    page.evaluate("getSelection().removeAllRanges()")
    page.evaluate("document.getElementById('reviews').scrollIntoView({behavior: 'instant'})")
    assert screenshot(page, "review").stat().st_size < _MAX_SCREENSHOT


def test_everything_can_be_done_with_the_keyboard(pages: Pages, visit: Visit) -> None:
    """Search, filter, choose a list and open a review, with Tab, Enter, Space and arrows only."""
    page = visit(pages.large)

    def tab_to(selector: str) -> None:
        for _ in range(200):
            page.keyboard.press("Tab")
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"Tab never reaches {selector}")

    tab_to("a.skip")
    tab_to("input[type=search]")
    page.keyboard.type("zip")
    expect(page.locator("#state")).to_contain_text("texts are on this page")
    tab_to("[data-label]")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("answer=negative"))
    tab_to("select[data-dimension]")
    page.keyboard.press("ArrowDown")
    expect(page).to_have_url(re.compile(r"is\.product="))
    tab_to("#differences .group button[aria-pressed=false]")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("by="))
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    tab_to("#reviews .reviews summary")
    page.keyboard.press("Enter")
    page.locator("#reviews details[open] .text").first.wait_for()


def test_dark_mode(pages: Pages, visit: Visit) -> None:
    page = visit(pages.large, dark=True)

    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, background.removeprefix("rgb(").removesuffix(")").split(","))) < 60
    assert screenshot(page, "report-dark").stat().st_size < _MAX_SCREENSHOT


def test_charts_are_read_without_color(pages: Pages, visit: Visit) -> None:
    """Names, order and the kind of line say what colors say."""
    page = visit(pages.large)

    for chart, names in {"#shares": 4, "#differences": 3, "#time": 2}.items():
        texts = " ".join(page.locator(f"{chart} svg text").all_text_contents())
        assert sum(name in texts for name in ("negative", "mixed", "neutral", "positive")) >= names, chart
    assert page.locator('#time svg [stroke-dasharray="6 3"]').count() == 1


def test_a_phone_shows_everything_without_scrolling_sideways(pages: Pages, visit: Visit) -> None:
    for path in (pages.large, pages.demo):
        page = visit(path, width=375, height=812)
        page.get_by_text("Filters", exact=True).click()
        page.locator("#reviews details summary").first.click()

        assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page = visit(pages.large, width=375, height=812)
    assert screenshot(page, "report-phone").stat().st_size < _MAX_SCREENSHOT


def test_a_picture_of_the_report(pages: Pages, visit: Visit) -> None:
    page = visit(pages.large, height=1350)

    assert screenshot(page, "report").stat().st_size < _MAX_SCREENSHOT


@pytest.mark.parametrize("width", [1200, 375])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(pages: Pages, visit: Visit, width: int, *, dark: bool) -> None:
    for path in (pages.large, pages.demo):
        page = visit(path, width=width, dark=dark)
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        page.wait_for_timeout(300)

        assert serious_findings(page) == []


def test_a_review_that_tries_to_be_a_script_is_text(pages: Pages, visit: Visit) -> None:
    page = visit(pages.hostile)
    page.locator("#reviews details summary").first.click()

    assert page.locator("#reviews .text").first.inner_text().endswith(HOSTILE)
    assert page.title() == f"{HOSTILE} · Reviewbox"
    assert page.locator("img").count() == 0
    assert page.get_by_label("Filter by store").locator("option").all_inner_texts()


def test_the_page_cannot_use_the_network(pages: Pages, browser: Browser) -> None:
    """Its policy stops even a script that would get in."""
    page = browser.new_page()
    page.goto(pages.demo.as_uri())
    blocked = page.evaluate(
        "() => new Promise(resolve => {"
        " addEventListener('securitypolicyviolation', event => resolve(event.violatedDirective));"
        " const image = new Image(); image.src = 'https://example.com/x.png'; document.body.append(image); })"
    )
    page.close()

    assert blocked == "img-src"


def test_filters_that_nothing_passes_say_so(pages: Pages, visit: Visit) -> None:
    page = visit(pages.demo)
    page.get_by_label("Search the texts").fill("no review says this")

    expect(page.locator("#state")).to_have_text("0 reviews of the 15 whose texts are on this page.")
    assert "No review in this list passes the filters." in page.locator("#reviews").inner_text()
