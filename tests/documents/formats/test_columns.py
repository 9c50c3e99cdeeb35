import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.documents.formats.columns import column_keys


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["id", "review"], ["id", "review"]),
        (["id", "", "review"], ["id", "2", "review"]),
        (["review", "review"], ["1", "2"]),
        (["", "1"], ["#1", "1"]),
        (["#2", "", "2"], ["#2", "##2", "2"]),
    ],
)
def test_a_column_is_identified_by_its_name_or_its_number(names: list[str], keys: list[str]) -> None:
    assert column_keys(names) == keys


@given(names=st.lists(st.from_regex(r"#{0,3}[1-4]?", fullmatch=True), max_size=8))
def test_no_two_columns_have_the_same_key(names: list[str]) -> None:
    keys = column_keys(names)

    assert len(set(keys)) == len(names)
    assert all(key == name for key, name in zip(keys, names, strict=True) if name and names.count(name) == 1)
