"""Checks that lists in the documentation are complete."""

import json
import re
from pathlib import Path

from tests.fuzz.targets import TARGETS

from reviewbox.documents.compression import COMPRESSIONS
from reviewbox.documents.detection import FORMATS
from reviewbox.errors import AbsenceCode, ErrorCode
from reviewbox.report.remedies import REMEDIES

ROOT = Path(__file__).parent.parent
FORMATS_PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


def table_under(heading: str) -> list[list[set[str]]]:
    """Return the code spans in each cell of the first table under a heading, without its header."""
    section = FORMATS_PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[set(re.findall(r"`([^`]+)`", cell)) for cell in line.split("|")[1:-1]] for line in lines]


def test_exactly_the_existing_error_codes_are_listed() -> None:
    listed = [code for row in table_under("Error codes") for code in row[0]]

    assert sorted(listed) == sorted(code.value for code in ErrorCode)


def test_the_codes_of_results_that_are_not_found_are_listed() -> None:
    section = FORMATS_PAGE.split("## Error codes\n")[1]
    listed = re.findall(r"^- `(\w+)` \(", section, re.MULTILINE)

    assert sorted(listed) == sorted(code.value for code in AbsenceCode)


def test_no_other_code_is_in_the_source() -> None:
    """A code that is not in one of the lists would not be documented."""
    source = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("src/reviewbox", "handlers")
        for path in (ROOT / folder).rglob("*.py")
    )
    written = re.findall(
        r"""["'](?:error_)?code["']: *["'](\w+)["']|(?:_error|_failed)\([^)]*?["'](\w+)["'],""", source
    )

    assert not written


def test_the_report_gives_the_remedies_of_the_page() -> None:
    section = FORMATS_PAGE.split("## Error codes\n")[1]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]

    assert {row[1].strip(" `"): row[4].strip() for row in rows} == dict(REMEDIES)


def test_every_format_is_listed_with_its_extensions_and_content_types() -> None:
    names = re.findall(r"^\| ([A-Z]\w+(?: Lines)?|text) \|", FORMATS_PAGE, re.MULTILINE)

    assert dict(zip(names, [(row[1], row[2]) for row in table_under("Formats")], strict=True)) == {
        known.name: (set(known.extensions), set(known.content_types)) for known in FORMATS
    }


def test_every_compression_is_listed() -> None:
    for compression in COMPRESSIONS:
        extensions = " ".join(f"`{extension}`" for extension in compression.extensions)
        assert f"{compression.name} ({extensions})" in " ".join(FORMATS_PAGE.split())


def test_every_listed_tool_has_an_export_among_the_tests() -> None:
    (listed,) = re.findall(r"among the tests: (.*?)\. Where", FORMATS_PAGE, re.DOTALL)
    tools = {" ".join(tool.split()) for tool in listed.split(",")}
    expected = json.loads((ROOT / "tests" / "exports" / "expected.json").read_text(encoding="utf-8"))

    assert tools <= {entry["tool"] for entry in expected.values()}
    assert len(tools) >= 40


def test_the_readme_links_to_the_formats_page() -> None:
    assert "docs/formats.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_that_attacks_a_promise_exists() -> None:
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    makefiles = [ROOT / "Makefile", *(ROOT / ".ci").glob("*.mk")]
    targets = {
        name
        for file in makefiles
        for name in re.findall(r"^([a-z0-9-]+):", file.read_text("utf-8"), re.MULTILINE)
    }

    commands = set(re.findall(r"`make ([a-z0-9-]+)", page))
    fuzzed = {name for names in re.findall(r'TARGETS="?([a-z_ ]+)', page) for name in names.split()}

    assert commands <= targets
    assert fuzzed <= TARGETS.keys()
