"""What a person sees and does with the console, in a real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.conftest import screenshot, serious_findings
from tests.cold_start import function_process

import reviewbox
from reviewbox.cli.local import cloud_report
from reviewbox.cli.watch import FolderWatcher, serve_watcher, watch_folder
from reviewbox.console import Board, Console, Inbox, start_console
from reviewbox.folder_storage import FolderStorage
from reviewbox.local.console import start_service_and_console
from reviewbox.model.classifier import Classifier
from reviewbox.settings import Settings

Visit = Callable[..., Page]

ROOT = Path(__file__).parents[2]
REVIEWS = Path(reviewbox.__file__).parent / "local" / "reviews"
HOSTILE = "<img src=x onerror=alert(1)>.txt"
SECONDS_TO_WAIT = 60_000


@pytest.fixture(autouse=True)
def _patience() -> None:
    expect.set_options(timeout=SECONDS_TO_WAIT)


@pytest.fixture(scope="module")
def cloud() -> Iterator[str]:
    """The address of the console of a local cloud with the real model."""
    with (
        function_process(ROOT / "model"),
        start_service_and_console(ROOT / "template.yaml", 0, 0, cloud_report) as (_, address),
    ):
        yield address


@pytest.fixture
def watcher(tmp_path: Path) -> FolderWatcher:
    (tmp_path / "inbox").mkdir()
    return watch_folder(tmp_path / "inbox", None, Classifier.load(), Settings(), lambda *_: None)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a console. Afterwards, nothing was loaded from elsewhere, and no errors are in its log."""
    errors: list[str] = []
    contexts = []

    def open_page(address: str, *, width: int = 1100, height: int = 900, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((address, "data:")) else errors.append(request.url)
            ),
        )
        page.goto(address)
        expect(page.locator("#stages li")).to_have_count(4)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # The browser itself logs the answer to a name that is taken.
    assert [error for error in errors if "409 (Conflict)" not in error] == []


def drop(page: Page, *paths: Path) -> None:
    """Drag files and folders onto the page, as the browser does for a person."""
    session = page.context.new_cdp_session(page)
    box = page.locator("#drop").bounding_box()
    assert box is not None
    place = {"x": box["x"] + 40, "y": box["y"] + 40}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def note_stages(page: Page) -> set[str]:
    """Return a set that collects each stage that the page shows from now on."""
    seen: set[str] = set()
    page.expose_function("noteStage", lambda stage: seen.add(stage))  # noqa: PLW0108 - playwright cannot take a built-in method
    page.evaluate(
        """() => new MutationObserver(() => {
            for (const track of document.querySelectorAll(".track")) noteStage(track.title);
        }).observe(document.getElementById("files"), { childList: true, subtree: true })"""
    )
    return seen


def result(page: Page, name: str) -> str:
    """Wait for a file's result, and return what the page says about it."""
    row = page.locator("#files > li", has_text=name)
    expect(row.locator(".track")).to_have_attribute("title", "Stage 4 of 4: Result")
    return str(row.inner_text())


def test_dropped_files_pass_through_the_stages_to_the_report(cloud: str, visit: Visit) -> None:
    page = visit(cloud)
    expect(page.locator("#report")).to_have_attribute("aria-disabled", "true")

    stages = note_stages(page)

    files = [path for path in REVIEWS.rglob("*") if path.is_file()]
    drop(page, *sorted(files, key=lambda path: (path.suffix == ".jsonl", path.name)))

    assert "negative" in result(page, "kettle.txt")
    assert "8 rows" in result(page, "app_reviews.jsonl")
    assert "from “" in result(page, "app_reviews.jsonl")  # the field that holds the reviews
    assert "PNG image" in result(page, "not_a_review.txt")
    expect(page.locator("#stages li").last).to_have_text("12Result")
    assert {stage.partition(": ")[2] for stage in stages} == {"Upload", "Queue", "Function", "Result"}
    expect(page.locator("#queues")).to_have_text(
        "SQS: 0\u00a0waiting · 0\u00a0in\u00a0flight · 0\u00a0dead\u00a0letters"
    )
    assert serious_findings(page) == []
    screenshot(page, "console")
    page.get_by_role("link", name="Open the report").click()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#overview").inner_text().startswith("15 reviews · 12 files · ")
    page.go_back()
    assert "negative" in result(page, "kettle.txt")


def test_a_folder_is_dropped(cloud: str, visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "films" / "old"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("A wonderful film.")
    (folder / ".hidden").write_text("A wonderful film.")
    page = visit(cloud)

    drop(page, tmp_path / "films")

    assert "positive" in result(page, "films_old_a.txt")
    expect(page.locator("#files > li", has_text="hidden")).to_have_count(0)


def test_files_are_chosen_and_the_report_opened_with_the_keyboard_only(
    cloud: str, visit: Visit, tmp_path: Path
) -> None:
    (tmp_path / "keyboard.txt").write_text("What a dreadful kettle. It leaks.")
    page = visit(cloud)
    page.on("filechooser", lambda chooser: chooser.set_files(tmp_path / "keyboard.txt"))

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    page.keyboard.press("Enter")
    assert "negative" in result(page, "keyboard.txt")
    expect(page.get_by_role("status")).to_have_text("keyboard.txt: negative")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.id") == "report"
    page.keyboard.press("Enter")

    page.wait_for_selector("html[data-ready]")
    assert page.title() == "Reviews in the local cloud · Reviewbox"


def test_a_file_of_the_same_name_is_replaced_on_purpose(cloud: str, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "same.txt").write_text("A wonderful film.")
    page = visit(cloud)
    drop(page, tmp_path / "same.txt")
    assert "positive" in result(page, "same.txt")
    (tmp_path / "same.txt").write_text("A dreadful film.")

    drop(page, tmp_path / "same.txt")

    row = page.locator("#files > li", has_text="same.txt")
    expect(row).to_contain_text("A file with this name already exists.")
    expect(row).to_contain_text("positive")
    page.get_by_role("button", name="Replace it").click()
    expect(row).to_contain_text("negative")


def test_a_name_is_shown_as_text(cloud: str, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / HOSTILE).write_text("A wonderful film.")
    page = visit(cloud)

    drop(page, tmp_path / HOSTILE)

    assert HOSTILE in result(page, HOSTILE)
    assert page.locator("#files img").count() == 0


def test_the_console_fits_a_phone_in_the_dark(cloud: str, visit: Visit, tmp_path: Path) -> None:
    for name in ("march.csv", f"{'long-' * 20}name.csv"):
        (tmp_path / name).write_text("review,stars\n" + "A wonderful film.,5\nA dreadful film.,1\n" * 20)
    page = visit(cloud, width=375, height=812, dark=True)

    drop(page, tmp_path / "march.csv")
    assert "40 rows" in result(page, "march.csv")
    screenshot(page, "console-phone")
    drop(page, tmp_path / name)

    assert "40 rows" in result(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert serious_findings(page) == []


def test_a_watched_folder_has_the_same_console(watcher: FolderWatcher, visit: Visit) -> None:
    with serve_watcher(watcher, 0) as address:
        page = visit(address)
        drop(page, REVIEWS / "films" / "sequel.txt")
        expect(page.locator("#files .track")).to_have_attribute("title", "Stage 2 of 4: Saved")
        shutil.copy(REVIEWS / "products" / "kettle.txt", watcher.folder)
        watcher.scan()
        watcher.scan()
        assert "mixed" in result(page, "sequel.txt")
        assert "negative" in result(page, "kettle.txt")
        page.get_by_role("link", name="Open the report").click()
        page.wait_for_selector("html[data-ready]")
        assert "2 reviews" in page.locator("#overview").inner_text()


def test_a_console_that_has_stopped_says_so(watcher: FolderWatcher, browser: Browser) -> None:
    with serve_watcher(watcher, 0) as address:
        page = browser.new_page()
        page.goto(address)
        expect(page.locator("#stages li")).to_have_count(4)

    expect(page.get_by_role("alert")).to_have_text("The console has stopped. Start it again in the terminal.")
    page.close()


def test_files_that_only_the_queue_knows_are_counted_as_waiting(visit: Visit, tmp_path: Path) -> None:
    """The page and the queue agree, although files did not all come through the page."""
    inbox = Inbox(FolderStorage({"inbox": tmp_path}), "inbox")
    board = Board(("Upload", "Queue", "Function", "Result"))
    queues = {"waiting": 902, "in flight": 10, "dead letters": 0}
    console = Console("Inbox", str(tmp_path), board, inbox, lambda: "", lambda: queues)

    with start_console(console, 0) as address:
        page = visit(address)
        expect(page.locator("#stages li").nth(1)).to_have_text("902Queue")
        expect(page.locator("#queues")).to_contain_text("902\u00a0waiting")
