"""Decides what kind of value a string is: text, a number, a date, a link, an id and so on. Pure functions."""

import re
import unicodedata

# Databases and data frames write these where there is no value. No review consists of them.
MISSING = frozenset({"NaN", "nan", "NULL", "null", "None", "NA", "N/A", "n/a", "<NA>", "\\N", "-", "--", "."})
# Writing systems without spaces: about two characters are a word.
UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")

_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.)\S+|[^\s@]{1,64}@[^\s@]{1,255}\.[a-z]{2,24}", re.IGNORECASE
)
# A name with an e-mail address.
_CONTACT = re.compile(
    r"(?:[^\s@]{1,40} ){0,4}[<(]?[^\s@<(]{1,64}@[^\s@]{1,255}\.[a-z]{2,24}[>)]?", re.IGNORECASE
)
_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?:/\S*)?")
_MENTION = re.compile(r"(?<![\w.])@[\w.]+")
_WORD = re.compile(r"[^\W\d_]+")
_MAX_WORDS_OF_A_MENTION = 2
_NUMBER = re.compile(
    r"[-+~<>=≤≥]?\s?[$€£¥₹₩₽]?\s?\d[\d.,:/\s'’%$€£¥°ºxX×-]*(?:[a-zA-Z]{0,3}|stars?|out of \d+)?"
)
_DATE = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
    r"(?:\d{1,4}[-/.\s](?:\d{1,2}|[a-zäéû]{3,9})\.?[-/.,\s]\s?\d{1,4}|[a-z]{3,9}\.?\s\d{1,2},?\s\d{4}|\d{8})"
    r"(?:[T\s,]+\d{1,2}[:.]\d{2}.{0,30})?|\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]m)?"
    r"|(?:an?|\d+)\s(?:second|minute|hour|day|week|month|year)s?\sago",
    re.IGNORECASE,
)
_FLAG = frozenset(
    "true false yes no y n t f ja nein oui non si sim nao evet hayir да нет on off ok null none verified "
    "unverified positive negative neutral success failed error active inactive approved pending published "
    "rejected accepted received sent delivered submitted archived deleted draft open new done solved closed "
    "resolved unresolved completed confirmed cancelled paid shipped unread offen neu erledigt geschlossen "
    "eingegangen abierto cerrado pendiente enviado ouvert fermé envoyé aperto chiuso inviato".split()
)
# The end of a long value is not looked at.
_STRUCTURE = re.compile(r"\s*(?:\{.*[}:]|\[.*[\]{,]|\[?\{['\"]\w+['\"]:.*)\s*", re.DOTALL)
# An icon, or what a program prints of an object, such as "<Response [402]>".
_TAGS = re.compile(r"(?:<[^<>]+>\s*)+")
# A quantity, a product and a price.
_ORDER_LINE = re.compile(r"\d{1,4}\s?[x×]\s.{1,200}\d(?:[.,]\d{2})?\s?[$€£¥₹₩₽]?\)?", re.IGNORECASE)
_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/]?(?:[\w.-]+[\\/])+[\w.-]*")
_REPEATED_SYMBOL = re.compile(r"[★☆⭐*]{1,10}")


def _is_identifier(value: str) -> bool:
    """Return whether a value without spaces is an id, a hash, a code or a path rather than a word."""
    if any(character.isspace() for character in value):
        return False
    letters = sum(character.isalpha() for character in value)
    digits = sum(character.isdigit() for character in value)
    if UNSPACED.search(value):
        return False
    if digits and letters and digits + letters >= 4 and not re.fullmatch(r"[^\W\d_]{3,}\d?[!.?]*", value):  # noqa: PLR2004
        return True
    if "_" in value or (len(value) > 30 and letters):  # noqa: PLR2004 - longer than any word
        return True
    return bool(_PATH.fullmatch(value)) or (value.count(".") > 1 and "..." not in value)


def _is_mention(value: str) -> bool:
    """Return whether a value mentions other users and says hardly anything else, as raffle entries do."""
    rest, mentions = _MENTION.subn("", value)
    words = len(_WORD.findall(rest)) + len(UNSPACED.findall(rest)) // 2
    return mentions > 0 and words <= _MAX_WORDS_OF_A_MENTION


def is_link(value: str) -> bool:
    """Return whether a string is a link, or an e-mail address."""
    return bool(_LINK.fullmatch(value))


def kind_of(value: str) -> str:  # noqa: PLR0911 - one kind per line
    """Return the name of a value's kind; "text" if it could be a review."""
    if _REPEATED_SYMBOL.fullmatch(value) or _NUMBER.fullmatch(value):
        return "number"
    if _DATE.fullmatch(value):
        return "date"
    if is_link(value) or _HOST.fullmatch(value) or ("@" in value and _CONTACT.fullmatch(value)):
        return "link"
    if "@" in value and _is_mention(value):
        return "mention"
    if value.casefold() in _FLAG:
        return "flag"
    if _STRUCTURE.fullmatch(value):
        return "structure"
    if _TAGS.fullmatch(value):
        return "tag"
    if _ORDER_LINE.fullmatch(value):
        return "order line"
    if not any(character.isalpha() for character in value):
        return "text" if any(unicodedata.category(c) == "So" for c in value) else "number"
    return "identifier" if _is_identifier(value) else "text"
