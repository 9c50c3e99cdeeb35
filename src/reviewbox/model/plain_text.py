"""Text with markup -> the prose inside it, with a way back to the original's offsets.

Reviews scraped from the web carry line-break tags and character references. A model trained on
prose should see the prose; a reader who is shown evidence should find it in the text they own.
"""

import html
import re
from bisect import bisect_right
from dataclasses import dataclass
from html.entities import html5

# Tags that end a line of prose, and tags that only dress a word. Others stay as they are:
# reviewers also write "<3", "x < y" and "<sigh>".
_BREAKING_TAGS = frozenset("blockquote br center div h1 h2 h3 hr li ol p pre table td tr ul".split())
_INLINE_TAGS = frozenset("a b big code em font i s small span strong sub sup u".split())

# Attributes have values: "a <b and c> d" holds no tag. They are few and short, which keeps the
# search linear on hostile input.
_MARKUP = re.compile(
    rf"</?(?P<tag>{'|'.join(sorted(_BREAKING_TAGS | _INLINE_TAGS, key=len, reverse=True))})"
    r"(?:\s{1,9}[a-z-]{1,30}=(?:\"[^\"<>]{0,300}\"|'[^'<>]{0,300}'|[^\s\"'<>]{1,300})){0,9}\s{0,9}/?>"
    r"|&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});"
    r"|[\ud800-\udfff]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of prose: where it starts, and which span of the original it stands for."""

    start: int
    original_start: int
    original_end: int
    verbatim: bool


@dataclass(frozen=True, slots=True)
class PlainText:
    """Prose, and the pieces of the original it is made of."""

    text: str
    pieces: tuple[_Piece, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the original's character span of the prose's non-empty half-open `[start, end)`.

        A decoded character reference is one character here and several there: whole or not at all.
        """
        first, last = self._piece_at(start), self._piece_at(end - 1)
        return (
            first.original_start + (start - first.start if first.verbatim else 0),
            last.original_start + end - last.start if last.verbatim else last.original_end,
        )

    def _piece_at(self, offset: int) -> _Piece:
        return self.pieces[bisect_right(self.pieces, offset, key=lambda piece: piece.start) - 1]


def plain_text(original: str) -> PlainText:
    """Drop the tags of `original`, decode its character references, replace lone surrogates.

    A tag that breaks a line becomes a newline, an inline tag nothing, a surrogate (which no
    UTF-8 can hold) U+FFFD. Nothing else changes.
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
        # Whole names only: `html.unescape` would make "(c)right;" of "&copyright;".
        return html5.get(match[0][1:], match[0])
    return "\N{REPLACEMENT CHARACTER}"
