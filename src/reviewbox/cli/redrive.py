"""`reviewbox redrive`: asks, moves the dead letters back to the queue and shows the progress."""

from typing import TYPE_CHECKING

import typer

from reviewbox.cli.render import console, number_of, progress_bar
from reviewbox.queue import Queue
from reviewbox.stack.aws import connect
from reviewbox.stack.discovery import find_stack
from reviewbox.stack.redrive import count_remaining, move_messages

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def run_redrive(stack_name: str, *, agreed: bool) -> bool:
    """Move the dead letters of a stack back to its queue for uploads.

    Args:
        stack_name: the name of the deployed stack.
        agreed: whether to start without asking.

    Returns whether no dead letters are left.
    """
    stack = find_stack(connect("cloudformation"), stack_name)
    sqs: SQSClient = connect("sqs")
    dead_letters, uploads = Queue(stack.dead_letter_queue_url, sqs), Queue(stack.queue_url, sqs)
    return redrive(stack_name, dead_letters, uploads, agreed=agreed)


def redrive(stack_name: str, dead_letters: Queue, uploads: Queue, *, agreed: bool) -> bool:
    """Move dead letters to the queue for uploads and print how many; return whether none are left."""
    terminal = console()
    count = dead_letters.count().total
    if not count:
        terminal.print("There are no dead letters.")
        return True
    letters = number_of(count, "dead letter")
    terminal.print(f"{letters} will be moved back to the queue of the stack {stack_name}.", highlight=False)
    if not agreed:
        typer.confirm("Continue?", abort=True)
    moved = 0
    try:
        with progress_bar(terminal, "Moving", count) as update:
            for batch in move_messages(dead_letters, uploads):
                moved += batch
                update(completed=moved)
    finally:
        terminal.print(f"Moved {number_of(moved, 'message')}.", highlight=False)
    remaining = count_remaining(dead_letters)
    if remaining:
        # They were received by `reviewbox status`, in the console, or by a redrive that was killed.
        terminal.print(
            f"Left: {number_of(remaining, 'dead letter')}, received by another process; run the same command "
            "again in a minute.",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    return not remaining
