import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.results.keys import (
    is_table_key,
    part_key,
    parts_prefix,
    receipt_key,
    receipt_key_of_part,
    table_id_of,
    table_prefixes,
)

ID = "0123456789abcdef" * 2


def test_result_keys_contain_the_source_key() -> None:
    assert receipt_key("results/", "incoming/2026/a b+é.txt") == "results/incoming/2026/a b+é.txt.json"
    assert part_key("results/", "incoming/a.csv", ID, 12, "csv.gz") == (
        f"results/incoming/a.csv.classified/{ID}/part-00012.csv.gz"
    )
    assert part_key("results/", "incoming/a.csv", ID, 123_456, "csv").endswith("/part-123456.csv")
    assert receipt_key("", "a") == "a.json"


def test_a_key_may_have_the_maximum_length_of_s3() -> None:
    source = "é" * 504 + "xyz"

    assert receipt_key("results/", source) == f"results/{source}.json"
    assert len(receipt_key("results/", source).encode()) == 1024


def test_a_longer_key_becomes_a_digest() -> None:
    """S3's limit counts bytes, not characters."""
    source = "é" * 506
    digest = hashlib.sha256(source.encode()).hexdigest()

    assert receipt_key("results/", source) == f"results/{digest}.json"
    assert part_key("results/", source, ID, 0, "jsonl") == (
        f"results/{digest}.classified/{ID}/part-00000.jsonl"
    )


@given(sources=st.lists(st.text(min_size=1, max_size=600), min_size=2, max_size=2, unique=True))
def test_two_sources_never_share_a_result_key(sources: list[str]) -> None:
    first, second = sources

    keys = {
        key
        for source in (first, second)
        for key in (receipt_key("r/", source), part_key("r/", source, ID, 0, "csv"))
    }

    assert len(keys) == 4


def test_every_source_key_has_valid_result_keys() -> None:
    for length in range(900, 1025):
        source = "x" * length
        for key in (receipt_key("results/", source), part_key("results/", source, ID, 123_456, "jsonl.zst")):
            assert len(key.encode()) <= 1024


def test_all_keys_of_a_table_have_one_of_its_prefixes() -> None:
    for source in ("incoming/a.csv", *("x" * length for length in range(900, 1030))):
        extensions = ("csv", "jsonl.zst", "tsv.gz", "xlsx", "xlsm.gz", "parquet")
        keys = [part_key("results/", source, ID, 123_456, extension) for extension in extensions]

        assert {table_id_of(key, "results/", source) for key in keys} == {ID}
        assert all(is_table_key(key, "results/", source) for key in keys)
        assert all(key.startswith(tuple(table_prefixes("results/", source))) for key in keys)


@pytest.mark.parametrize("source", ["a.csv", "é" * 480 + "12345", "é" * 506])
def test_tables_with_the_keys_of_earlier_versions_are_found(source: str) -> None:
    """They are removed with the next result. The length of a key determines which parts are digests."""

    def old_key(suffix: str, reserved: int) -> str:
        is_short = len(f"results/{source}{suffix}".encode()) + reserved <= 1024
        return f"results/{source if is_short else hashlib.sha256(source.encode()).hexdigest()}{suffix}"

    keys = [
        old_key(".classified.csv.gz", 0),
        old_key(".classified.xlsx", 0),
        old_key(".classified/", 40) + "part-00012.csv",
    ]

    assert all(is_table_key(key, "results/", source) for key in keys)
    assert all(key.startswith(tuple(table_prefixes("results/", source))) for key in keys)
    assert {table_id_of(key, "results/", source) for key in keys} == {None}


def test_a_receipt_or_a_table_of_another_source_is_not_a_table_of_this_one() -> None:
    for key in (
        receipt_key("results/", "a.csv"),
        part_key("results/", "a.csv", ID, 0, "txt"),
        part_key("results/", "a.csv", ID[1:], 0, "csv"),
        part_key("results/", "b/a.csv", ID, 0, "csv"),
        part_key("other/", "a.csv", ID, 0, "csv"),
        f"{parts_prefix('results/', 'a.csv')}{ID}/notes/part-00000.csv",
        "results/a.csv.classified/notes.csv",
        "results/a.csv.classified.csv.json",
    ):
        assert not is_table_key(key, "results/", "a.csv")


@pytest.mark.parametrize(
    ("key", "receipt"),
    [
        (f"results/incoming/a.csv.gz.classified/{ID}/part-00012.csv.gz", "results/incoming/a.csv.gz.json"),
        # of an older version
        ("results/incoming/a.csv.classified/part-00012.csv", "results/incoming/a.csv.json"),
        ("results/incoming/a.csv.classified.csv.gz", "results/incoming/a.csv.json"),
        ("results/incoming/a.csv.classified/notes.csv", None),
        ("results/incoming/a.csv.classified/other.txt.json", None),
        ("results/incoming/part-00012.csv.json", None),
    ],
)
def test_the_key_of_a_part_gives_the_key_of_its_receipt(key: str, receipt: str | None) -> None:
    assert receipt_key_of_part(key) == receipt
