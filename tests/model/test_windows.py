from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tiny import SPECIAL, WORDS, tokenizer

from reviewbox.errors import ModelError
from reviewbox.model.windows import Window, Windows

VOCABULARY = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
CLS, SEP, UNK = VOCABULARY["[CLS]"], VOCABULARY["[SEP]"], VOCABULARY["[UNK]"]
WINDOW_TOKENS = 16
MAX_WORDS = WINDOW_TOKENS - 2


@pytest.fixture(scope="module")
def windows() -> Windows:
    return Windows(tokenizer(), WINDOW_TOKENS)


def content(group: list[Window]) -> list[int]:
    """Return the tokens of a text from all its windows, without special tokens."""
    return [int(token) for window in group for token in window.input_ids[window.content]]


@given(words=st.lists(st.sampled_from([*WORDS, "unheard"]), max_size=60))
def test_every_token_is_in_one_window_in_order(words: list[str], windows: Windows) -> None:
    (group,) = windows.split([" ".join(words)])

    assert content(group) == [VOCABULARY.get(word, UNK) for word in words]
    assert [window.tokens for window in group[:-1]] == [MAX_WORDS] * (len(group) - 1)
    assert sum(window.tokens for window in group) == len(words)


@given(words=st.lists(st.sampled_from([*WORDS]), min_size=1, max_size=60))
def test_special_tokens_surround_each_window(words: list[str], windows: Windows) -> None:
    (group,) = windows.split([" ".join(words)])

    for window in group:
        assert window.input_ids[0] == CLS
        assert window.input_ids[-1] == SEP
        assert not window.content[[0, -1]].any()
        assert window.content[1:-1].all()
        assert not window.token_type_ids.any()


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_windows_of_any_text_are_valid(text: str, windows: Windows) -> None:
    (group,) = windows.split([text])

    for window in group:
        (length,) = window.input_ids.shape
        assert 2 < length <= WINDOW_TOKENS
        assert window.token_type_ids.shape == window.content.shape == (length,)
        assert window.input_ids.dtype == np.int64
        assert window.tokens == window.content.sum() > 0


@pytest.mark.parametrize("special", SPECIAL)
def test_the_name_of_a_special_token_in_a_review_is_text(special: str, windows: Windows) -> None:
    (group,) = windows.split([f"good {special} film"])

    assert content(group) == [VOCABULARY["good"], UNK, UNK, UNK, VOCABULARY["film"]]
    assert sum(window.tokens for window in group) == 5


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\x00", "\u200b"])
def test_a_text_without_tokens_has_no_windows(text: str, windows: Windows) -> None:
    assert windows.split([text]) == [[]]


def test_texts_do_not_share_windows(windows: Windows) -> None:
    texts = ["good film", "", "bad " * 30, "great"]

    groups = windows.split(texts)

    assert [[window.tokens for window in group] for group in groups] == [[2], [], [14, 14, 2], [1]]
    assert [content(group) for group in groups] == [content(windows.split([text])[0]) for text in texts]


@pytest.mark.parametrize("count", [MAX_WORDS - 1, MAX_WORDS, MAX_WORDS + 1, 2 * MAX_WORDS])
def test_a_window_is_full_before_the_next_one_starts(count: int, windows: Windows) -> None:
    (group,) = windows.split(["good " * count])

    assert len(group) == -(-count // MAX_WORDS)
    assert max(len(window.input_ids) for window in group) == min(count + 2, WINDOW_TOKENS)


def test_padding_and_truncation_settings_of_a_tokenizer_are_overridden(tmp_path: Path) -> None:
    configured = tokenizer()
    configured.enable_padding(length=10)
    configured.enable_truncation(max_length=6, stride=2)
    configured.save(str(tmp_path / "tokenizer.json"))

    (group,) = Windows.load(tmp_path / "tokenizer.json", WINDOW_TOKENS).split(["good film great " * 6])

    assert [len(window.input_ids) for window in group] == [16, 6]
    assert content(group) == [VOCABULARY[word] for word in ("good", "film", "great")] * 6


@pytest.mark.parametrize("broken", ["", "{}", "not JSON"])
def test_the_error_names_a_file_that_is_not_a_tokenizer(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(broken, encoding="utf-8")

    with pytest.raises(ModelError) as raised:
        Windows.load(path, WINDOW_TOKENS)

    assert str(path) in str(raised.value)


def test_a_long_text_is_split_at_a_space_without_losing_tokens(windows: Windows) -> None:
    """It has a hundred thousand words and is tokenized in segments."""
    words = ["good", "film", "awful"] * 33_333

    (group,) = windows.split([" ".join(words)])

    assert content(group) == [VOCABULARY[word] for word in words]


def test_a_long_text_without_spaces_is_split_too(windows: Windows) -> None:
    (group,) = windows.split(["." * 120_000])

    assert sum(window.tokens for window in group) == 120_000
