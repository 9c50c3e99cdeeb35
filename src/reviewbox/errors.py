"""Every error that Reviewbox raises or records, as one small tree.

    ReviewboxError
    ├── SettingsError       environment variables have invalid values; the message lists all of them
    ├── ModelError          the model folder is incomplete, altered or not supported
    ├── EventError          the event has an unknown format
    ├── SourceError         the object's content is wrong: a retry cannot help, so the error is recorded
    ├── OutOfTimeError      the invocation ends before the object is done: worth a retry
    │   └── NotStartedError work on the object did not even start
    ├── ArchivedError       the object is in an archive storage class and must be restored first
    ├── ConflictError       an object is not in the state that a conditional write expects
    ├── ContentionError     other workers kept changing the result: worth a retry
    ├── NativeFaultError    the native code of a library panicked
    ├── QueueError          the queue did not accept all messages: worth a retry
    ├── EventBusError       the event bus did not accept the event of a result: worth a retry
    └── ForeignResultError  the result's key belongs to another source: someone must choose another place

If one review of many fails, that is a `Problem` value in the review's place and not an exception.
botocore errors that a retry may fix pass through unchanged.
"""

from dataclasses import dataclass
from enum import StrEnum

from reviewbox.objects import ObjectRef, SegmentRef


class ErrorCode(StrEnum):
    """The values of `error_code` in results."""

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
    INTERNAL_ERROR = "internal_error"
    # of a review, or of a source that is a single review
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
    FOREIGN_RESULT = "foreign_result"  # only in logs and status: the receipt is the other source's


class AbsenceCode(StrEnum):
    """What commands, pages and the catalog show instead of a result that is missing. No result has it."""

    MISSING_TABLE = "missing_table"
    BROKEN_RECEIPT = "broken_receipt"
    NO_RESULT = "no_result"
    DEAD_LETTER = "dead_letter"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a review, or a whole source, has no verdict."""

    code: ErrorCode
    message: str  # what is wrong, where, and what to do; never contains review text


class ReviewboxError(Exception):
    """Base class of Reviewbox's own errors."""


class SettingsError(ReviewboxError):
    """Environment variables have invalid values; the message lists all of them."""


class ModelError(ReviewboxError):
    """The model folder cannot be used; the message names the file."""


class EventError(ReviewboxError):
    """The event has an unknown format; the message describes it."""


class SourceError(ReviewboxError):
    """The object cannot be classified as it is, however often it is tried."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(code, message)


class OutOfTimeError(ReviewboxError):
    """Too little of the invocation's time is left to finish the object."""


class NotStartedError(OutOfTimeError):
    """Too little of the invocation's time or memory is left to start the object."""


class ArchivedError(ReviewboxError):
    """The object is in an archive storage class and cannot be read until it is restored."""

    def __init__(self, ref: ObjectRef) -> None:
        super().__init__(f"{ref} is archived: restore it, and it will be classified automatically")


class ConflictError(ReviewboxError):
    """The object is not in the state that a conditional write expects; nothing was written."""

    def __init__(self, ref: ObjectRef) -> None:
        super().__init__(f"another worker changed {ref}")
        self.ref = ref


class ContentionError(ReviewboxError):
    """Other workers changed the result during every attempt to write it."""


class NativeFaultError(ReviewboxError):
    """The native code of a library panicked; the message names the kind of panic."""


class QueueError(ReviewboxError):
    """The queue did not accept every message."""


class EventBusError(ReviewboxError):
    """The result is written, but the event bus did not accept its event."""

    def __init__(self, ref: ObjectRef | SegmentRef, code: str) -> None:
        super().__init__(f"the event for the result of {ref} was rejected with {code}; try again later")


class ForeignResultError(ReviewboxError):
    """The key of a source's receipt holds the receipt of another source; nothing was written."""

    def __init__(self, ref: ObjectRef, receipt: ObjectRef, owner: ObjectRef) -> None:
        super().__init__(
            f"{ErrorCode.FOREIGN_RESULT}: {receipt} is the result of {owner}, and the result of {ref} would "
            "replace it; set a different ResultsPrefix or ResultsBucketName, or delete the "
            f"results of {owner}"
        )
        self.owner = owner


def contain(error: BaseException) -> Exception:
    """Return an error to be handled as that of one object, or raise it if it ends the whole process.

    A panic of a library in Rust is not an Exception, and its class cannot be imported. Its message could
    quote a review.
    """
    if isinstance(error, Exception):
        return error
    if type(error).__name__ != "PanicException":
        raise error
    fault = NativeFaultError(f"a library failed with {type(error).__name__}")
    return fault.with_traceback(error.__traceback__)
