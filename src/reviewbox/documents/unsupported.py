"""Recognizes formats that are not supported by their content, whatever the file is called.

A text never matches. A signature that consists of printable characters counts only if control characters
follow it, and the text formats (XML, RTF, e-mail) need more than their first word.
"""

import re
from collections.abc import Iterator
from itertools import takewhile

from reviewbox.documents.encoding import decode_start

_HEAD_BYTES = 64 * 1024
_HEAD_LENGTH = 16 * 1024  # characters that are looked at for text formats
_BINARY_BYTES = 64

_COMPRESSED = "decompress it, or compress it with gzip or zstd"
_ARCHIVE = "extract it and upload its files"
_TABLE = "export it as CSV or JSON Lines"
_TEXT = "export it as text"

# The first bytes of a file, what such a file is, and what to do.
_SIGNATURES = (
    (b"BZh", "bzip2-compressed", _COMPRESSED),
    (b"\xfd7zXZ\0", "xz-compressed", _COMPRESSED),
    (b"]\0\0", "LZMA-compressed", _COMPRESSED),
    (b"LZIP", "lzip-compressed", _COMPRESSED),
    (b"\x04\x22\x4d\x18", "LZ4-compressed", _COMPRESSED),
    (b"\xff\x06\0\0sNaPpY", "Snappy-compressed", _COMPRESSED),
    (b"\x1f\x9d", "compressed with compress (.Z)", _COMPRESSED),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _ARCHIVE),
    (b"Rar!\x1a\x07", "a RAR archive", _ARCHIVE),
    (b"ORC", "an ORC file", _TABLE),
    (b"Obj\x01", "an Avro file", _TABLE),
    (b"ARROW1\0\0", "an Arrow file", _TABLE),
    (b"FEA1", "a Feather file", _TABLE),
    (b"SQLite format 3\0", "an SQLite database", _TABLE),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _TABLE),
    (b"\x93NUMPY", "a NumPy array", _TABLE),
    (b"RDX2\n", "an R data file", _TABLE),
    (b"RDX3\n", "an R data file", _TABLE),
    (b"X\n\0\0\0", "an R data file", _TABLE),
    (b"$FL2@(#)", "an SPSS file", _TABLE),
    (b"$FL3@(#)", "an SPSS file", _TABLE),
    (b"<stata_dta>", "a Stata file", _TABLE),
    *((bytes([0x80, protocol]), "a Python pickle", _TABLE) for protocol in range(2, 6)),
    (b"%PDF-1.", "a PDF", _TEXT),
    (b"%PDF-2.", "a PDF", _TEXT),
    *(
        (signature, f"a {kind} image", "upload the text of the reviews")
        for signature, kind in (
            (b"\x89PNG\r\n\x1a\n", "PNG"),
            (b"\xff\xd8\xff", "JPEG"),
            (b"GIF87a", "GIF"),
            (b"GIF89a", "GIF"),
            (b"II*\0", "TIFF"),
            (b"MM\0*", "TIFF"),
        )
    ),
    (b"ID3", "an audio file", "upload the text of the reviews"),
    (b"OggS", "an audio file", "upload the text of the reviews"),
    (b"RIFF", "an image, audio or video file", "upload the text of the reviews"),
    (b"\0\0\0\x18ftyp", "an image or video file", "upload the text of the reviews"),
    (b"\0\0\0\x1cftyp", "an image or video file", "upload the text of the reviews"),
    (b"\0\0\0\x20ftyp", "an image or video file", "upload the text of the reviews"),
)
# Signatures of printable characters that no text starts with.
_UNMISTAKABLE = (b"%PDF-1.", b"%PDF-2.", b"<stata_dta>", b"$FL2@(#)", b"$FL3@(#)")
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_TAR_OFFSET, _TAR_SIGNATURE = 257, b"ustar"
_TEXT_PICKLE = re.compile(rb"\(?[ld]p[01]\n|c(?:copy_reg|builtins|__builtin__|collections|pandas)[\w.]*\n")

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_ZIP_MEMBER = b"PK\x03\x04"
_ZIP_NAME_OFFSET = 30
# Only the start of a name is compared. Damaged archives have names that overlap.
_MAX_ZIP_NAME_BYTES = 256
# What the names of the members start with, what such an archive is, and what to do.
_ZIP_KINDS = (
    ("word/", "a Word document", _TEXT),
    ("ppt/", "a PowerPoint presentation", _TEXT),
    ("META-INF/container.xml", "an e-book", _TEXT),
    ("Index/", "an Apple Numbers or Pages document", "export it as CSV or text"),
)
_OPEN_DOCUMENT = re.compile(rb"mimetypeapplication/vnd\.oasis\.opendocument\.(text|spreadsheet)?")
_OPEN_DOCUMENT_KINDS = {
    b"text": ("an OpenDocument text (.odt)", _TEXT),
    b"spreadsheet": ("an OpenDocument spreadsheet (.ods)", "export its sheet as CSV"),
}

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# The names of the streams in an old Office document, which are stored in UTF-16.
_OLD_OFFICE_KINDS = (
    ("EncryptedPackage", "an Office document with a password", "remove the password and export it as CSV"),
    ("Workbook", "an old Excel workbook (.xls)", "export its sheet as CSV"),
    ("Book", "an old Excel workbook (.xls)", "export its sheet as CSV"),
    ("WordDocument", "an old Word document (.doc)", _TEXT),
    ("PowerPoint Document", "an old PowerPoint presentation (.ppt)", _TEXT),
    ("__properties_version1.0", "an Outlook message (.msg)", _TEXT),
)

_XML_DECLARATION = re.compile(r"<\?xml\b")
# A root element whose first child is an element. HTML elements may start a review.
_XML_ROOT = re.compile(
    r"(?:<!--[^<>]*-->\s*)?<(?!(?:a|b|big|blockquote|body|br|center|code|div|em|font|h[1-6]|head|i|img|li|main"
    r"|ol|p|pre|q|s|section|small|span|strong|sub|sup|table|u|ul)\b)"
    r"(?P<root>[A-Za-z_][\w.:-]*)(?:\s[^<>]*)?>\s*<[A-Za-z_][\w.:-]*[\s>/]",
    re.IGNORECASE,
)
_PAGE_EXTENSIONS = frozenset({".html", ".htm", ".xhtml"})
_XML_EXTENSIONS = frozenset({".xml", ".rss", ".atom", ".plist", ".svg"})
_HTML_ROOT = re.compile(r"<(?:!doctype\s+)?html\b", re.IGNORECASE)
_RTF = re.compile(r"\{\\rtf\d?")
_FASTTEXT = re.compile(r"(?:__label__\S+ [^\n]*\n|[^\n]{1,4000} __label__\S+[ \t\r]*\n){2}")
# Statements of a dump of a database, after comments.
_SQL_COMMENTS = re.compile(r"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*+\*/;?)*+")
_SQL = re.compile(
    r"(?:insert\s+into|create\s+table|drop\s+table)\s+(?:if\s+(?:not\s+)?exists\s+)?[\w.`\"\[\]]+\s*(?:[(;]|values\b)",
    re.IGNORECASE,
)
# A text in such a file is not a review.
_CODE_EXTENSIONS = frozenset(
    ".sql .yaml .yml .toml .ini .cfg .conf .properties .py .js .mjs .ts .tsx .jsx .css .scss .java .kt .go "
    ".rs .rb .php .c .h .cpp .cs .swift .sh .bat .ps1 .lua .r .ipynb .log .bib .tex .srt .vtt".split()
)
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):(?:\s|\Z)")
_WORKBOOK_EXTENSIONS = frozenset({".xls", ".xlsx"})
_MAIL_EXTENSIONS = frozenset({".eml", ".emlx", ".mbox"})
_MBOX_LINE = re.compile(r"From \S+ .*\d\d:\d\d")
# A header that programs add. People also write "From:" and "Subject:".
_MAIL_HEADERS = frozenset(
    "arc-seal delivered-to dkim-signature message-id mime-version received return-path x-mailer".split()
)


def describe_unsupported(content: bytes, extension: str = "") -> str | None:
    """Name the unsupported format of some content, and what to do; None if the format is not one of these.

    `content` is decompressed, and has at least the first 64 KiB. The extension, in lower case, confirms what
    the content looks like.
    """
    description = _describe_binary(content) or _describe_text(decode_start(content, _HEAD_BYTES), extension)
    return "the file is {}; {}".format(*description) if description else None


def describe_code(extension: str) -> str | None:
    """Name what a text with this extension is, and what to do; None if it may be a review."""
    if extension not in _CODE_EXTENSIONS:
        return None
    return f"the file is code, a configuration or a log ({extension}); upload reviews as CSV or JSON Lines"


def zip_members(content: bytes) -> Iterator[str]:
    """Yield the start of the name of each member of a ZIP archive in the first 64 KiB."""
    position = content.find(_ZIP_MEMBER, 0, _HEAD_BYTES)
    while position >= 0:
        name_start = position + _ZIP_NAME_OFFSET
        length = int.from_bytes(content[name_start - 4 : name_start - 2], "little")
        name_end = name_start + min(length, _MAX_ZIP_NAME_BYTES)
        yield content[name_start:name_end].decode("utf-8", "replace")
        position = content.find(_ZIP_MEMBER, position + 1, _HEAD_BYTES)


def is_excel_workbook(content: bytes) -> bool:
    """Return whether content is an `.xlsx` file."""
    return content.startswith(_ZIP_MEMBER) and any(name.startswith("xl/") for name in zip_members(content))


def is_parquet(content: bytes) -> bool:
    """Return whether content is a Parquet file, encrypted or not."""
    return content.startswith((b"PAR1", b"PARE")) and bool(_BINARY.search(content, 0, _BINARY_BYTES))


def _describe_binary(content: bytes) -> tuple[str, str] | None:
    if content.startswith(_ZIP):
        return _describe_zip(content)
    if content.startswith(_OLD_OFFICE):
        return _describe_old_office(content)
    if content.startswith(_TAR_SIGNATURE, _TAR_OFFSET) and b"\0" in content[:_TAR_OFFSET]:
        return "a tar archive", _ARCHIVE
    if _TEXT_PICKLE.match(content):
        return "a Python pickle", _TABLE
    is_binary = bool(_BINARY.search(content, 0, _BINARY_BYTES))
    for signature, what, advice in _SIGNATURES:
        if content.startswith(signature) and (is_binary or signature in _UNMISTAKABLE):
            return what, advice
    return None


def _describe_zip(content: bytes) -> tuple[str, str]:
    if match := _OPEN_DOCUMENT.search(content, 0, 200):
        return _OPEN_DOCUMENT_KINDS.get(match[1], ("an OpenDocument file", _TEXT))
    members = list(zip_members(content))
    for prefix, what, advice in _ZIP_KINDS:
        if any(name.startswith(prefix) for name in members):
            return what, advice
    return "a ZIP archive", _ARCHIVE


def _describe_old_office(content: bytes) -> tuple[str, str]:
    for stream, what, advice in _OLD_OFFICE_KINDS:
        if stream.encode("utf-16-le") in content:
            return what, advice
    return "an old Office document", "export it as CSV or text"


def _describe_text(head: str, extension: str) -> tuple[str, str] | None:
    start = head.lstrip()
    if _HTML_ROOT.search(start, 0, _HEAD_LENGTH):
        if extension in _WORKBOOK_EXTENSIONS:
            return "an HTML page with the name of an Excel workbook", "open it in Excel and save it as CSV"
    elif extension not in _PAGE_EXTENSIONS and _is_xml(start, extension):
        return "XML", _TABLE
    if _RTF.match(start):
        return "an RTF document", _TEXT
    if _FASTTEXT.match(start) or _is_sql(start[:_HEAD_LENGTH]):
        return "a fastText training file" if _FASTTEXT.match(start) else "a dump of a database", _TABLE
    if _is_mail(head[:_HEAD_LENGTH], extension):
        return "an e-mail", "save the text of the message as .txt"
    return None


def _is_xml(head: str, extension: str) -> bool:
    if extension in _XML_EXTENSIONS:
        return head.startswith("<")
    root = _XML_ROOT.match(head)
    # A tag at the start of a review is not closed at its end.
    is_closed = root and (len(head) > _HEAD_LENGTH or head.rstrip().endswith(f"</{root['root']}>"))
    return bool(_XML_DECLARATION.match(head) or is_closed)


def _is_sql(head: str) -> bool:
    comments = _SQL_COMMENTS.match(head)
    return bool(_SQL.match(head, comments.end() if comments else 0))


def _is_mail(head: str, extension: str) -> bool:
    lines = head.splitlines()
    is_mbox = bool(lines) and bool(_MBOX_LINE.match(lines[0]))
    names = set()
    for number, line in enumerate(takewhile(str.strip, lines[is_mbox:])):
        if header := _HEADER.match(line):
            names.add(header[1].lower())
        elif not number or not line.startswith((" ", "\t")):
            return False
    is_named = is_mbox or extension in _MAIL_EXTENSIONS
    return "from" in names and (is_named or bool(names & _MAIL_HEADERS))
