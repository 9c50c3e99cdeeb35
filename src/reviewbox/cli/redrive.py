"""`reviewbox redrive`: asks, moves the dead letters back to the queue and shows the progress."""

from typing import TYPE_CHECKING

from rich.console import Console as Terminal

from reviewbox.cli.command import confirm
from reviewbox.cli.output import Format, print_summary, terminal_beside
from reviewbox.cli.progress import progress_bar
from reviewbox.cli.render import print_line
from reviewbox.cli.stacks import named_stack
from reviewbox.queue import Queue
from reviewbox.stack.aws import connect
from reviewbox.stack.redrive import count_remaining, move_messages
from reviewbox.wording import number_of

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def run_redrive(stack_name: str, format_: Format, *, agreed: bool) -> bool:
    """Move the dead letters of a stack back to its queue for uploads; return whether none are left."""
    stack = named_stack(stack_name)
    sqs: SQSClient = connect("sqs")
    dead_letters, uploads = Queue(stack.dead_letter_queue_url, sqs), Queue(stack.queue_url, sqs)
    return redrive(stack_name, dead_letters, uploads, format_, agreed=agreed)


def redrive(
    stack_name: str, dead_letters: Queue, uploads: Queue, format_: Format = Format.TABLE, *, agreed: bool
) -> bool:
    """Move dead letters to the queue for uploads and print how many; return whether none are left."""
    terminal = terminal_beside(format_)
    count, moved, remaining = dead_letters.count().total, 0, 0
    if count:
        letters = number_of(count, "dead letter")
        print_line(terminal, f"{letters} will be moved back to the queue of the stack {stack_name}.")
        if not agreed:
            confirm(terminal)
        moved = _move(dead_letters, uploads, count, terminal)
        remaining = count_remaining(dead_letters)
    else:
        print_line(terminal, "There are no dead letters.")
    if remaining:
        # They were received by `reviewbox status`, in the AWS console, or by a redrive that was killed.
        left = f"Left: {number_of(remaining, 'dead letter')}, received by another process"
        print_line(terminal, f"{left}; run the same command again in a minute.", "yellow")
    print_summary({"stack": stack_name, "moved": moved, "remaining": remaining}, format_)
    return not remaining


def _move(dead_letters: Queue, uploads: Queue, count: int, terminal: Terminal) -> int:
    moved = 0
    try:
        with progress_bar("Moving", count) as update:
            for batch in move_messages(dead_letters, uploads):
                moved += batch
                update(completed=moved)
    finally:
        print_line(terminal, f"Moved {number_of(moved, 'message')}.")
    return moved
