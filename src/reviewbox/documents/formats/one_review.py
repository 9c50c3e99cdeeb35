"""Refuses texts that are not one review: lists of reviews, records, legal documents and settings."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from reviewbox.documents.value_kinds import kind_of
from reviewbox.documents.vocabulary import LEGAL_WORDS, OPINION_WORDS, plain_word
from reviewbox.errors import ErrorCode, SourceError

_MAX_LENGTH = 20_000  # characters that are looked at for words
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

_SENTENCE_ENDS = (".", "!", "?", "…")
_CLOSING = " \t\"'”’)]"
# A review rarely has this many lines with few blank ones between them, most of them sentences.
_LISTED_LINES = 40
# It also rarely has this many short lines that all end as sentences do.
_LISTED_SENTENCES = 10
_WORDS_OF_A_PARAGRAPH = 30  # the average
_LISTED_SHARE = 0.7
_MAX_BLANK_SHARE = 0.2
_WORDS_OF_A_REVIEW = 8  # the average
# If a program wrapped the lines of a review, most of them are about as long as the longest.
_WRAPPED_LENGTH = 0.7
_WRAPPED_SHARE = 0.5
_MAX_WRAPPED_LINE = 200
# A review rarely has this many lines with a bullet.
_BULLETED_LINES = 20
_BULLET = re.compile(r"(?:-{1,3}|[*•–—])\s")
# Nor does it have this many lines or paragraphs with successive numbers.
_NUMBERED_LINES = 10
_NUMBER = re.compile(r"^[ \t]*+#?(\d{1,4})[.):]\s", re.MULTILINE)
# A review rarely has this many long paragraphs without blank lines between them.
_LONG_LINES, _LONG_LINE = 5, 1000
# A review rarely has this many lines with a date.
_DATED_LINES = 5
_DATED_SHARE = 0.8
_DATE = re.compile(r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b")
# Some websites make titles from the start of reviews. A review rarely has this many lines that are the start
# of the next line.
_MADE_TITLES = 3
_MIN_TITLE_WORDS = 2

_BETWEEN_STRINGS = re.compile(r"['\"],\s{1,9}['\"]")

# Records repeat several labels. A review has each only once.
_LABEL = re.compile(r"(?:^|[;|])[ \t]*+(?:[-*•][ \t]*+)?([^\W\d_][^:;|.!?\n]{0,40}):(?=\s)", re.MULTILINE)
_LABELS, _LABEL_REPEATS = 2, 3

# All three are high, because reviews of banks, insurers and landlords also use such words.
_LEGAL_WORDS, _LEGAL_SHARE, _LEGAL_KINDS = 40, 0.04, 6
_LEGAL_PER_OPINION = 2

# What lines of documentation start with or contain: commands, headings, options, paths, file names, versions.
# Prose hardly does. Repetitions are limited, so that the work is linear.
_CODE = re.compile(
    r"[ \t]*(?:```|\$ |>>> |#!|(?:={3,}|-{4,}|~{3,}|\^{3,})[ \t]*$)|\#{1,6} \w|\.\. \w{1,60}::"
    r"|[ \t]*(?:pip3?|npm|git|make|sudo|cd|docker|curl|cargo|python3?|import|from) [\w./-]+(?: |$)"
)
_CODE_INSIDE = re.compile(
    r"https?://\S|(?<!\S)--\w[\w-]|\w\(\)|(?<![\w-])[\w-]{1,60}/[\w.-]{1,60}/\w|\b[a-z]{1,60}_[a-z]|\bv?\d+\.\d+\.\d+\b"
    r"|(?<![\w-])[\w-]{1,60}\.(?:py|md|txt|rst|js|json|ya?ml|toml|cfg|ini|sh|exe|dll|jar|zip|gz|html?|cpp|java|xml|csv|so|h)\b"
)
_CODE_LINES, _CODE_SHARE = 4, 0.1

_ROBOTS = re.compile(r"(?:\s|#[^\n]*\n)*+(?:user-agent|sitemap):[^\n]*(?:\n|\Z)", re.IGNORECASE)
# No run gives characters back, so that long ones are not divided in every possible way.
_SETTING = re.compile(r"\s*+(?:[#;\[].*|(?P<name>[\w.-]++)\s*+(?P<sign>[:=])\s*+(?P<value>\S*+)\s*+)")
_SETTINGS = 3
_LIST_REMEDY = ", but a text file is read as one review; upload it as CSV with a header row or as JSON Lines"


def refuse_other_texts(text: str) -> None:
    """Raise SourceError if a text is plainly not one review."""
    if strings := _listed_strings(text):
        raise _not_one_review(f"a list of {strings} texts that a program wrote{_LIST_REMEDY}")
    if reviews := _numbered_reviews(text) or _listed_reviews(text):
        raise _not_one_review(f"a list of {reviews} reviews{_LIST_REMEDY}")
    if records := _repeated_labels(text):
        raise _not_one_review(f"a list of {records} records{_LIST_REMEDY}")
    refuse_legal_text(text)
    if _is_documentation(text):
        raise _not_one_review("the documentation of a program; upload reviews only")
    if _is_settings(text):
        raise _not_one_review("settings of a program; upload reviews only")


def refuse_legal_text(text: str) -> None:
    """Raise SourceError if a text is a law, a contract or a policy."""
    words = [plain_word(word) for word in _WORD.findall(text[:_MAX_LENGTH])]
    legal = [word for word in words if word in LEGAL_WORDS]
    opinions = sum(word in OPINION_WORDS for word in words)
    if (
        len(words) >= _LEGAL_WORDS
        and len(legal) >= max(_LEGAL_SHARE * len(words), _LEGAL_PER_OPINION * opinions)
        and len(set(legal)) >= _LEGAL_KINDS
    ):
        raise _not_one_review("a legal text or a policy; upload reviews only")


def _not_one_review(what: str) -> SourceError:
    message = f"the file looks like {what}, or, if it is one review, upload it as Markdown (.md)"
    return SourceError(ErrorCode.UNSUPPORTED_FORMAT, message)


def _listed_strings(text: str) -> int:
    """Return the number of texts in a list as Python writes it; 0 if the text is not one."""
    text = text.strip()
    is_list = text.startswith(("['", '["')) and text.endswith(("']", '"]'))
    return len(_BETWEEN_STRINGS.findall(text)) + 1 if is_list else 0


def _numbered_reviews(text: str) -> int:
    """Return the number of reviews if they are numbered from 1; 0 if they are not."""
    numbers = [int(number) for number in _NUMBER.findall(text)]
    return len(numbers) if numbers[:_NUMBERED_LINES] == [*range(1, _NUMBERED_LINES + 1)] else 0


def _listed_reviews(text: str) -> int:
    """Return the number of reviews that a text lists, one per line or below titles; 0 if it is not a list."""
    all_lines = text.strip().splitlines()
    lines = [line.strip() for line in all_lines if line.strip()]
    sentences = sum(line.rstrip(_CLOSING).endswith(_SENTENCE_ENDS) for line in lines)
    is_dense = len(lines) >= (1 - _MAX_BLANK_SHARE) * len(all_lines)
    dated = sum(bool(_DATE.search(line)) for line in lines)
    words = sum(len(line.split()) for line in lines)
    are_sentences = sentences >= _LISTED_SHARE * len(lines)
    are_short = words <= _WORDS_OF_A_PARAGRAPH * len(lines)
    least = _LISTED_SENTENCES if are_sentences and are_short else _LISTED_LINES
    if len(lines) >= _LONG_LINES and is_dense and all(len(line) >= _LONG_LINE for line in lines):
        return len(lines)
    if len(lines) >= least and is_dense and (are_sentences or not _are_wrapped(lines)):
        return len(lines)
    is_spaced = len(all_lines) >= 2 * len(lines) - 1 and words >= _WORDS_OF_A_REVIEW * len(lines)
    if len(lines) >= _LISTED_LINES and is_spaced and not are_sentences:
        return len(lines)  # paragraphs of one review end as sentences do
    bulleted = sum(bool(_BULLET.match(line)) for line in lines)
    if bulleted >= max(_BULLETED_LINES, _LISTED_SHARE * len(lines)):
        return bulleted
    if len(lines) >= _DATED_LINES and dated >= _DATED_SHARE * len(lines):
        return len(lines)
    titles = sum(_is_title_of(*pair) for pair in pairwise(lines))
    return titles if titles >= _MADE_TITLES else 0


def _are_wrapped(lines: Sequence[str]) -> bool:
    longest = max(map(len, lines), default=0)
    full = sum(len(line) >= _WRAPPED_LENGTH * longest for line in lines)
    return longest <= _MAX_WRAPPED_LINE and full >= _WRAPPED_SHARE * len(lines)


def _is_title_of(line: str, below: str) -> bool:
    start = line.rstrip(".… ")
    return len(start.split()) >= _MIN_TITLE_WORDS and below.startswith(start) and below != line


def _repeated_labels(text: str) -> int:
    """Return how often the labels of records recur; 0 if the text has no records."""
    counts = Counter(label.strip().casefold() for label in _LABEL.findall(text))
    repeated = [count for count in counts.values() if count >= _LABEL_REPEATS]
    return max(repeated) if len(repeated) >= _LABELS else 0


def _is_documentation(text: str) -> bool:
    """Return whether a text has many lines of code, and fewer words of opinion than those."""
    lines = [line for line in text[:_MAX_LENGTH].splitlines() if line.strip()]
    code = sum(bool(_CODE.match(line) or _CODE_INSIDE.search(line)) for line in lines)
    if code < max(_CODE_LINES, _CODE_SHARE * len(lines)):
        return False
    return code >= sum(plain_word(word) in OPINION_WORDS for word in _WORD.findall(text[:_MAX_LENGTH]))


def _is_settings(text: str) -> bool:
    """Return whether all lines are names with values that are not words, such as paths."""
    if _ROBOTS.match(text):
        return True
    matches = [_SETTING.fullmatch(line) for line in text.splitlines() if line.strip()]
    settings = [match for match in matches if match and match["name"]]
    return (
        len(settings) >= _SETTINGS
        and all(matches)
        and any(
            match["sign"] == "=" or kind_of(match["value"]) in ("link", "identifier") for match in settings
        )
    )
