"""Finds the stack that a command is about."""

from reviewbox.cli.progress import progress_bar
from reviewbox.stack.aws import connect
from reviewbox.stack.discovery import Stack, find_stack


def named_stack(name: str) -> Stack:
    """Return a deployed stack, and say so if AWS takes its time. Raises the errors of `find_stack`."""
    with progress_bar("Finding the stack"):
        return find_stack(connect("cloudformation"), name)
