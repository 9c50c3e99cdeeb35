"""HTML: one review. What is no prose is blanked out, so that offsets stay those of the file.

Tags that dress a word ("wonder<b>ful</b>") stay: `reviewbox.model.plain_text` takes them, and
character references, out of every review.
"""

import re
from dataclasses import replace
from html.parser import HTMLParser

from reviewbox.documents import text
from reviewbox.documents.document import Document, Format, ReadOptions
from reviewbox.documents.encodings import beginning, is_encoding, marked_encoding

_NO_PROSE = frozenset("head noscript script select style svg template textarea title".split())
_IN_HEAD = frozenset("base link meta noscript script style template title".split())
_INLINE = frozenset("a abbr b big cite code em font i mark q s small span strong sub sup u".split())
_CHARSET = re.compile(r"<meta\b[^>]{0,999}?charset\s*=\s*[\"']?\s*([a-z0-9_.:-]+)", re.IGNORECASE)
_FAR_ENOUGH = 4096  # bytes in which a page must say how it is encoded
_BEGINNING = re.compile(r"\s*(?:<!--.{0,999}?-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a page as one review; raises what `text.read` does."""
    declared = _CHARSET.search(beginning(data, _FAR_ENOUGH))
    if declared and not marked_encoding(data) and is_encoding(declared[1]):
        options = replace(options, fallback_encoding=declared[1].lower())
    document = text.read(data, options)
    return replace(document, rows=[replace(row, text=_prose(row.text)) for row in document.rows])


def _prose(page: str) -> str:
    parser = _Prose(page)
    parser.feed(page)
    parser.close()
    return "".join(parser.characters)


class _Prose(HTMLParser):
    """Keeps the characters of a page that are prose, each in its place."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=False)
        self.characters = ["\n" if character == "\n" else " " for character in page]
        self._page = page
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", page))]
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the base class calls it
        if self._inside == ["head"] and tag not in _IN_HEAD:
            self._inside.clear()  # its end may be left out
        if tag in _NO_PROSE:
            self._inside.append(tag)
        elif tag in _INLINE:
            self._keep(self.get_starttag_text() or "")
        else:
            self._break()

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the base class calls it
        self._break()

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            del self._inside[self._inside.index(tag) :]
        elif tag in _INLINE:
            self._keep(f"</{tag}>")
        else:
            self._break()

    def handle_data(self, data: str) -> None:
        self._keep(data)

    def handle_entityref(self, name: str) -> None:
        self._keep(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._keep(f"&#{name};")

    def _keep(self, expected: str) -> None:
        start = self._position()
        if not self._inside:
            found = self._page[start : start + len(expected)]
            # A reference may lack its semicolon, and a tag hold spaces; then the text is cut or blank.
            self.characters[start : start + len(found)] = found

    def _break(self) -> None:
        # What is no inline tag ends a sentence.
        self.characters[self._position()] = "\n"

    def _position(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column


def _looks_like(text_beginning: str) -> bool:
    return bool(_BEGINNING.match(text_beginning))


FORMAT = Format(
    "HTML",
    frozenset({".html", ".htm", ".xhtml"}),
    frozenset({"text/html", "application/xhtml+xml"}),
    read,
    _looks_like,
)
