import gzip
import io
import itertools
import random
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.documents.reading import NAMES, OPTIONS, attempt, document, problems, refusal, texts, written

from reviewbox.documents import ReadOptions
from reviewbox.documents.compression import (
    COMPRESSIONS,
    Compression,
    Decompressed,
    DecompressedStream,
    decompress,
)
from reviewbox.errors import ErrorCode, Problem, SourceError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP, ZSTD = COMPRESSIONS
each_compression = pytest.mark.parametrize("way", COMPRESSIONS, ids=lambda way: way.name)
TABLE = b"id,review\n1,good\n2,fine\n3,bad\n"


@each_compression
@pytest.mark.parametrize(
    ("name", "data", "reviews"),
    [
        ("a.csv", TABLE, ["good", "fine", "bad"]),
        ("a.tsv", TABLE.replace(b",", b"\t"), ["good", "fine", "bad"]),
        ("a.jsonl", b'{"text": "good"}\n{"text": "bad"}\n', ["good", "bad"]),
        ("a.json", b'[{"text": "good"}, {"text": "bad"}]', ["good", "bad"]),
        ("a.txt", b"good", ["good"]),
        ("a.md", b"good", ["good"]),
        ("a.html", b"good", ["good"]),
    ],
)
def test_every_format_may_be_compressed(way: Compression, name: str, data: bytes, reviews: list[str]) -> None:
    for extension in (*way.extensions, way.extensions[0].upper()):
        read = document(name + extension, way.compress(data))

        assert texts(read) == reviews
        assert read.notes["compression"] == way.name


@each_compression
@pytest.mark.parametrize("name", ["a.csv", "a.gz", "a.csv.zst", "a"])
def test_compression_is_recognized_by_the_first_bytes(way: Compression, name: str) -> None:
    assert texts(document(name, way.compress(TABLE))) == ["good", "fine", "bad"]


def test_a_file_that_is_compressed_only_by_name_is_read_as_it_is() -> None:
    """Browsers and proxies may decompress a file in transit."""
    read = document("a.csv.gz", TABLE)

    assert texts(read) == ["good", "fine", "bad"]
    assert read.table is not None
    assert read.table.extension == "csv"


@each_compression
def test_a_table_is_written_back_with_the_same_compression(way: Compression) -> None:
    table = document("a.csv", way.compress(TABLE)).table

    assert table is not None
    assert table.extension == "csv" + way.extensions[0]
    assert table.content_type == way.content_type
    assert table.compress(b"x") == way.compress(b"x")


@each_compression
def test_equal_input_gives_equal_bytes(way: Compression) -> None:
    assert way.compress(TABLE) == way.compress(TABLE)
    if way is GZIP:
        assert way.compress(TABLE)[4:8] == bytes(4)  # no time


@each_compression
@given(data=st.binary(), cuts=st.lists(st.integers(0, 400), max_size=4), chunk=st.integers(1, 50))
def test_compressed_data_is_decompressed(way: Compression, data: bytes, cuts: list[int], chunk: int) -> None:
    """It may have several members and is read in pieces of any size."""
    bounds = [0, *sorted(cuts), len(data)]
    members = [way.compress(data[start:end]) for start, end in itertools.pairwise(bounds)]
    if cuts and max(cuts) > len(data):
        members.append(way.compress(b""))
    stored = io.BytesIO(b"".join(members))

    stream = DecompressedStream(stored, way, 10_000, chunk_bytes=chunk, piece_bytes=chunk)

    assert stream.readall().startswith(data)
    assert stream.problem is None
    assert decompress(way.compress(data), 10_000) == Decompressed(data, way)


@each_compression
def test_a_compressed_file_of_many_members_is_read_completely(way: Compression) -> None:
    data = b"".join(way.compress(b"%d\n" % number) for number in range(2000))

    assert decompress(data, 100_000) == Decompressed(
        b"".join(b"%d\n" % number for number in range(2000)), way
    )


def skippable(data: bytes, number: int = 0) -> bytes:
    """Return a skippable frame of zstd."""
    return bytes([0x50 + number]) + b"\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def pzstd(data: bytes, size: int) -> bytes:
    """Return data as pzstd writes it: before each frame, a skippable frame states its size."""
    frames = [zstd.compress(data[start : start + size]) for start in range(0, len(data), size)]
    return b"".join(skippable(len(frame).to_bytes(4, "little")) + frame for frame in frames)


def of_unknown_size(data: bytes) -> bytes:
    compressor = zstd.ZstdCompressor()
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize(
    "data",
    [
        pzstd(TABLE, 10),
        skippable(b"abc", 10) + zstd.compress(TABLE),
        skippable(b"") + skippable(b"abc" * 5000, 15) + zstd.compress(TABLE),
        zstd.compress(TABLE[:9]) + skippable(b"abc") + skippable(b"x") + zstd.compress(TABLE[9:]),
        zstd.compress(TABLE) + skippable(b"abc"),
        zstd.compress(TABLE) + skippable(b"abc" * 100_000) + bytes(512),
        of_unknown_size(TABLE[:9]) + of_unknown_size(TABLE[9:]),
    ],
)
@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_skippable_frames_are_skipped(data: bytes, chunk: int) -> None:
    stream = DecompressedStream(io.BytesIO(data), ZSTD, 10_000, chunk_bytes=chunk)

    assert stream.readall() == TABLE
    assert stream.problem is None
    assert texts(document("a.csv", data)) == ["good", "fine", "bad"]


def test_a_truncated_skippable_frame_is_a_truncated_file() -> None:
    read = document("a.csv", zstd.compress(TABLE) + skippable(b"abc")[:-1])

    assert problems(read) == [(5, ErrorCode.TRUNCATED_FILE)]


def test_a_file_of_skippable_frames_is_empty() -> None:
    assert refusal("a.csv", skippable(b"abc")).code is ErrorCode.EMPTY_FILE


def test_skippable_frames_do_not_hide_a_decompression_bomb() -> None:
    bomb = b"".join(zstd.compress(bytes(5_000_000)) + skippable(b"abc") for _ in range(10))

    assert refusal("a.csv", bomb, ReadOptions(max_bytes=1_000_000)).code is ErrorCode.DECOMPRESSION_BOMB


@each_compression
def test_trailing_zeros_are_ignored(way: Compression) -> None:
    assert texts(document("a.csv", way.compress(TABLE) + bytes(512))) == ["good", "fine", "bad"]


@each_compression
def test_trailing_data_after_a_compressed_table_adds_a_row_with_an_error(way: Compression) -> None:
    read = document("a.csv", way.compress(TABLE) + b"garbage")

    assert texts(read) == ["good", "fine", "bad", ""]
    assert problems(read) == [(5, ErrorCode.TRAILING_GARBAGE)]
    assert written(read).splitlines()[-1].startswith(",,,,,,trailing_garbage,line 5: ")
    assert "7 bytes" in written(read).splitlines()[-1]


# Three cells of several lines. If one is truncated, its lines look like rows.
MULTILINE = b"id,review\n" + b"".join(b'%d,"good %d\n%d,good\nfine"\n' % (n, n, n) for n in range(1, 4))


@each_compression
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", TABLE),
        ("a.csv", MULTILINE),
        ("a.tsv", b"id\treview\n1\tgood\\\nfilm\n2\tbad\\\nfilm\n"),
        ("a.jsonl", b'{"text": "good"}\n{"text": "fine"}\n{"text": "bad"}\n'),
        ("a.json", b'[\n{"text": "good"},\n{\n"text":\n"fine"},\n{"text": "bad"}\n]\n'),
    ],
)
def test_a_truncated_table_has_only_correct_rows_and_an_error_at_the_end(
    way: Compression, name: str, data: bytes
) -> None:
    # Data that is not compressed is truncated within a line, not only between blocks.
    compressed = way.compress(data) if way is GZIP else zstd.compress(data, level=-50)
    whole = texts(document(name, data))

    for length in range(len(way.magic), len(compressed)):
        read = attempt(name, compressed[:length])
        if isinstance(read, Problem) or read.table is None:
            continue
        assert problems(read)[-1][1] is ErrorCode.TRUNCATED_FILE
        assert list(read.rows)[-1].text == ""
        found = [row.text for row in read.rows if not row.problem]
        assert found == whole[: len(found)]
        assert len(written(read)) > 0


def noise(rows: int) -> bytes:
    """Return a table that hardly compresses, so that truncation removes lines and not whole blocks."""
    generator = random.Random(1)  # noqa: S311
    cells = ("".join(generator.choices("abcdefgh ", k=300)) for _ in range(rows))
    return b"id,review\n" + b"".join(b"%d,%s\n" % (n, cell.encode()) for n, cell in enumerate(cells))


@each_compression
def test_an_incomplete_line_is_written_back_as_far_as_it_was_read(way: Compression) -> None:
    data = noise(3000)
    compressed = way.compress(data)

    read = document("a.csv", compressed[: len(compressed) // 2])

    rows = list(read.rows)
    assert 100 < len(rows) < 3000
    (line, code) = problems(read)[-1]
    assert (line, code) == (len(rows) + 1, ErrorCode.TRUNCATED_FILE)
    assert data.startswith(b"".join(b"%s\n" % row.raw.encode() for row in rows[:-1]), len(b"id,review\n"))
    last = written(read).splitlines()[-1]
    assert last.split(",truncated_file,")[0].strip('"').startswith(f"{len(rows) - 1},")


@each_compression
@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.md"])
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_part_of_a_single_review_is_refused(way: Compression, name: str, damage: str) -> None:
    data = way.compress(b"good film\n" * 10 + noise(10).replace(b",", b" "))

    problem = refusal(name, data[:-9] if damage == "cut" else data + b"x")

    assert problem.code is (ErrorCode.TRUNCATED_FILE if damage == "cut" else ErrorCode.TRAILING_GARBAGE)


@each_compression
def test_a_table_without_a_complete_line_is_refused(way: Compression) -> None:
    assert refusal("a.csv", way.compress(TABLE)[:12]).code is ErrorCode.TRUNCATED_FILE


def test_a_file_of_damaged_compressed_data_is_refused() -> None:
    data = bytearray(gzip.compress(noise(3000), mtime=0))
    data[len(data) // 2] ^= 0xFF

    problem = refusal("a.csv", bytes(data))

    assert problem.code is ErrorCode.CORRUPT_FILE
    assert "decompressed bytes" in problem.message


@each_compression
def test_a_wrong_checksum_is_refused(way: Compression) -> None:
    data = bytearray(zstd.compress(TABLE, options={zstd.CompressionParameter.checksum_flag: 1}))
    if way is GZIP:
        data = bytearray(gzip.compress(TABLE, mtime=0))
    data[-5 if way is GZIP else -1] ^= 0xFF

    assert refusal("a.csv", bytes(data)).code is ErrorCode.CORRUPT_FILE


@each_compression
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_damaged_data_never_raises_another_exception(way: Compression, position: int, bit: int) -> None:
    data = bytearray(way.compress(MULTILINE))
    data[position % len(data)] ^= 1 << bit
    with suppress(SourceError):
        assert texts(document("a.csv", bytes(data)))


@each_compression
def test_a_decompression_bomb_is_refused(way: Compression) -> None:
    problem = refusal("a.csv", way.compress(bytes(50_000_000)), ReadOptions(max_bytes=1_000_000))

    assert problem.code is ErrorCode.DECOMPRESSION_BOMB
    assert "MAX_OBJECT_BYTES" in problem.message


@each_compression
def test_text_that_is_too_large_is_not_called_a_bomb(way: Compression) -> None:
    problem = refusal("a.csv", way.compress(noise(1000)), ReadOptions(max_bytes=100_000))

    assert problem.code is ErrorCode.TOO_LARGE
    assert "100,000 bytes" in problem.message


@each_compression
def test_highly_compressed_text_is_read_if_it_is_not_too_large(way: Compression) -> None:
    assert len(texts(document("a.csv", way.compress(b"review\n" + b"good\n" * 20_000)))) == 20_000


@each_compression
def test_a_compressed_empty_file_is_empty(way: Compression) -> None:
    assert refusal("a.csv", way.compress(b"")).code is ErrorCode.EMPTY_FILE


@each_compression
def test_data_that_is_compressed_twice_is_refused(way: Compression) -> None:
    assert refusal("a.csv", way.compress(gzip.compress(TABLE * 100))).code is ErrorCode.UNSUPPORTED_FORMAT


def test_a_compressed_result_has_the_added_names_in_its_header() -> None:
    read = document("a.csv.gz", GZIP.compress(TABLE), OPTIONS)

    assert read.table is not None
    assert gzip.decompress(read.table.compress(written(read).encode())).startswith(
        ("id,review," + ",".join(NAMES) + "\n").encode()
    )
