"""`reviewbox results`: all rows of many results as one table."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

from rich.cells import cell_len

from reviewbox.catalog.parquet import encodable
from reviewbox.cli.output import (
    ExportFormat,
    Format,
    Row,
    check_output,
    complete_file,
    format_of,
    open_output,
    write_rows,
)
from reviewbox.cli.progress import track, track_results
from reviewbox.cli.render import cell, new_table, new_terminal, print_line, print_plain
from reviewbox.errors import ReviewboxError
from reviewbox.settings import Settings
from reviewbox.stack.aws import errors_at
from reviewbox.stack.result_rows import COLUMNS, result_rows
from reviewbox.stack.stored_results import StoredResults, find_place
from reviewbox.wording import number_of

_ROWS_IN_TABLE = 1000
_CELL_CHARACTERS = 60
_COLUMN_CHARACTERS = 24  # the widest column
_LEAST_TEXT = 12  # characters of the column with most text
_CHARACTERS_BETWEEN = 3  # columns
_VERDICT_COLUMNS = ("source_key", "source_line", "sentiment", "score", "error_code")
_BATCH_ROWS = 10_000


def show_results(path: str, settings: Settings, format_: ExportFormat | None, output: Path | None) -> None:
    """Print the rows of all results at a path or S3 URI, or write them to a file.

    Without a format, the name of `output` selects it; without either, a terminal gets a table and a pipe CSV.

    Raises:
        ReviewboxError: there are no results, or the file cannot be written.
    """
    if format_ is None:
        default = ExportFormat.TABLE if sys.stdout.isatty() else ExportFormat.CSV
        format_ = format_of(output, ExportFormat) if output else default
    if output is None and format_ is ExportFormat.PARQUET:
        raise ReviewboxError("Parquet is written to a file only; name it with --output")
    if output and format_ is ExportFormat.TABLE:
        raise ReviewboxError("a table is for the terminal; for a file, choose another --format")
    check_output(output, Path(path))
    with errors_at(path):
        results = StoredResults(find_place(path), settings)
        rows = track_results(result_rows(results), results)
        if format_ is ExportFormat.TABLE:
            _print_table(rows)
        elif output and format_ is ExportFormat.PARQUET:
            with complete_file(output) as new:
                _write_parquet(rows, new)
        else:
            with open_output(output) as file:
                _write(rows, file, Format(format_))
    for doubt in results.doubts:
        print_plain(f"reviewbox: {doubt}", to_stderr=True)
    if results.skipped:
        files = number_of(results.skipped, "JSON file")
        print_plain(f"reviewbox: skipped {files}: not receipts of this version", to_stderr=True)


def _write(rows: Iterable[Row], file: TextIO, format_: Format) -> None:
    if format_ is not Format.CSV:
        write_rows(rows, file, format_)
        return
    with _spooled(rows) as spool:
        write_rows(spool, file, format_, spool.columns)


def _write_parquet(rows: Iterable[Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"source_line": pa.int64(), "score": pa.float64()}
    kinds |= dict.fromkeys(("needs_review", "other_language"), pa.bool_())
    with _spooled(rows) as spool:
        schema = pa.schema([(encodable(name), kinds.get(name, pa.string())) for name in spool.columns])
        with pq.ParquetWriter(path, schema) as writer:
            remaining = iter(spool)
            while batch := list(islice(remaining, _BATCH_ROWS)):
                columns = [[encodable(row.get(name)) for row in batch] for name in spool.columns]
                writer.write_table(pa.table(columns, schema=schema))


@dataclass(frozen=True, slots=True)
class _Spool:
    """Rows in a temporary file, because the columns are known only after the last row."""

    file: TextIO  # the rows as JSON Lines
    columns: Sequence[str]  # the columns of all rows, ours first
    count: int  # the number of rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.file.seek(0)
        return track(map(json.loads, self.file), "Writing rows", self.count)


@contextmanager
def _spooled(rows: Iterable[Row]) -> Iterator[_Spool]:
    """Read all rows, and yield them for as long as the context lasts."""
    columns = dict.fromkeys(COLUMNS)
    with TemporaryFile("w+", encoding="utf-8") as file:
        count = 0
        for row in rows:
            columns |= dict.fromkeys(row)
            file.write(json.dumps(row) + "\n")
            count += 1
        yield _Spool(file, list(columns), count)


def _print_table(rows: Iterator[Row]) -> None:
    shown = list(islice(rows, _ROWS_IN_TABLE + 1))
    columns = dict.fromkeys(name for row in shown for name in row)
    cells = {name: [_cell(row.get(name)) for row in shown[:_ROWS_IN_TABLE]] for name in columns}
    widths = _fitting(cells, new_terminal().width)
    table = new_table()
    for name, width in widths.items():
        table.add_column(cell(name), no_wrap=True, overflow="ellipsis", max_width=width)
    for values in zip(*(cells[name] for name in widths), strict=True):
        table.add_row(*map(cell, values))
    new_terminal().print(table)
    if left_out := [name for name in columns if name not in widths and any(cells[name])]:
        names = ", ".join(left_out)
        print_line(
            new_terminal(), f"Not shown for lack of space: {names}; --format csv prints all.", "yellow"
        )
    if len(shown) > _ROWS_IN_TABLE:
        print_line(new_terminal(), f"The first {_ROWS_IN_TABLE:,} rows; --output FILE writes all.", "yellow")


def _fitting(cells: Mapping[str, Sequence[str]], width: int) -> dict[str, int]:
    """Return the columns that have values and fit into a width, with the width of each.

    The columns of the verdict come first, then the one with the most text, which may be wider than others.
    """
    filled = [name for name in cells if any(cells[name])]
    most = max(filled, key=lambda name: sum(map(len, cells[name])), default="")
    fitting: dict[str, int] = {}
    for name in sorted(filled, key=lambda name: (name not in _VERDICT_COLUMNS, name != most)):
        most_wanted = max(_LEAST_TEXT, width - _CHARACTERS_BETWEEN) if name == most else _COLUMN_CHARACTERS
        wanted = min(most_wanted, max(map(cell_len, (name, *cells[name]))))
        if wanted + _CHARACTERS_BETWEEN <= width:
            fitting[name] = wanted
            width -= wanted + _CHARACTERS_BETWEEN
    return {name: fitting[name] for name in cells if name in fitting}


def _cell(value: Any) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"
