"""Selects the columns of a delimited table that hold the review."""

from collections.abc import Sequence

from reviewbox.documents.document import ReadOptions
from reviewbox.documents.formats.columns import column_keys
from reviewbox.documents.review_field import FieldSample, ReviewField, select_review_field
from reviewbox.errors import ErrorCode, SourceError

_MAX_NAMES_LISTED = 20
_MAX_NAME_LENGTH = 60  # characters, in a message


class Columns:
    """Collects the cells of each column of the first rows."""

    def __init__(self, names: Sequence[str], titles: Sequence[str]) -> None:
        """Take the names of the columns, and what each is called for the choice."""
        self._names = [name.strip() for name in names]
        self._keys = column_keys(self._names)
        self._titles = titles
        self._sample = FieldSample()
        for key, title in zip(self._keys, titles, strict=True):
            self._sample.add(key, None, title)

    def add(self, cells: Sequence[str]) -> None:
        """Add a row."""
        for key, cell, title in zip(self._keys, cells, self._titles, strict=True):
            self._sample.add(key, cell, title)

    def index(self, key: str) -> int:
        """Return the index of a column."""
        return self._keys.index(key)

    def select(self, options: ReadOptions) -> ReviewField:
        """Return the columns that the settings name, or else the column that scores best.

        Raises:
            SourceError: no column qualifies or several do, or the settings name none or an ambiguous one.
        """
        if not options.text_field:
            return select_review_field(self._sample, options)
        paths = tuple(self._configured(name) for name in self._split(options.text_field))
        return ReviewField(paths, "setting", title="" if len(paths) > 1 else self._sample.title_of(paths))

    def _split(self, setting: str) -> list[str]:
        """Return the columns in a list with commas, which the names of columns may also contain."""
        parts, names = setting.split(","), []
        while parts:
            size = next((n for n in range(len(parts), 0, -1) if self._is_column(",".join(parts[:n]))), 1)
            names.append(",".join(parts[:size]).strip())
            parts = parts[size:]
        return names

    def _is_column(self, name: str) -> bool:
        return name.strip() in self._names or name.strip() in self._keys

    def _configured(self, name: str) -> str:
        count = self._names.count(name)
        if count > 1:
            numbers = [str(number) for number, other in enumerate(self._names, 1) if other == name]
            raise SourceError(
                ErrorCode.DUPLICATE_FIELD,
                f"{count} columns are called {name!r}; set TextField to the number of the one that contains "
                f"the reviews: {', '.join(numbers)}",
            )
        if count == 1 or name in self._keys:
            return self._keys[self._names.index(name)] if count else name
        if name.isdigit() and 0 < int(name[:6]) <= len(self._keys):
            return self._keys[int(name[:6]) - 1]
        listed = ", ".join(repr(key[:_MAX_NAME_LENGTH]) for key in self._keys[:_MAX_NAMES_LISTED])
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"TextField names {name!r}, which no column has; the columns are {listed}",
        )
