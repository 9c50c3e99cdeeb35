"""`reviewbox redrive`: the dead letters once more."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import typer

from reviewbox.cli.render import console, number_of, progress_bar
from reviewbox.stack import discovery as aws

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Longer than it takes to send and delete what was received at once.
_HIDDEN_SECONDS = 60
_MOST_LOOKS = 3


def run_redrive(stack_name: str, *, agreed: bool) -> bool:
    """Move all dead letters back to the queue, and say how many they were.

    Args:
        stack_name: of the deployed stack.
        agreed: whether not to ask.

    Returns whether none is left.
    """
    stack = aws.find_stack(aws.connect("cloudformation"), stack_name)
    sqs: SQSClient = aws.connect("sqs")
    count = aws.count_messages(sqs, stack.dead_letter_queue_url).total
    terminal = console()
    if not count:
        terminal.print("There are no dead letters.")
        return True
    letters = number_of(count, "dead letter")
    terminal.print(f"{letters} will go back to the queue of {stack.name}.", highlight=False)
    if not agreed:
        typer.confirm("Go on?", abort=True)
    moved = 0
    try:
        with progress_bar(terminal, "Moving", count) as update:
            for some in move(sqs, stack.dead_letter_queue_url, stack.queue_url):
                moved += some
                update(completed=moved)
    finally:
        terminal.print(f"Moved {number_of(moved, 'message')}.", highlight=False)
    left = _left(sqs, stack.dead_letter_queue_url)
    if left:
        # By `reviewbox status`, by someone in the console, or by a redrive that was cut off.
        terminal.print(
            f"Left: {number_of(left, 'dead letter')}, being looked at by someone else; "
            "run it again in a minute.",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    return not left


def _left(sqs: "SQSClient", queue_url: str) -> int:
    """Return how many messages a queue still holds; SQS may count what is gone for a while."""
    left = aws.count_messages(sqs, queue_url).total
    for _ in range(_MOST_LOOKS - 1):
        if not left:
            break
        time.sleep(1.0)
        left = aws.count_messages(sqs, queue_url).total
    return left


def move(sqs: "SQSClient", source_url: str, target_url: str) -> Iterator[int]:
    """Move messages from queue to queue until there are none to be had; yield how many at a time.

    SQS can do it by itself (`StartMessageMoveTask`), but local clouds cannot. A message is deleted
    when its copy has been taken, so that an interruption leaves a copy too many, which is harmless,
    and never one too few.
    """
    while messages := aws.receive(sqs, source_url, _HIDDEN_SECONDS):
        try:
            aws.send(sqs, target_url, [message["Body"] for message in messages])
            moved = aws.delete(sqs, source_url, messages)
        except BaseException:
            with suppress(Exception):  # what went wrong at first is what is told
                aws.release(sqs, source_url, messages)
            raise
        yield moved
