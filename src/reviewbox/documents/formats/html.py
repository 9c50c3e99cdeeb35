"""HTML: one review. Its markup is blanked out, so that offsets stay those of the file.

Bare tags that dress a part of a word ("wonder<b>ful</b>") stay: `reviewbox.model.plain_text` takes
them, and character references, out of every review.
"""

import re
from dataclasses import replace
from functools import partial

from reviewbox.documents.document import Document, Format, ReadOptions
from reviewbox.documents.encoding import beginning, is_encoding, marked_encoding
from reviewbox.documents.formats import text

# What does not end takes the rest of the page, as in browsers. So nothing is looked at twice,
# however hostile the page is.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<[!?][^>]*>?"
    # Elements without prose; those of XHTML may close themselves.
    r"|<(?P<hidden>noscript|script|select|style|svg|template|textarea|title)\b(?![^<>]*/>)"
    r".*?(?:</(?P=hidden)\b[^>]*>?|\Z)"
    r"|(?P<bare></?(?:b|big|code|em|font|i|s|small|span|strong|sub|sup|u)>)"
    r"|</?(?P<tag>[a-z][^\s/>]*)(?:[^>=]++|=(?:\s*+(?:\"[^\"]*\"|'[^']*'))?+)*+>?",
    re.IGNORECASE | re.DOTALL,
)
# Other tags end a sentence.
_INLINE = frozenset("a abbr b big cite code em font i mark q s small span strong sub sup time u".split())

_CHARSET = re.compile(r"<meta\b[^>]{0,999}?charset\s*=\s*[\"']?\s*([a-z0-9_.:-]+)", re.IGNORECASE)
_FAR_ENOUGH = 4096  # bytes in which a page must say how it is encoded
_BEGINNING = re.compile(r"\s*(?:<!--.{0,999}?-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)


def read(data: bytes, options: ReadOptions) -> Document:
    """Read a page as one review; raises what `text.read` does."""
    declared = _CHARSET.search(beginning(data, _FAR_ENOUGH))
    if declared and not marked_encoding(data) and is_encoding(declared[1]):
        options = replace(options, fallback_encoding=declared[1].lower())
    return text.read(data, options, partial(_MARKUP.sub, _blank))


def _blank(match: re.Match[str]) -> str:
    if match["bare"]:
        return match[0]
    blank = text.blank(match[0])
    ends_sentence = match["tag"] and match["tag"].lower() not in _INLINE
    return "\n" + blank[1:] if ends_sentence else blank


def _looks_like(text_beginning: str) -> bool:
    return bool(_BEGINNING.match(text_beginning))


FORMAT = Format(
    "HTML",
    frozenset({".html", ".htm", ".xhtml"}),
    frozenset({"text/html", "application/xhtml+xml"}),
    read,
    _looks_like,
)
