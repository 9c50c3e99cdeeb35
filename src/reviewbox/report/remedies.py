"""What to do about each error, as `docs/formats.md` says it."""

from collections.abc import Mapping

from reviewbox.errors import ErrorCode

REMEDIES: Mapping[str, str] = {
    ErrorCode.EMPTY_FILE: "upload a file with content",
    ErrorCode.EMPTY_TABLE: "upload a table with rows",
    ErrorCode.HEADER_ONLY: "nothing, if there was nothing to export",
    ErrorCode.BINARY_FILE: "export it as CSV, JSON Lines or text",
    ErrorCode.UNSUPPORTED_FORMAT: "what the message says: decompress it, extract it, or export it as CSV, JSON Lines or text",
    ErrorCode.NOT_TEXT: "save it as UTF-8, or set `FallbackEncoding`",
    ErrorCode.DECOMPRESSION_BOMB: "if it is real data, upload it uncompressed, in parts",
    ErrorCode.CORRUPT_FILE: "upload it again, or export it as CSV",
    ErrorCode.TRUNCATED_FILE: "upload it again",
    ErrorCode.TRAILING_GARBAGE: "check whether the file is complete",
    ErrorCode.TOO_LARGE: "split it, or upload a table as CSV or JSON Lines in UTF-8; `error_message` names the limit",
    ErrorCode.NO_TEXT_FIELD: "name the field with the review in `TextField` (on the command line: `--text-field`)",
    ErrorCode.DUPLICATE_FIELD: "set `TextField` to the number of the column",
    ErrorCode.MISSING_FIELD: "nothing, if there was no review",
    ErrorCode.EMPTY_REVIEW: "nothing, if there was no review",
    ErrorCode.RAGGED_ROW: "quote the fields that contain delimiters",
    ErrorCode.UNCLOSED_QUOTE: "double the quotes inside quoted fields",
    ErrorCode.LINE_TOO_LONG: "restore the line ends",
    ErrorCode.BROKEN_JSON: "correct the JSON there",
    ErrorCode.NOT_AN_OBJECT: 'write `{"text": "..."}`',
    ErrorCode.NESTED_TOO_DEEP: "flatten it",
    ErrorCode.INVALID_NUMBER: "write it as a string, or `null`",
    ErrorCode.NUL_CHARACTER: "remove it",
    ErrorCode.LONE_SURROGATE: "correct the export, or remove it",
    ErrorCode.INTERNAL_ERROR: "report it with the lines that the log or the command line shows; they contain no review text",
    ErrorCode.ARCHIVED: "restore it; it is then classified automatically",
    ErrorCode.OUT_OF_TIME: "split it, or raise `TimeoutSeconds`; for a large table, lower `SegmentBytes`",
    ErrorCode.NOT_PROCESSED: "fix the cause, then run `reviewbox redrive`, or upload it again",
    ErrorCode.FOREIGN_RESULT: "set a different `ResultsPrefix` or `ResultsBucketName` for one of the two, then run `reviewbox redrive`; or delete the old results",
}
