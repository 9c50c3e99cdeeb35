"""Turns text with markup into plain text that maps back to offsets in the original.

Reviews scraped from the web contain line-break tags and character references. The model was trained on
prose and should see prose, but the evidence must refer to positions in the user's own text.
"""

import html
import re
from bisect import bisect_right
from dataclasses import dataclass
from html.entities import html5

# Tags that break a line and tags that format a word. Other tags stay, because reviewers also write
# "<3", "x < y" and "<sigh>".
_BREAKING_TAGS = frozenset("blockquote br center div h1 h2 h3 hr li ol p pre table td tr ul".split())
_INLINE_TAGS = frozenset("a b big code em font i s small span strong sub sup u".split())

# Attributes need values: "a <b and c> d" does not contain a tag. Their number and length are limited,
# which keeps the search linear on hostile input.
_MARKUP = re.compile(
    rf"</?(?P<tag>{'|'.join(sorted(_BREAKING_TAGS | _INLINE_TAGS, key=len, reverse=True))})"
    r"(?:\s{1,9}[a-z-]{1,30}=(?:\"[^\"<>]{0,300}\"|'[^'<>]{0,300}'|[^\s\"'<>]{1,300})){0,9}\s{0,9}/?>"
    r"|&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});"
    r"|[\ud800-\udfff]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the plain text: its start, and the span of the original that it replaces."""

    start: int
    original_start: int
    original_end: int
    verbatim: bool


@dataclass(frozen=True, slots=True)
class PlainText:
    """Plain text and the pieces that map it to the original."""

    text: str
    pieces: tuple[_Piece, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the original of the non-empty, half-open span `[start, end)` of `text`.

        A decoded character reference is one character in `text` and several in the original. The span
        always contains the whole reference.
        """
        first, last = self._piece_at(start), self._piece_at(end - 1)
        return (
            first.original_start + (start - first.start if first.verbatim else 0),
            last.original_start + end - last.start if last.verbatim else last.original_end,
        )

    def _piece_at(self, offset: int) -> _Piece:
        return self.pieces[bisect_right(self.pieces, offset, key=lambda piece: piece.start) - 1]


def plain_text(original: str) -> PlainText:
    """Return `original` without tags, character references and surrogates.

    A tag that breaks a line becomes a newline. An inline tag is removed. A character reference is decoded. A
    surrogate, which UTF-8 cannot encode, becomes U+FFFD. Nothing else changes.
    """
    parts: list[str] = []
    pieces: list[_Piece] = []
    length = 0

    def append(text: str, start: int, end: int, *, verbatim: bool) -> None:
        nonlocal length
        if text:
            parts.append(text)
            pieces.append(_Piece(length, start, end, verbatim))
            length += len(text)

    position = 0
    for match in _MARKUP.finditer(original):
        append(original[position : match.start()], position, match.start(), verbatim=True)
        append(_replacement(match), *match.span(), verbatim=False)
        position = match.end()
    append(original[position:], position, len(original), verbatim=True)
    return PlainText("".join(parts), tuple(pieces))


def _replacement(match: re.Match[str]) -> str:
    if match["tag"]:
        return "\n" if match["tag"].lower() in _BREAKING_TAGS else ""
    if match[0].startswith("&#"):
        return html.unescape(match[0])  # "&#xD800;" becomes U+FFFD
    if match[0].startswith("&"):
        # Only whole names: `html.unescape` would turn "&copyright;" into "(c)right;".
        return html5.get(match[0][1:], match[0])
    return "\N{REPLACEMENT CHARACTER}"
