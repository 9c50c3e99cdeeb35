"""Selects the field of a table that holds the review."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from reviewbox.documents.document import ReadOptions, Value
from reviewbox.errors import ErrorCode, SourceError

# Common names of the review field, the most likely first. Case, "_", "-" and " " are ignored.
USUAL_TEXT_FIELDS = (
    "review", "reviewtext", "reviewbody", "reviewcontent", "text", "content", "body", "comment",
    "comments", "feedback", "message",
)  # fmt: skip

# What databases and data frames write for a missing value. No review consists of one of these words alone.
MISSING = frozenset({"NaN", "nan", "NULL", "null", "None", "NA", "N/A", "<NA>", "\\N"})

_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{2,}")
# A column holds prose if most cells have a few words and most cells differ. Names and categories do not.
_MIN_PROSE_WORDS = 4
_MIN_PROSE_SHARE = 0.5
# Among several columns of prose, the reviews are this many times longer than the second longest (the titles).
_MIN_LENGTH_RATIO = 3


@dataclass(frozen=True, slots=True)
class ReviewField:
    """The field that holds the review.

    Attributes:
        name: the name of the field.
        reason: why it was selected: `setting`, `name` or `prose`.
    """

    name: str
    reason: str

    @property
    def notes(self) -> dict[str, Value]:
        """What the receipt says about it."""
        return {"text_field": self.name, "text_field_by": self.reason}


@dataclass(slots=True)
class _Column:
    """Counts over the cells of one field: cells with a letter, words, cells of prose, distinct cells."""

    texts: int = 0
    words: int = 0
    prose: int = 0
    distinct: set[int] = field(default_factory=set)

    def add(self, text: str) -> None:
        words = len(_WORD.findall(text))
        self.texts += bool(_LETTER.search(text))
        self.words += words
        self.prose += words >= _MIN_PROSE_WORDS
        self.distinct.add(hash(text))

    @property
    def is_prose(self) -> bool:
        return self.texts > 0 and min(self.prose, len(self.distinct)) > _MIN_PROSE_SHARE * self.texts


class ColumnSample:
    """Collects the text in each field of the first rows, to select the field that holds the review."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def add(self, fields: Iterable[tuple[str, object]]) -> None:
        """Add a row, as pairs of field name and value. Values that are not text are ignored."""
        for name, value in fields:
            if isinstance(value, str):
                column = self._columns.setdefault(name, _Column())
                if value not in MISSING:
                    column.add(value)

    @property
    def has_prose(self) -> bool:
        """Whether any field holds prose."""
        return any(column.is_prose for column in self._columns.values())

    def select(self, names: Collection[str], options: ReadOptions) -> ReviewField:
        """Return the field that holds the review.

        This is the field that the settings name; else the field with a usual name that holds text in most
        rows, or the more likely name if several do; else the only field that holds prose.

        Args:
            names: the names of all fields.
            options: names the field, or not.

        Raises:
            SourceError: no field qualifies, or more than one.
        """
        if options.text_field:
            if names and options.text_field not in names:
                raise SourceError(
                    ErrorCode.NO_TEXT_FIELD,
                    f"TEXT_FIELD names the field {options.text_field!r}, which no row has; {_listed(names)}",
                )
            return ReviewField(options.text_field, "setting")
        if usual := self._most_filled_usual_field():
            return ReviewField(usual, "name")
        if names:
            return ReviewField(self._prose_field(names), "prose")
        # No row could be parsed. Each row has its own problem, whatever the field.
        return ReviewField(USUAL_TEXT_FIELDS[0], "name")

    def _most_filled_usual_field(self) -> str | None:
        texts = {name: column.texts for name, column in self._columns.items() if is_usual(name)}
        return min(
            texts, key=lambda name: (-texts[name], USUAL_TEXT_FIELDS.index(_normalize(name))), default=None
        )

    def _prose_field(self, names: Collection[str]) -> str:
        words = {name: column.words for name, column in self._columns.items() if column.is_prose}
        longest = sorted(words, key=lambda name: words[name], reverse=True)
        if not longest:
            problem = "no field has a usual name or holds prose"
        elif len(longest) == 1 or words[longest[0]] >= _MIN_LENGTH_RATIO * words[longest[1]]:
            return longest[0]
        else:
            problem = "no field has a usual name, and several hold prose"
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"{problem}; name the review field in the setting TEXT_FIELD; {_listed(names)}",
        )


def is_usual(name: str) -> bool:
    """Return whether `name` is a usual name of the review field."""
    return _normalize(name) in USUAL_TEXT_FIELDS


def _normalize(name: str) -> str:
    return name.strip().lower().translate({ord(character): None for character in "_- "})


def _listed(names: Collection[str]) -> str:
    # Field names may be long or numerous. A message must be short.
    return "the fields are " + ", ".join(repr(name[:40]) for name in sorted(names)[:20])
