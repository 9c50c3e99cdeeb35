"""Files that are refused by name, and texts that look like them at first sight."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.documents.reading import document, refusal, texts

from reviewbox.documents.compression import COMPRESSIONS, Compression
from reviewbox.errors import ErrorCode

TABLE = b"id,review\n1,good\n2,fine\n3,bad\n"


def zip_of(*names: str, first: tuple[str, str] | None = None) -> bytes:
    """Return a ZIP archive with members of these names, and perhaps an uncompressed first member."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(*first, compress_type=zipfile.ZIP_STORED)
        for name in names:
            archive.writestr(name, "good film " * 50)
    return stored.getvalue()


def tar_of(name: str) -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(TABLE)
        archive.addfile(member, io.BytesIO(TABLE))
    return stored.getvalue()


def mail() -> bytes:
    message = EmailMessage()
    message["Received"] = "from mail.example.com by mx.example.com; Mon, 2 Nov 2026 10:00:00 +0000"
    message["From"], message["To"], message["Subject"] = "ann@example.com", "shop@example.com", "Great"
    message["Message-ID"] = "<1@example.com>"
    message.set_content("Great film.")
    return message.as_bytes()


def old_office(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + stream.encode("utf-16-le") + bytes(600)


FILES = {
    "bzip2": (bz2.compress(TABLE), "bzip2-compressed; decompress it, or compress it with gzip or zstd"),
    "xz": (lzma.compress(TABLE), "xz-compressed; decompress it"),
    "lzma": (lzma.compress(TABLE, lzma.FORMAT_ALONE), "LZMA-compressed; decompress it"),
    "tar": (tar_of("reviews.csv"), "a tar archive; extract it"),
    "tar.gz": (gzip.compress(tar_of("reviews.csv")), "a tar archive; extract it"),
    "gzip in gzip": (gzip.compress(gzip.compress(TABLE)), "compressed twice"),
    "gzip in zstd": (COMPRESSIONS[1].compress(gzip.compress(TABLE)), "compressed twice"),
    "zstd in gzip": (gzip.compress(COMPRESSIONS[1].compress(TABLE)), "compressed twice"),
    "xz in gzip": (gzip.compress(lzma.compress(TABLE)), "xz-compressed"),
    "ZIP": (zip_of("reviews.csv"), "a ZIP archive; extract it"),
    "empty ZIP": (zip_of(), "a ZIP archive; extract it"),
    "Word": (zip_of("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "a Word document; export"),
    "PowerPoint": (zip_of("[Content_Types].xml", "ppt/presentation.xml"), "a PowerPoint presentation"),
    "odt": (
        zip_of("content.xml", first=("mimetype", "application/vnd.oasis.opendocument.text")),
        "an OpenDocument text (.odt); export",
    ),
    "ods": (
        zip_of("content.xml", first=("mimetype", "application/vnd.oasis.opendocument.spreadsheet")),
        "an OpenDocument spreadsheet (.ods); export its sheet as CSV",
    ),
    "xls": (old_office("Workbook"), "an old Excel workbook (.xls); export its sheet as CSV"),
    "doc": (old_office("WordDocument"), "an old Word document (.doc); export it as text"),
    "msg": (old_office("__properties_version1.0"), "an Outlook message"),
    "protected": (old_office("EncryptedPackage"), "a password; remove the password"),
    "OLE2": (old_office("Other"), "an old Office document"),
    "PDF": (b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", "a PDF; export it as text"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1", "a PNG image"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1", "a JPEG image"),
    "GIF": (b"GIF89a\1\0\1\0\x80\0\0", "a GIF image"),
    "pickle": (pickle.dumps([{"text": "good"}]), "a Python pickle; export it as CSV"),
    "old pickle": (pickle.dumps([{"text": "good"}], 0), "a Python pickle; export it as CSV"),
    "ORC": (b"ORC\n\x1c\x08\x03\x10\0" + bytes(20), "an ORC file; export it as CSV"),
    "Avro": (b"Obj\x01\x04\x14avro.codec\x08null", "an Avro file; export it as CSV"),
    "XML": (
        b'<?xml version="1.0"?>\n<reviews><review>Great film</review></reviews>',
        "XML; export it as CSV",
    ),
    "XML in UTF-16": ('<?xml version="1.0"?><a><b>Great</b></a>'.encode("utf-16"), "XML"),
    "XML with a mark": (b'\xef\xbb\xbf<?xml version="1.0"?><a><b>Great</b></a>', "XML"),
    "XML without declaration": (b"<reviews>\n  <review>Great film</review>\n</reviews>\n", "XML"),
    "fastText": (
        b"__label__2 Great film\n__label__1 Dull film\n",
        "a fastText training file; export it as CSV",
    ),
    "fastText with labels at the end": (
        b'"Great film" __label__2\n"Dull film" __label__1\n',
        "a fastText training file; export it as CSV",
    ),
    "SQL": (
        b"-- Dump of reviews\n/* 2026 */;\n\nINSERT INTO `reviews` (id, text) VALUES\n(1, 'Great film');\n",
        "a dump of a database; export it as CSV",
    ),
    "RTF": (rb"{\rtf1\ansi\deff0 {\fonttbl}Great film.\par}", "an RTF document; export it as text"),
    "e-mail": (mail(), "an e-mail; save the text"),
    "mbox": (b"From ann@example.com Mon Nov  2 10:00:00 2026\n" + mail() + b"\n", "an e-mail; save the text"),
}


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.json", "a.jsonl", "a.tsv", "a.md", "a.dat", "a"])
@pytest.mark.parametrize("kind", FILES)
def test_an_unsupported_format_is_refused_whatever_its_name_is(kind: str, name: str) -> None:
    """The message says what the file is and what to do."""
    data, message = FILES[kind]

    problem = refusal(name, data)

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert message in problem.message


@pytest.mark.parametrize("way", COMPRESSIONS, ids=lambda way: way.name)
@pytest.mark.parametrize("kind", ["bzip2", "ZIP", "PNG", "XML", "RTF"])
def test_an_unsupported_format_is_recognized_in_compressed_data(kind: str, way: Compression) -> None:
    data, message = FILES[kind]

    assert message in refusal("a.csv.gz", way.compress(data)).message


@pytest.mark.parametrize("name", ["reviews.yml", "reviews.js", "app.log", "load.sql", "notes.ipynb"])
def test_a_text_whose_name_says_that_it_is_code_is_refused(name: str) -> None:
    """As one review, all that it contains would be mixed."""
    problem = refusal(name, "- author: Ann\n  text: Great film. I loved it.\n- author: Bob\n  text: Dull.\n")

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "upload reviews as CSV" in problem.message


def test_json_lines_in_a_log_are_read() -> None:
    data = "".join(f'{{"id": {n}, "review": "Great film, we liked it. {n}"}}\n' for n in range(3))

    assert len(texts(document("reviews.log", data))) == 3


def test_a_sqlite_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("CREATE TABLE reviews (text)")
    connection.commit()
    connection.close()

    assert "an SQLite database" in refusal("a.csv", (tmp_path / "a.db").read_bytes()).message


def test_a_page_that_is_called_a_workbook_is_refused() -> None:
    """Web applications offer such pages as Excel files. As one review, all its cells would be mixed."""
    problem = refusal("export.xls", "<html><table><tr><td>good</td></tr></table></html>")

    assert problem.code is ErrorCode.UNSUPPORTED_FORMAT
    assert "save it as CSV" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "<3 this film. Great.",
        "Insert into the player and enjoy.",
        "<b>Great</b> film",
        "<p><b>Great</b></p>",
        "<spoiler> <i>He dies.</i> </spoiler> Great film.",
        "<sigh> <sigh> again a sequel",
        "From the start I loved it: great film",
        "From Paris 10:30 with love\nA great film\n",
        "From: Ann\nSubject: Great\n\nI loved this film.",
        "Note: great film\nPrice: fair\n\nI loved it.",
        "BZh9 is what the label says. Great.",
        "PARIS is great", "PAR1 is great",
        "ORCs everywhere. Great.",
        "Objectively great", "GIF89a is a great format", "RIFFs are great", "ID3 tags are great",
        "PK is great", "BMW is great", "Rar! Great.", "ustar is great",
        "{\\o/} great", "lovely film", "dull film", "(lovely) film",
    ],
)  # fmt: skip
def test_a_text_that_starts_like_another_format_is_a_review(text: str) -> None:
    for name in ("a.txt", "a.md", "a"):
        (row,) = document(name, text).rows
        assert row.problem is None
        assert row.text.strip() or name == "a.md"


def test_a_page_may_be_xhtml() -> None:
    page = '<?xml version="1.0"?>\n<!DOCTYPE html>\n<html><body><p>Great film</p></body></html>'

    for name in ("a.html", "a.xhtml", "a"):
        (row,) = document(name, page).rows
        assert row.text.split() == ["Great", "film"]


def test_fields_may_contain_anything() -> None:
    reviews = ["<?xml version='1.0'?><a><b>great</b></a>", "{\\rtf1 great", "%PDF-1.7 great", "PK great"]
    rows = "".join(json.dumps({"id": 1, "review": review}) + "\n" for review in reviews)
    cells = "".join(f'"{review}",1\n' for review in reviews)

    assert texts(document("a.jsonl", rows)) == reviews
    assert texts(document("a.csv", "review,id\n" + cells)) == reviews
