import csv
import json
from collections.abc import Callable
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import attempt, document, refusal, texts

from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import COMPRESSIONS
from reviewbox.documents.detection import FORMATS, line_format
from reviewbox.errors import ErrorCode, Problem
from reviewbox.model.verdicts import Verdict
from reviewbox.results.added_fields import AddedFields

JSON_LINES = b'{"text": "good"}\n{"text": "bad"}\n'
PROSE = "Good, as the review says.\nBad, too.\n"
OPTIONS = ReadOptions()


def is_table(name: str, content_type: str = "") -> bool:
    """Return whether JSON Lines with this name are read as a table."""
    read = document(name, JSON_LINES, OPTIONS, content_type)
    assert len(read.rows) == (2 if read.table else 1)
    return read.table is not None


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "a.jsonlines", "A.JSONL", "incoming/2026.11/my file.v2.JsonL"]
)
def test_the_extension_names_the_format(name: str) -> None:
    assert is_table(name)


@pytest.mark.parametrize("name", ["a.txt", "a.text", "A.TXT", "incoming/a.jsonl/b.txt", "a.jsonl.txt"])
def test_a_text_file_is_one_review(name: str) -> None:
    assert texts(document(name, PROSE, OPTIONS)) == [PROSE]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-ndjson",
        "application/jsonl",
        "Application/X-JSONLines; charset=utf-8",
        " application/x-ndjson ",
    ],
)
@pytest.mark.parametrize("name", ["reviews", "reviews.data"])
def test_the_content_type_names_the_format_if_the_extension_is_unknown(name: str, content_type: str) -> None:
    assert is_table(name, content_type)


def test_the_extension_takes_precedence_over_the_content_type() -> None:
    """Upload tools guess content types, but people choose names."""
    assert texts(document("a.txt", PROSE, OPTIONS, "application/x-ndjson")) == [PROSE]
    assert is_table("a.jsonl", "text/plain")


LOOKS = {
    "CSV": (b"id,review\n1,good\n", "csv"),
    "semicolons": (b"id;review\n1;good\n", "csv"),
    "bars": (b"id|review\n1|good\n", "csv"),
    "TSV": (b"id\tText\n1\tgood\n", "tsv"),
    "JSON Lines": (JSON_LINES, "jsonl"),
    "a JSON array": (b'\n [ {"text": "good"}]', "jsonl"),
    "a JSON object": (b'{"text": "good"}', None),
    "HTML": (b"<!-- saved --> <!DOCTYPE html><p>good", None),
    "text": (PROSE.encode(), None),
    "Markdown": (b"# Good\n\n*really*\n", None),
}


@pytest.mark.parametrize(
    "content_type", ["", "binary/octet-stream", "application/octet-stream", "application/x-unknown"]
)
@pytest.mark.parametrize("name", ["review", "incoming/2026.11/review", "incoming/.hidden", "reviews.export"])
@pytest.mark.parametrize("looks", LOOKS)
def test_the_first_bytes_decide_if_name_and_content_type_are_unknown(
    name: str, content_type: str, looks: str
) -> None:
    data, extension = LOOKS[looks]

    read = document(name, data, OPTIONS, content_type)

    assert (read.table.extension if read.table else None) == extension


TEXT_TABLES = {
    "tabs": (b"id\treview\tstars\n1\tA good film\t5\n2\tA bad one\t1\n3\tFine, too\t4\n", "TSV"),
    "bars": (b"id|review|stars\n1|A good film|5\n2|A bad one|1\n3|Fine, too|4\n", "CSV"),
    "commas": (b'id,review,stars\r\n1,A good film,5\r\n2,"A bad, bad one",1\r\n3,Fine,4\r\n', "CSV"),
    "a title": (b"Reviews of May\n\nid|review|stars\n1|A good film|5\n2|A bad one|1\n3|Fine, too|4\n", "CSV"),
    "UTF-16": ("id\treview\n1\tA good film\n2\tA bad one\n".encode("utf-16"), "TSV"),
}


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.txt", ""), ("a.TEXT", ""), ("a.txt.gz", ""), ("a", ""), ("a", "text/plain"), ("a.export", "")],
)
@pytest.mark.parametrize("kind", TEXT_TABLES)
def test_a_text_file_that_is_plainly_a_table_is_one(kind: str, name: str, content_type: str) -> None:
    """The receipt says so, whether the file is read as a whole or in segments."""
    data, format_name = TEXT_TABLES[kind]

    read = document(name, data, OPTIONS, content_type)

    assert len(read.rows) > 1
    assert read.notes["detected_as"] == format_name
    detected = line_format(name, content_type, data)
    if kind != "UTF-16":
        assert detected is not None
        assert (detected.name, detected.notes) == (format_name, {"detected_as": format_name})


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_json_lines_that_are_called_text_are_not_taken_for_a_delimited_table(name: str) -> None:
    data = b'{"id": 1, "review": "A good film", "stars": 5}\n{"id": 2, "review": "A bad film", "stars": 1}\n'

    read = document(name, data, OPTIONS)

    assert texts(read) == ["A good film", "A bad film"]
    assert (read.notes.get("detected_as"), read.table and read.table.extension) == ("JSON", "jsonl")


def test_a_table_with_its_own_name_has_no_note() -> None:
    assert "detected_as" not in document("a.csv", TEXT_TABLES["commas"][0], OPTIONS).notes


@pytest.mark.parametrize(
    "text",
    [
        "A good film, I think, and a long one.\nThe music was fine, the cast, too.\nI would see it again.",
        "Good, cheap, quick.\nBad, though, in the rain.\n",
        "Pros: cheap; quick; small\nCons: loud; ugly; heavy\n",
        "\tA good film.\n\tA long one.\n\tI loved it.\n",
        "5 stars, would buy again\n",
        "Great film | Terrible ending\n\nI still recommend it.",
        "First, it broke.\nThen, they laughed.\nFinally, I left.",
        "- good sound\n- bad battery\n- fair price\n",
        "good\nbad\nfine\n",
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a", "a.export"])
def test_prose_is_not_a_table(name: str, text: str) -> None:
    read = document(name, text, OPTIONS)

    assert read.table is None
    assert "detected_as" not in read.notes


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=utf-8"])
@pytest.mark.parametrize("name", ["review", "review.export"])
def test_the_content_type_takes_precedence_over_the_first_bytes(name: str, content_type: str) -> None:
    page = "<!DOCTYPE html><p>good"

    assert texts(document(name, page, OPTIONS, content_type)) == [page]
    assert texts(document(name, page, OPTIONS)) != [page]


@pytest.mark.parametrize(
    ("name", "content_type", "notes"),
    [
        ("a.csv", "text/plain", "comma"),
        ("a", "text/csv; charset=utf-8", "comma"),
        ("a.tab", "", "comma"),
        ("a", "text/tab-separated-values", "comma"),
        ("a.CSV.GZ", "", "comma"),
    ],
)
def test_the_extension_does_not_determine_the_delimiter(name: str, content_type: str, notes: str) -> None:
    read = document(name, b"id,review\n1,good\n", OPTIONS, content_type)

    assert read.notes["delimiter"] == notes
    assert [row.text for row in read.rows] == ["good"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Office"),
    ],
)
@pytest.mark.parametrize("name", ["a.xlsx", "a.dat", "a"])
def test_a_known_unsupported_format_is_refused_by_name(data: bytes, what: str, name: str) -> None:
    problem = refusal(name, data)

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert what in problem.message
    assert "; ex" in problem.message  # export it, or extract it


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.jsonl", "a.html", "a.md", "a"])
def test_a_binary_file_is_refused(name: str) -> None:
    problem = refusal(name, b"\x8aABC\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1" + bytes(range(32)) * 9, OPTIONS)

    assert problem.code is ErrorCode.BINARY_FILE


TABLES = {
    "a.csv": b"id,review\n1,good\n2,XXXX\n3,bad\n",
    "a.tsv": b"id\treview\n1\tgood\n2\tXXXX\n3\tbad\n",
    "a.jsonl": b'\n{"id":"1","review":"good"}\n{"id":"2","review":"XXXX"}\n{"id":"3","review":"bad"}\n',
    "a.json": b'[\n{"id":"1","review":"good"},\n{"id":"2","review":"XXXX"},\n{"id":"3","review":"bad"}\n]',
}


@pytest.mark.parametrize(
    ("names", "spoilt", "code"),
    [
        (["a.csv", "a.tsv"], b"a\0b", ErrorCode.NUL_CHARACTER),
        (["a.csv", "a.tsv", "a.jsonl", "a.json"], b"a\xed\xa0\xbd", ErrorCode.LONE_SURROGATE),
        (["a.jsonl", "a.json"], b"a\\u0000b", ErrorCode.NUL_CHARACTER),
        (["a.jsonl", "a.json"], b"a\\ud83d", ErrorCode.LONE_SURROGATE),
    ],
)
def test_an_invalid_character_in_a_review_is_an_error_of_its_row(
    names: list[str], spoilt: bytes, code: ErrorCode
) -> None:
    for name in names:
        read = document(name, TABLES[name].replace(b"XXXX", spoilt), OPTIONS)

        rows = [(row.line, row.text, row.problem and row.problem.code) for row in read.rows]
        assert rows == [(2, "good", None), (3, "", code), (4, "bad", None)]
        (message,) = (row.problem.message for row in read.rows if row.problem)
        assert message.startswith("line 3: ")


@pytest.mark.parametrize("name", TABLES)
def test_other_fields_may_contain_invalid_characters(name: str) -> None:
    spoilt = b"\\u0000\\ud83d" if "json" in name else b"\xed\xa0\xbd"

    read = document(name, TABLES[name].replace(b"2", spoilt, 1), OPTIONS)

    assert [row.text for row in read.rows] == ["good", "XXXX", "bad"]


@pytest.mark.parametrize(("name", "data"), [("a.txt", b"good\nfi\0lm"), ("a.json", b'{"text": "a\\ud800"}')])
def test_a_single_review_is_checked_too(name: str, data: bytes) -> None:
    (row,) = document(name, data, OPTIONS).rows

    assert row.problem is not None
    assert row.problem.code in (ErrorCode.NUL_CHARACTER, ErrorCode.LONE_SURROGATE)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a", "a.pdf"])
def test_an_empty_file_is_refused(name: str) -> None:
    assert refusal(name, b"").code is ErrorCode.EMPTY_FILE


def test_options_reach_the_format() -> None:
    data = b'{"note": "caf\xe9", "text": "x"}'

    read = document("a.jsonl", data, ReadOptions("note", "latin-1"))

    assert next(iter(read.rows)).text == "caf\u00e9"


# By the name that notes give them; a delimiter without a name stands for itself.
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "tilde": "~", "caret": "^"}
NAMES = [f"a{extension}" for format_ in FORMATS for extension in sorted(format_.extensions)] + ["a", "a.gz"]
TYPES = ["", *(content_type for format_ in FORMATS for content_type in sorted(format_.content_types))]
# Fragments of files of all formats, for files that are almost valid.
FRAGMENTS = [
    b"id", b"review", b"text", b"good film", b"1", b",", b";", b"\t", b"|", b'"', b'""', b"\n", b"\r\n",
    b"\r", b"\\", b"\\N", b"sep=;\n", b"{", b"}", b"[", b"]", b":", b'{"text": "good"}', b"NaN", b"1e400",
    b"<p>", b"<!--", b"<script", b"&amp;", b"# ", b"---\n", b"[a](", b")", b"\0", b"\x81", b"\xe9",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b", b"\x28\xb5\x2f\xfd",
]  # fmt: skip


@given(
    name=st.text() | st.sampled_from(NAMES),
    content_type=st.text() | st.sampled_from(TYPES),
    data=st.binary() | st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join),
    compress=st.sampled_from([bytes, *(compression.compress for compression in COMPRESSIONS)]),
    options=st.builds(ReadOptions, st.sampled_from(["", "text"]), st.sampled_from(["", "windows-1252"])),
)
def test_any_file_is_read_or_refused(
    name: str, content_type: str, data: bytes, compress: Callable[[bytes], bytes], options: ReadOptions
) -> None:
    outcome = attempt(name, compress(data), options, content_type)

    if isinstance(outcome, Problem):
        assert outcome.message
        return
    rows = outcome.rows
    assert rows
    for row in rows:
        assert row.line >= 1
        assert not (row.text and row.problem)
        if row.problem and outcome.table:
            assert row.problem.message.startswith("line ")
        row.text.encode()
    if outcome.table is None:
        assert len(rows) == 1
        return
    # The result can be loaded and has as many rows.
    added = AddedFields(outcome.table, 0.8)
    verdict = Verdict("positive", 0.9, {"positive": 0.9}, 1, 1)
    header = outcome.table.render_header(added.names)
    lines = [outcome.table.render_row(row, added.values(row, row.problem or verdict)) for row in rows]
    written = header + "".join(lines)
    if outcome.table.extension.startswith("jsonl"):
        assert [type(json.loads(line)) for line in written.split("\n")[:-1]] == [dict] * len(rows)
    elif outcome.notes["quotes"] == "doubled":
        delimiter = DELIMITERS.get(str(outcome.notes["delimiter"]))
        body = StringIO(written.removeprefix(header), newline="")
        loaded = list(csv.reader(body, delimiter=delimiter or str(outcome.notes["delimiter"]), strict=True))
        assert len(loaded) == len(rows)
        assert len({len(cells) for cells in loaded}) == 1


@pytest.mark.parametrize(
    "name",
    ["incoming/2026.11.02 hotel review", "incoming/Mr. Smith", "v2.5", "incoming/.hidden", "a.b/review"],
)
def test_a_dot_in_a_name_does_not_make_an_extension(name: str) -> None:
    read = document(name, b"good film", content_type="binary/octet-stream")

    assert read.table is None
