"""HTML. A page is one review. Markup is replaced by spaces, so that offsets in the file stay valid.

Bare tags that format a part of a word ("wonder<b>ful</b>") stay. `reviewbox.model.plain_text` removes them,
and character references, from every review.
"""

import re
from dataclasses import replace

from reviewbox.documents.document import Document, ReadOptions
from reviewbox.documents.encoding import bom_encoding, decode_start, is_encoding
from reviewbox.documents.format import Format
from reviewbox.documents.formats import text
from reviewbox.documents.formats.one_review import refuse_legal_text
from reviewbox.errors import ErrorCode, SourceError

# Markup that is not closed extends to the end of the page, as in browsers. Each character is scanned once,
# even in a hostile page.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<[!?][^>]*>?"
    # Elements without prose. XHTML elements may be self-closing.
    r"|<(?P<hidden>noscript|script|select|style|svg|template|textarea|title)\b(?![^<>]*/>)"
    r".*?(?:</(?P=hidden)\b[^>]*>?|\Z)"
    r"|(?P<bare></?(?:b|big|code|em|font|i|s|small|span|strong|sub|sup|u)>)"
    r"|</?(?P<tag>[a-z][^\s/>]*)(?:[^>=]++|=(?:\s*+(?:\"[^\"]*\"|'[^']*'))?+)*+>?",
    re.IGNORECASE | re.DOTALL,
)
# Tags inside a sentence. All other tags end a sentence.
_INLINE = frozenset("a abbr b big cite code em font i mark q s small span strong sub sup time u".split())

# A page that mostly consists of a table with this many rows, of two cells or more, is not one review.
_TABLE_ROWS = 4
_TABLE_SHARE = 0.8

_CHARSET = re.compile(r"<meta\b[^<>]{0,999}?charset\s*+=\s*+[\"']?\s*+([a-z0-9_.:-]++)", re.IGNORECASE)
_CHARSET_BYTES = 4096  # a page declares its encoding in its first bytes
_START_OF_PAGE = re.compile(
    r"\s*(?:<\?xml\b[^<>]{0,999}>\s*)?(?:<!--.{0,999}?-->\s*)?<(?:!doctype\s+html|html)\b",
    re.IGNORECASE | re.DOTALL,
)


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a page as one review; raises what `text.read` does."""
    declared = _CHARSET.search(decode_start(data, _CHARSET_BYTES))
    if declared and not bom_encoding(data) and is_encoding(declared[1]):
        options = replace(options, fallback_encoding=declared[1].lower())
    return text.read(data, options, _MARKUP, _blank, _check)


def _check(page: str, cleaned: str) -> None:
    if rows := _table_rows(page.lower(), cleaned):
        raise SourceError(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"the page is a table of {rows} rows, but a page is read as one review; export the table as CSV",
        )
    refuse_legal_text(cleaned)


def _table_rows(page: str, cleaned: str) -> int:
    """Return the number of rows if the page is plainly a table of records; else 0."""
    start, end = page.find("<table"), page.rfind("</table")
    rows = page.count("<tr", start, end)
    cells = page.count("<td", start, end) + page.count("<th", start, end)
    if not 0 <= start < end or rows < _TABLE_ROWS or cells < 2 * rows:
        return 0
    inside = len("".join(cleaned[start:end].split()))
    return rows if inside >= _TABLE_SHARE * len("".join(cleaned.split())) else 0


def _blank(match: re.Match[str]) -> str:
    if match["bare"]:
        return match[0]
    blank = text.blank(match[0])
    ends_sentence = match["tag"] and match["tag"].lower() not in _INLINE
    return "\n" + blank[1:] if ends_sentence else blank


FORMAT = Format(
    "HTML",
    frozenset({".html", ".htm", ".xhtml"}),
    frozenset({"text/html", "application/xhtml+xml"}),
    read,
    lambda head: bool(_START_OF_PAGE.match(head)),
)
