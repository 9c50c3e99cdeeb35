"""The console of a local cloud: shows what its bucket and its queues do with each upload."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from reviewbox.console import Board, Console, Inbox, start_console
from reviewbox.errors import AbsenceCode
from reviewbox.events import Message, parse
from reviewbox.local.cloud import BUCKET, NO_VARIABLES, Cloud
from reviewbox.local.function import Handler, start_service
from reviewbox.objects import ObjectRef
from reviewbox.queue import Queue
from reviewbox.results.keys import receipt_key
from reviewbox.results.receipt import Receipt
from reviewbox.results.receipt_store import read_receipt
from reviewbox.settings import Settings
from reviewbox.storage import S3Storage
from reviewbox.tool_files import is_tool_file

_STAGES = ("Upload", "Queue", "Function", "Result")
_QUEUE, _FUNCTION = 1, 2


@contextmanager
def start_service_and_console(
    template: Path,
    port: int,
    console_port: int,
    report: Callable[[Cloud], str],
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[tuple[Cloud, str]]:
    """Run a cloud with its function, and a console for it; yield the cloud and the console's address.

    A port of 0 stands for any free port. `report` returns the report on the cloud's results as HTML.
    `variables` replace those of the template in the environment of the function.

    Raises:
        ReviewboxError: a port is taken, the template does not exist, or the function cannot start.
    """
    board = Board(_STAGES)
    with start_service(template, port, partial(observe, board), variables) as cloud:
        settings = Settings.from_environ(cloud.environment)
        console = Console(
            title="The local cloud",
            place=f"s3://{BUCKET}/{settings.source_prefix}",
            board=board,
            inbox=Inbox(S3Storage(cloud.s3()), BUCKET, settings.source_prefix),
            report=lambda: report(cloud),
            count_queues=partial(count_queues, cloud),
        )
        with start_console(console, console_port) as address:
            yield cloud, address


def count_queues(cloud: Cloud) -> dict[str, int]:
    """Return what SQS says."""
    uploads, segments, dead = (
        Queue(url, cloud.sqs()).count()
        for url in (cloud.queue_url, cloud.segments_queue_url, cloud.dead_letter_queue_url)
    )
    return {
        "waiting": uploads.queued + uploads.delayed,
        **({"segments waiting": waiting} if (waiting := segments.queued + segments.delayed) else {}),
        "in flight": uploads.in_flight + segments.in_flight,
        "dead letters": dead.total,
    }


def observe(board: Board, cloud: Cloud, handler: Handler) -> Handler:
    """Return a handler that also moves the files of its messages on a board."""
    observer = _Observer(board, S3Storage(cloud.s3()), Settings.from_environ(cloud.environment))
    cloud.sqs()  # clients are created in this thread, because boto3's default session is not thread-safe

    def handle(event: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
        messages = parse(event)
        observer.before(messages)
        failed = {message.message_id for message in messages}
        try:
            response = handler(event, context)
            failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
        finally:
            observer.after(messages, failed)
        return response

    return handle


@dataclass(frozen=True, slots=True)
class _Observer:
    """Reads from S3 the results of the objects that messages name."""

    board: Board
    storage: S3Storage
    settings: Settings

    def before(self, messages: list[Message]) -> None:
        for message in messages:
            note = ", ".join(f"segment {segment.index + 1} of a large table" for segment in message.segments)
            for ref in self._sources(message):
                self.board.move(self._name(ref), _FUNCTION, note)

    def after(self, messages: list[Message], failed: set[Any]) -> None:
        for message in messages:
            for ref in self._sources(message):
                if message.message_id in failed:
                    self._show_failure(ref, message.receive_count)
                else:
                    self._show_result(ref)

    def _show_failure(self, ref: ObjectRef, attempts: int) -> None:
        if attempts < self.settings.max_receives:
            note = f"attempt {attempts} of {self.settings.max_receives} failed; the next follows"
            self.board.move(self._name(ref), _QUEUE, note)
        else:
            message = "every attempt failed; the message is a dead letter, and the log says why"
            receipt = self._receipt(ref)
            self._finish(ref, receipt.content if receipt else _error(AbsenceCode.DEAD_LETTER, message))

    def _show_result(self, ref: ObjectRef) -> None:
        revision = self.storage.revision(ref)
        receipt = self._receipt(ref)
        if revision is None:
            self._finish(ref, _error(AbsenceCode.GONE, "the file was deleted before it was classified"))
        elif receipt and receipt.content["source"].get("etag") == revision.etag and receipt.is_final:
            self._finish(ref, receipt.content)
        else:
            self.board.move(self._name(ref), _QUEUE, "a large file: it gets invocations of its own")

    def _finish(self, ref: ObjectRef, receipt: Mapping[str, Any]) -> None:
        self.board.finish(self._name(ref), receipt)

    def _receipt(self, ref: ObjectRef) -> Receipt | None:
        key = receipt_key(self.settings.results_prefix, ref.key)
        stored = read_receipt(self.storage, ObjectRef(BUCKET, key))
        return stored.receipt if stored and stored.receipt.content else None

    def _sources(self, message: Message) -> list[ObjectRef]:
        """Return the objects of a message, without folder markers and the like."""
        refs = dict.fromkeys(target.source for target in message.targets)
        return [ref for ref in refs if not ref.key.endswith("/") and not is_tool_file(ref.key)]

    def _name(self, ref: ObjectRef) -> str:
        return ref.key.removeprefix(self.settings.source_prefix)


def _error(code: AbsenceCode, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}
