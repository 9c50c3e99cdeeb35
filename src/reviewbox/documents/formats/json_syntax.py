"""Reads text that is almost JSON, with the deviations that programs produce and that cannot lose any text.

`repair` rewrites one value as JSON. It tolerates comments, surplus commas, byte-order marks, Python literals
and numbers that are not finite. Every function takes linear time.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from reviewbox.documents.pacing import Pace

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"

# What was tolerated, for the receipt.
BYTE_ORDER_MARKS = "byte-order marks"
COMMAS = "commas"
COMMENTS = "comments"
NOT_FINITE = "NaN"
PYTHON_LITERALS = "Python literals"

# An unclosed comment ends at the end of the text. Otherwise each of many unclosed comments would be scanned.
_COMMENT = r"(?://|[#])[^\n]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)"
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\n{BOM}]++)
    |(?P<string>"(?:[^"\\\x00-\x1f]++|\\[^\x00-\x1f])*+")
    |u?(?P<quoted>'(?:[^'\\\x00-\x1f]++|\\[^\x00-\x1f])*+')
    |(?P<comment>{_COMMENT})
    |(?P<open>[\[{{])|(?P<close>[\]}}])|(?P<comma>,)|(?P<colon>:)
    |(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![\w.]))
    |(?P<word>-?[A-Za-z]++(?!\w))""",
    re.VERBOSE,
)
_GAP = re.compile(rf"(?:[ \t\r\n,{BOM}]++|{_COMMENT})*+")
_COMMENTS = re.compile(_COMMENT)
_CLOSING = {"[": "]", "{": "}"}
# JSON and Python write these values differently. Python's JSON parser reads NaN and Infinity.
_WORDS = {word: word for word in ("true", "false", "null", "NaN", "Infinity", "-Infinity")} | {
    "True": "true",
    "False": "false",
    "None": "null",
    "nan": "NaN",
    "inf": "Infinity",
    "-inf": "-Infinity",
}
_ESCAPE = re.compile(
    r"""\\(?:(?P<json>["\\/bfnrt]|u[0-9a-fA-F]{4})|x(?P<hex>[0-9a-fA-F]{2})|U(?P<wide>[0-9a-fA-F]{8})|(?P<quote>')"""
    r"""|(?P<other>.))|(?P<double>")""",
    re.DOTALL,
)


class RepairError(ValueError):
    """A value that is not JSON even if every deviation is tolerated."""

    def __init__(self, position: int) -> None:
        super().__init__(f"not JSON at offset {position}")
        self.position = position  # the offset of the error


@dataclass(frozen=True, slots=True)
class Gap:
    """The text between two values."""

    end: int  # the offset after it
    tolerated: frozenset[str]  # what it contains that JSON does not allow between values


@dataclass(frozen=True, slots=True)
class Repaired:
    """A value as JSON."""

    text: str  # the JSON; the original text if nothing had to be repaired. NaN and Infinity remain
    end: int  # the offset after the value in the original text
    tolerated: frozenset[str]  # the deviations


def skip_gap(text: str, position: int, allowed_commas: int = 0) -> Gap:
    """Return what is between two values, starting at `position`."""
    match = _GAP.match(text, position)
    end = match.end() if match else position
    content = text[position:end]
    if content.strip(" \t\r\n") in ("", "," * allowed_commas):
        return Gap(end, frozenset())
    tolerated = set()
    without_comments = _COMMENTS.sub("", content)
    if without_comments != content:
        tolerated.add(COMMENTS)
    if BOM in without_comments:
        tolerated.add(BYTE_ORDER_MARKS)
    if "".join(without_comments.replace(BOM, "").split()) not in ("", "," * allowed_commas):
        tolerated.add(COMMAS)
    return Gap(end, frozenset(tolerated))


def repair(text: str, position: int = 0, check_time: Callable[[], None] = lambda: None) -> Repaired:
    """Return the value that starts at `position` as JSON. `check_time` is called repeatedly.

    Raises:
        RepairError: there is no value that can be read.
    """
    return _Repair(text, position, Pace(check_time)).run()


class _Repair:
    """Reads one value, token by token. `_expected` is what may follow: "key", "colon", "value" or "end"."""

    def __init__(self, text: str, position: int, pace: Pace) -> None:
        self._text = text
        self._pace = pace
        self._start = self._position = position
        self._output: list[str] = []
        self._tolerated: set[str] = set()
        self._closing: list[str] = []  # the brackets that close what is open
        self._expected = "value"
        self._has_comma = False  # since the last value

    def run(self) -> Repaired:
        while self._closing or self._expected != "end":
            match = _TOKEN.match(self._text, self._position)
            if match is None or match.lastgroup is None:
                raise RepairError(self._position)
            getattr(self, f"_{match.lastgroup}")(match[match.lastgroup])
            self._pace.step(match.end() - match.start())
            self._position = match.end()
        end = self._position
        text = "".join(self._output) if self._tolerated else self._text[self._start : end]
        return Repaired(text, end, frozenset(self._tolerated))

    def _space(self, token: str) -> None:
        if BOM in token:
            self._tolerated.add(BYTE_ORDER_MARKS)
        self._output.append(token.replace(BOM, ""))

    def _comment(self, token: str) -> None:
        self._tolerated.add(COMMENTS)
        self._output.append("\n" * token.count("\n") or " ")

    def _open(self, bracket: str) -> None:
        if self._expected == "end" and self._closing[-1] == "]":
            self._tolerated.add(COMMAS)  # a missing one
            self._has_comma = True
            self._expected = "value"
        self._start_value()
        self._output.append(bracket)
        self._closing.append(_CLOSING[bracket])
        self._expected = "key" if bracket == "{" else "value"

    def _close(self, token: str) -> None:
        if not self._closing or token != self._closing[-1] or self._is_in_member:
            raise RepairError(self._position)
        if self._has_comma:
            self._tolerated.add(COMMAS)
            self._has_comma = False
        self._closing.pop()
        self._output.append(token)
        self._expected = "end"

    def _comma(self, _: str) -> None:
        if not self._closing or self._is_in_member:
            raise RepairError(self._position)
        if self._expected == "end":
            self._has_comma = True
            self._expected = "key" if self._is_object else "value"
        else:
            self._tolerated.add(COMMAS)

    def _colon(self, token: str) -> None:
        if self._expected != "colon":
            raise RepairError(self._position)
        self._output.append(token)
        self._expected = "value"

    def _string(self, token: str) -> None:
        content = token[1:-1]
        if "\\" in content:
            content = self._with_json_escapes(content)
        is_key = self._expected == "key"
        if is_key:
            self._expected = "value"
        self._scalar(f'"{content}"')
        if is_key:
            self._expected = "colon"

    def _quoted(self, token: str) -> None:
        self._tolerated.add(PYTHON_LITERALS)
        self._string(f'"{self._with_json_escapes(token[1:-1])}"')

    def _number(self, token: str) -> None:
        self._scalar(token)

    def _word(self, token: str) -> None:
        word = _WORDS.get(token)
        if word is None:
            raise RepairError(self._position)
        if word != token:
            self._tolerated.add(PYTHON_LITERALS)
        self._scalar(word)

    @property
    def _is_object(self) -> bool:
        return bool(self._closing) and self._closing[-1] == "}"

    @property
    def _is_in_member(self) -> bool:
        """Whether the last token was a key or a colon."""
        return self._expected == "colon" or (self._expected == "value" and self._is_object)

    def _start_value(self) -> None:
        if self._expected != "value":
            raise RepairError(self._position)
        if self._has_comma:
            self._output.append(",")
            self._has_comma = False

    def _scalar(self, text: str) -> None:
        self._start_value()
        self._expected = "end"
        self._output.append(text)

    def _with_json_escapes(self, content: str) -> str:
        return _ESCAPE.sub(self._json_escape, content)

    def _json_escape(self, match: re.Match[str]) -> str:
        if match["json"]:
            return match[0]
        self._tolerated.add(PYTHON_LITERALS)
        if match["double"]:
            return '\\"'
        if match["quote"]:
            return "'"
        if match["other"]:
            raise RepairError(self._position)
        code = int(match["hex"] or match["wide"], 16)
        if code > 0x10FFFF:  # noqa: PLR2004 - the largest code point
            raise RepairError(self._position)
        return json.dumps(chr(code))[1:-1]
