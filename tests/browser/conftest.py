"""A real browser, and pages for it. `make browser` runs these tests, in an environment of their own."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from tests.browser.synthetic import write_results

import reviewbox
from reviewbox.cli.report import make_report
from reviewbox.cli.watch import watch_folder
from reviewbox.model.classifier import Classifier
from reviewbox.report import ReportOptions, Result, render, report
from reviewbox.settings import Settings
from reviewbox.stack.stored_results import find_place

ROWS = 100_000
HOSTILE = (
    "Nice kettle</script><script>document.title='hacked'</script>"
    "<img src=x onerror=\"document.title='hacked'\">"
)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", "build/screenshots"))


@dataclass(frozen=True)
class Pages:
    """Paths of reports.

    Attributes:
        large: on 100,000 synthetic results.
        demo: on the reviews of the demo.
        hostile: on a review that tries to be a script.
    """

    large: Path
    demo: Path
    hostile: Path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window: the one that CHROMIUM names, the system's, or Playwright's own."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        found = (os.environ.get("CHROMIUM"), *map(shutil.which, _NAMES), own if Path(own).exists() else None)
        path = next(filter(None, found), None)
        if path is None:
            message = "no Chromium here: install it (apt-get install chromium), or set CHROMIUM to its path"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("pages")
    write_results(folder / "shop", ROWS)
    shutil.copytree(Path(reviewbox.__file__).parent / "local" / "reviews", folder / "inbox")
    watcher = watch_folder(folder / "inbox", None, Classifier.load(threads=2), Settings(), lambda *_: None)
    watcher.scan()
    watcher.scan()

    def write(name: str, page: str) -> Path:
        path = folder / f"{name}.html"
        path.write_text(page, encoding="utf-8")
        return path

    def page_of(results: Path, title: str) -> str:
        options = ReportOptions(title=title, scored_sentences=1500)
        return render(make_report(find_place(str(results)), options, None, Settings()))

    hostile = Result("a.csv", HOSTILE, 1, "positive", 0.9, text=HOSTILE, cells={"store": HOSTILE})
    return Pages(
        write("large", page_of(folder / "shop", "Shop reviews, 2024 and 2025")),
        write("demo", page_of(watcher.results, "Reviews of the demo")),
        write("hostile", render(report([hostile] * 3, ReportOptions(title=HOSTILE, by=["store"])))),
    )


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a report and wait until it is drawn. Afterwards, the browser's console must not have errors."""
    errors: list[str] = []
    contexts = []

    def open_page(
        path: Path, state: str = "", *, width: int = 1200, height: int = 850, dark: bool = False
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: errors.append(request.url) if "file:" not in request.url else None)
        page.goto(f"{path.as_uri()}{state}")
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def screenshot(page: Page, name: str) -> Path:
    """Write a picture of what the window shows, and return its path."""
    _SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = _SCREENSHOTS / f"{name}.png"
    page.screenshot(path=path)
    return path


def serious_findings(page: Page) -> list[str]:
    """Return what axe-core finds on a page that keeps people from using it."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:150]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
