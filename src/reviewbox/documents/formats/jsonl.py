"""JSON Lines. Each line is a JSON object, and one of its fields is the review."""

from reviewbox.documents.document import ReadOptions
from reviewbox.documents.formats.json_records import JsonSchema
from reviewbox.documents.line_tables import LineFormat
from reviewbox.documents.lines import Lines, refuse_unreadable_lines


def infer(lines: Lines, options: ReadOptions) -> JsonSchema:
    """Infer the schema of a table from its first lines.

    Raises:
        SourceError: there is no row, or no field that can be the review.
    """
    refuse_unreadable_lines(lines.sample().lines, options)
    return JsonSchema.infer(lines, options)


LINE_FORMAT = LineFormat("JSON Lines", infer, JsonSchema.from_dict)
