import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbox.results.keys import (
    is_table_key,
    part_key,
    parts_prefix,
    receipt_key,
    table_key,
    table_prefixes,
)


def test_result_keys_contain_the_source_key() -> None:
    assert receipt_key("results/", "incoming/2026/a b+é.txt") == "results/incoming/2026/a b+é.txt.json"
    assert table_key("results/", "incoming/a.jsonl", "jsonl") == "results/incoming/a.jsonl.classified.jsonl"
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
    assert table_key("results/", source, "jsonl") == f"results/{digest}.classified.jsonl"


@given(sources=st.lists(st.text(min_size=1, max_size=600), min_size=2, max_size=2, unique=True))
@settings(deadline=None)
def test_two_sources_never_share_a_result_key(sources: list[str]) -> None:
    first, second = sources

    keys = {
        key
        for source in (first, second)
        for key in (receipt_key("r/", source), table_key("r/", source, "csv"))
    }

    assert len(keys) == 4


def test_every_source_key_has_valid_result_keys() -> None:
    for length in range(990, 1025):
        for key in (receipt_key("results/", "x" * length), table_key("results/", "x" * length, "jsonl")):
            assert len(key.encode()) <= 1024


def test_the_parts_of_a_table_share_a_folder() -> None:
    assert part_key("results/", "incoming/a.csv", 12, "csv.gz") == (
        "results/incoming/a.csv.classified/part-00012.csv.gz"
    )
    assert part_key("results/", "incoming/a.csv", 123_456, "csv").endswith("/part-123456.csv")


def test_part_keys_of_a_long_source_key_are_valid() -> None:
    key = part_key("results/", "incoming/" + "é" * 490, 123_456, "jsonl.gz")

    assert len(key.encode()) <= 1024
    assert key.startswith(parts_prefix("results/", "incoming/" + "é" * 490))


def test_all_keys_of_a_table_have_one_of_its_prefixes() -> None:
    for source in ("incoming/a.csv", *("x" * length for length in range(950, 1030))):
        extensions = ("csv", "jsonl.zst", "tsv.gz", "xlsx", "xlsm.gz", "parquet")
        keys = [table_key("results/", source, extension) for extension in extensions]
        keys += [part_key("results/", source, number, "csv.gz") for number in (0, 123_456)]

        assert all(is_table_key(key, "results/", source) for key in keys)
        assert all(key.startswith(tuple(table_prefixes("results/", source))) for key in keys)


def test_a_receipt_or_a_table_of_another_source_is_not_a_table_of_this_one() -> None:
    for key in (
        receipt_key("results/", "a.csv"),
        table_key("results/", "a.csv", "txt"),
        table_key("results/", "b/a.csv", "csv"),
        table_key("other/", "a.csv", "csv"),
        "results/a.csv.classified/notes.csv",
        "results/a.csv.classified.csv.json",
    ):
        assert not is_table_key(key, "results/", "a.csv")
