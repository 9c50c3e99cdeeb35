"""Text files. A file is one review."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from reviewbox.documents.document import Document, ReadOptions, Row, Value
from reviewbox.documents.encoding import Decoded, decode
from reviewbox.documents.format import Format
from reviewbox.documents.pacing import Pace
from reviewbox.errors import ErrorCode, SourceError

_NOT_A_LINE_BREAK = re.compile(r"[^\n]")
_SENTENCE_ENDS = (".", "!", "?", "…")
_CLOSING = " \t\"'”’)]"
# A review rarely has so many lines with few blank ones between them, each of them a sentence.
_LISTED_LINES = 40
_LISTED_SHARE = 0.8
_MAX_BLANK_SHARE = 0.2
# Nor does it have so many lines of very different lengths, unless a program wrapped them: most are then
# about as long as the longest one.
_WRAPPED_LENGTH = 0.7
_WRAPPED_SHARE = 0.5
_MAX_WRAPPED_LINE = 200
# Nor does it have the same label before so many of its lines, which say half of it.
_LABELED_LINES = 5
_LABELED_SHARE = 0.5
_LABEL = re.compile(r"[^\W\d_][\w ]{1,40}(?=:(?:\s|$))")
# Nor does it have so many lines with a date.
_DATED_LINES = 5
_DATE = re.compile(r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b")


def read(
    data: bytes,
    options: ReadOptions,
    markup: re.Pattern[str] | None = None,
    replacement: Callable[[re.Match[str]], str] = str,
    check: Callable[[str, str], None] = lambda _text, _review: None,
) -> Document:
    """Read a file as one review, in which each match of `markup` is replaced by its `replacement`.

    `check` gets the text before and after that, and raises SourceError if it is not one review.

    Raises:
        SourceError: the file is not text, or not one review.
    """
    decoded = decode(data, options.fallback_encoding)
    pace = Pace(options.check_time)

    def replaced(match: re.Match[str]) -> str:
        pace.step(match.end() - match.start())
        return replacement(match)

    review = markup.sub(replaced, decoded.text) if markup else decoded.text
    check(decoded.text, review)
    return Document(iter([Row(line=1, text=review)]), lambda: encoding_notes(decoded))


def encoding_notes(decoded: Decoded) -> dict[str, Value]:
    """Return the receipt's notes on the encoding of a file that was decoded as a whole."""
    notes: dict[str, Value] = {"encoding": decoded.encoding}
    if decoded.in_fallback:
        notes["fallback_encoding_used"] = True
    return notes


def blank(text: str) -> str:
    """Replace each character except line breaks with a space, so that the text after it keeps its offset."""
    return _NOT_A_LINE_BREAK.sub(" ", text)


def _check_single(text: str, _review: str) -> None:
    all_lines = text.strip().splitlines()
    lines = [line.strip() for line in all_lines if line.strip()]
    is_dense = len(lines) >= (1 - _MAX_BLANK_SHARE) * len(all_lines)
    if (is_dense and _are_listed(lines)) or _are_dated(lines) or _are_labeled(lines):
        raise SourceError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"the file looks like a list of {len(lines)} reviews, but a text file is read as one review; "
            "upload it as CSV with a header row or as JSON Lines, or, if it is one review, as Markdown (.md)",
        )


def _are_listed(lines: Sequence[str]) -> bool:
    """Return whether there are many lines that are sentences, or that no program has wrapped."""
    sentences = sum(line.rstrip(_CLOSING).endswith(_SENTENCE_ENDS) for line in lines)
    return len(lines) >= _LISTED_LINES and (
        sentences >= _LISTED_SHARE * len(lines) or not _are_wrapped([len(line) for line in lines])
    )


def _are_wrapped(lengths: Sequence[int]) -> bool:
    full = sum(length >= _WRAPPED_LENGTH * max(lengths) for length in lengths)
    return max(lengths) <= _MAX_WRAPPED_LINE and full >= _WRAPPED_SHARE * len(lengths)


def _are_dated(lines: Sequence[str]) -> bool:
    dated = sum(bool(_DATE.search(line)) for line in lines)
    return len(lines) >= _DATED_LINES and dated >= _LISTED_SHARE * len(lines)


def _are_labeled(lines: Sequence[str]) -> bool:
    """Return whether the same labels are repeated, as in the fields of records."""
    labels = Counter(match[0] for line in lines if (match := _LABEL.match(line)))
    repeated = sum(count for count in labels.values() if count >= _LABELED_LINES)
    return repeated >= _LABELED_SHARE * len(lines) > 0


FORMAT = Format(
    "text", frozenset({".txt", ".text"}), frozenset({"text/plain"}), partial(read, check=_check_single)
)
