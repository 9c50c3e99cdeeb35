"""The console: a page on this machine that takes files and shows their progress and results.

It serves `reviewbox local`, `reviewbox demo` and `reviewbox watch --serve`. None of it runs on AWS.
"""

from reviewbox.console.board import Board, File
from reviewbox.console.inbox import Inbox
from reviewbox.console.server import Console, start_console

__all__ = ["Board", "Console", "File", "Inbox", "start_console"]
