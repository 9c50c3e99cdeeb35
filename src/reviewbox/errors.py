"""Everything that can go wrong with the work itself, as one tree.

    ReviewboxError
    ├── SettingsError       an environment variable has no use as it is; names them all
    ├── ModelError          the model folder is incomplete, altered or of an unknown shape
    ├── EventError          an event of a shape that Reviewbox does not know
    ├── SourceError         the object's content: retrying cannot mend it, so it is recorded
    ├── OutOfTimeError      the invocation ends before the object does: worth another try
    │   └── NotBegunError   it was not even begun, as others of its batch took the time
    ├── ArchivedError       the object lies in an archive storage class: it cannot be read until restored
    ├── ConflictError       an object is not in the state that a conditional write expects
    ├── ContentionError     others kept changing the result meanwhile: worth another try
    └── QueueError          the queue did not take all messages: worth another try

What goes wrong with one review of many is no exception but a `Problem`, carried in the review's place.
Errors of botocore that another try may mend pass through as they are.
"""

from dataclasses import dataclass
from enum import StrEnum

from reviewbox.objects import ObjectRef


class ErrorCode(StrEnum):
    """What `error_code` says in results."""

    # of a whole source
    EMPTY_FILE = "empty_file"
    EMPTY_TABLE = "empty_table"
    HEADER_ONLY = "header_only"
    BINARY_FILE = "binary_file"
    UNSUPPORTED_FORMAT = "unsupported_format"
    DECOMPRESSION_BOMB = "decompression_bomb"
    CORRUPT_FILE = "corrupt_file"
    NO_TEXT_FIELD = "no_text_field"
    DUPLICATE_FIELD = "duplicate_field"
    # of a review, or of a source that is one
    EMPTY_REVIEW = "empty_review"
    TOO_LARGE = "too_large"
    NOT_TEXT = "not_text"
    NUL_CHARACTER = "nul_character"
    LONE_SURROGATE = "lone_surrogate"
    TRUNCATED_FILE = "truncated_file"
    TRAILING_GARBAGE = "trailing_garbage"
    # of a row of a table
    LINE_TOO_LONG = "line_too_long"
    MISSING_FIELD = "missing_field"
    BROKEN_JSON = "broken_json"
    NESTED_TOO_DEEP = "nested_too_deep"
    INVALID_NUMBER = "invalid_number"
    NOT_AN_OBJECT = "not_an_object"
    RAGGED_ROW = "ragged_row"
    UNCLOSED_QUOTE = "unclosed_quote"
    # of the service
    ARCHIVED = "archived"
    OUT_OF_TIME = "out_of_time"
    NOT_PROCESSED = "not_processed"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a review, or a whole source, has no verdict.

    Attributes:
        code: for programs.
        message: for people: where it is and what to do. Never holds a review's text.
    """

    code: ErrorCode
    message: str


class ReviewboxError(Exception):
    """Base of all of Reviewbox's own errors."""


class SettingsError(ReviewboxError):
    """The environment asks for what cannot be; the message lists every bad variable."""


class ModelError(ReviewboxError):
    """The model folder cannot be used; the message names the file."""


class EventError(ReviewboxError):
    """The event is of no known shape; the message says what was seen."""


class SourceError(ReviewboxError):
    """The object cannot be classified as it is, however often it is tried."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message)


class OutOfTimeError(ReviewboxError):
    """Too little of the invocation's time is left to finish the object."""


class NotBegunError(OutOfTimeError):
    """Too little of the invocation's time is left to begin with the object."""


class ArchivedError(ReviewboxError):
    """The object lies in an archive storage class, where it cannot be read until it is restored."""

    def __init__(self, ref: ObjectRef) -> None:
        super().__init__(f"{ref} is archived: restore it, and it is classified by itself")


class ConflictError(ReviewboxError):
    """The object is no longer in the state that a conditional write expects; nothing was written."""

    def __init__(self, ref: ObjectRef) -> None:
        super().__init__(f"{ref} was changed by someone else meanwhile")
        self.ref = ref


class ContentionError(ReviewboxError):
    """The result was changed by others on every attempt to write it."""


class QueueError(ReviewboxError):
    """The queue did not take every message that was sent to it."""
