"""Which field of a table holds the review."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from reviewbox.documents.document import ReadOptions, Value
from reviewbox.errors import ErrorCode, SourceError

# Where people keep reviews, the likeliest first; case, "_", "-" and " " do not matter.
USUAL_TEXT_FIELDS = (
    "review", "reviewtext", "reviewbody", "reviewcontent", "text", "content", "body", "comment",
    "comments", "feedback", "message",
)  # fmt: skip

# How many rows decide which field holds the review.
SAMPLE_ROWS = 1000

# What databases and data frames write where there is no value; no review consists of it.
MISSING = frozenset({"NaN", "nan", "NULL", "null", "None", "NA", "N/A", "<NA>", "\\N"})

_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]{2,}")
# A column is prose where most cells have some words and most differ: names and categories do not.
_WORDS_OF_PROSE = 4
_SHARE_OF_PROSE = 0.5
# Of two columns of prose one is the reviews, and not their titles, if it is so much longer.
_CLEARLY_LONGER = 3


@dataclass(slots=True)
class _Column:
    """What was seen of a field: texts, their words, how many are prose, how many differ."""

    texts: int = 0
    words: int = 0
    prose: int = 0
    different: set[int] = field(default_factory=set)

    def add(self, text: str) -> None:
        words = len(_WORD.findall(text))
        self.texts += bool(_LETTER.search(text))
        self.words += words
        self.prose += words >= _WORDS_OF_PROSE
        self.different.add(hash(text))

    @property
    def is_prose(self) -> bool:
        return self.texts > 0 and min(self.prose, len(self.different)) > _SHARE_OF_PROSE * self.texts


class ColumnSample:
    """The text in each field of a table's first rows."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def add(self, fields: Iterable[tuple[str, object]]) -> None:
        """Look at a row: its fields' names and values; those that are no text do not count."""
        for name, value in fields:
            if isinstance(value, str):
                column = self._columns.setdefault(name, _Column())
                if value not in MISSING:
                    column.add(value)

    @property
    def holds_prose(self) -> bool:
        """Whether any field does."""
        return any(column.is_prose for column in self._columns.values())

    def text_field(self, names: Collection[str], options: ReadOptions) -> tuple[str, dict[str, Value]]:
        """Return the field that holds the review, and how it was found, for the receipt.

        That is the one that is set; or the one with a usual name that holds text in most rows, the
        likelier name if several do; or the only one of prose.

        Raises:
            SourceError: no field is the one.
        """
        if options.text_field:
            if names and options.text_field not in names:
                message = f"no row has the field {options.text_field!r} that TEXT_FIELD names; {_seen(names)}"
                raise SourceError(ErrorCode.NO_TEXT_FIELD, message)
            return options.text_field, {"text_field": options.text_field, "text_field_by": "setting"}
        found, found_by = self._usual(), "name"
        if found is None and names:
            found, found_by = self._prose(names), "prose"
        found = found or USUAL_TEXT_FIELDS[0]  # of a table without one row that could be read
        return found, {"text_field": found, "text_field_by": found_by}

    def _usual(self) -> str | None:
        usual = {name: column.texts for name, column in self._columns.items() if is_usual(name)}
        return min(
            usual, key=lambda name: (-usual[name], USUAL_TEXT_FIELDS.index(_normalised(name))), default=None
        )

    def _prose(self, names: Collection[str]) -> str:
        prose = {name: column.words for name, column in self._columns.items() if column.is_prose}
        longest = sorted(prose, key=lambda name: prose[name], reverse=True)
        if not longest:
            problem = "no field has a usual name or holds prose"
        elif len(longest) == 1 or prose[longest[0]] >= _CLEARLY_LONGER * prose[longest[1]]:
            return longest[0]
        else:
            problem = "no field has a usual name, and several hold prose"
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD, f"{problem}; name yours by the setting TEXT_FIELD; {_seen(names)}"
        )


def is_usual(name: str) -> bool:
    """Return whether reviews are usually kept under that name."""
    return _normalised(name) in USUAL_TEXT_FIELDS


def _normalised(name: str) -> str:
    return name.strip().lower().translate({ord(character): None for character in "_- "})


def _seen(names: Collection[str]) -> str:
    # Cut short: a name may be anything, and a message should not be.
    return "the fields are " + ", ".join(repr(name[:40]) for name in sorted(names)[:20])
