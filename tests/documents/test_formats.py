import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbox.documents import Document, ReadOptions, read_document
from reviewbox.errors import ErrorCode, Problem, SourceError

JSON_LINES = b'{"text": "good"}\n{"text": "bad"}\n'
OPTIONS = ReadOptions()


def is_table(name: str, content_type: str = "") -> bool:
    """Whether JSON Lines under that name are read as such: a text file is one review."""
    document = read_document(name, content_type, JSON_LINES, OPTIONS)
    assert len(list(document.rows)) == (2 if document.table else 1)
    return document.table is not None


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "a.jsonlines", "A.JSONL", "incoming/2026.11/my file.v2.JsonL"]
)
def test_an_extension_names_the_format(name: str) -> None:
    assert is_table(name)


@pytest.mark.parametrize("name", ["a.txt", "a.text", "A.TXT", "incoming/a.jsonl/b.txt", "a.jsonl.txt"])
def test_a_text_file_is_one_review(name: str) -> None:
    assert not is_table(name)


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
def test_without_a_known_extension_the_content_type_names_it(name: str, content_type: str) -> None:
    assert is_table(name, content_type)


def test_the_extension_outranks_the_content_type() -> None:
    """Uploaders guess types; people choose names."""
    assert not is_table("a.txt", "application/x-ndjson")
    assert is_table("a.jsonl", "text/plain")


@pytest.mark.parametrize(
    "content_type", ["", "binary/octet-stream", "application/octet-stream", "text/plain"]
)
@pytest.mark.parametrize("name", ["review", "incoming/2026.11/review", "incoming/.hidden"])
def test_a_name_without_an_extension_is_text(name: str, content_type: str) -> None:
    assert not is_table(name, content_type)


def test_an_unknown_extension_is_text_if_its_type_says_so() -> None:
    assert not is_table("review.md", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("scan.pdf", "application/pdf"), ("a.zip", ""), ("a.JPEG", "binary/octet-stream")],
)
def test_an_unknown_format_is_refused_and_the_known_ones_named(name: str, content_type: str) -> None:
    with pytest.raises(SourceError) as raised:
        read_document(name, content_type, JSON_LINES, OPTIONS)

    problem = raised.value.problem
    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert name[name.index(".") :].lower() in problem.message
    assert ".txt" in problem.message
    assert ".jsonl" in problem.message


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a", "a.pdf"])
def test_an_empty_file_is_refused(name: str) -> None:
    with pytest.raises(SourceError) as raised:
        read_document(name, "", b"", OPTIONS)

    assert raised.value.problem.code is ErrorCode.EMPTY_FILE


def test_options_reach_the_format() -> None:
    data = b'{"note": "caf\xe9", "text": "x"}'

    document = read_document("a.jsonl", "", data, ReadOptions("note", "latin-1"))

    assert next(iter(document.rows)).text == "caf\u00e9"


@given(
    name=st.text() | st.from_regex(r"\A[a-z./]{0,8}\.(txt|jsonl|ndjson)\Z"),
    content_type=st.text() | st.just("application/jsonl"),
    data=st.binary(),
    options=st.builds(ReadOptions, st.sampled_from(["", "text"]), st.sampled_from(["", "windows-1252"])),
)
@settings(deadline=None)
def test_whatever_is_dropped_is_read_or_refused(
    name: str, content_type: str, data: bytes, options: ReadOptions
) -> None:
    outcome = attempt(name, content_type, data, options)

    if isinstance(outcome, Document):
        assert outcome.rows
    else:
        assert outcome.message


def attempt(name: str, content_type: str, data: bytes, options: ReadOptions) -> Document | Problem:
    try:
        return read_document(name, content_type, data, options)
    except SourceError as error:
        return error.problem


@pytest.mark.parametrize(
    "name",
    ["incoming/2026.11.02 hotel review", "incoming/Mr. Smith", "v2.5", "incoming/.hidden", "a.b/review"],
)
def test_a_dot_in_a_name_does_not_make_an_extension(name: str) -> None:
    document = read_document(name, "binary/octet-stream", b"good film", ReadOptions())

    assert document.table is None
