"""Splits texts into windows of tokens that fit a model. The only module that imports `tokenizers`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from reviewbox.errors import ModelError

# `tokenizers` needs about 200 bytes of memory per character of its input.
_SEGMENT_CHARACTERS = 50_000


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive tokens of one text, between the special tokens that the model expects."""

    input_ids: npt.NDArray[np.int64]  # shape (T,), int64
    token_type_ids: npt.NDArray[np.int64]  # shape (T,), int64
    # Which positions hold tokens of the text, not special tokens, shape (T,), bool.
    content: npt.NDArray[np.bool_]

    @property
    def tokens(self) -> int:
        """The number of tokens of the text, without special tokens."""
        return int(np.count_nonzero(self.content))


class Windows:
    """Splits texts into windows, in order and without overlap. Every token is in one window.

    A long text is tokenized in segments of 50,000 characters. Only the last window of a segment may be
    shorter than the others.
    """

    def __init__(self, tokenizer: Tokenizer, window_tokens: int) -> None:
        tokenizer.no_padding()
        # "[SEP]" in a review is text, not the special token.
        tokenizer.encode_special_tokens = True
        # `tokenizers` returns the truncated rest as overflowing encodings, which become further windows.
        tokenizer.enable_truncation(max_length=window_tokens, stride=0)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path, window_tokens: int) -> Self:
        """Load a `tokenizer.json` for windows of at most `window_tokens`, special tokens included.

        Raises:
            ModelError: `tokenizers` cannot read the file.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - `tokenizers` raises nothing more specific
            raise ModelError(f"{path} cannot be loaded by tokenizers: {error}") from None
        return cls(tokenizer, window_tokens)

    def split(self, texts: Sequence[str]) -> list[list[Window]]:
        """Return the windows of each text: an empty list for a text without tokens."""
        return [
            [window for segment in _segments(text) for window in self._windows(segment)] for text in texts
        ]

    def _windows(self, segment: str) -> Iterator[Window]:
        # One text at a time, because `encode_batch` starts its own threads.
        first = self._tokenizer.encode(segment)
        for encoding in (first, *first.overflowing):
            content = np.array(encoding.special_tokens_mask, dtype=np.int64) == 0
            ids, type_ids = np.array([encoding.ids, encoding.type_ids], dtype=np.int64)
            if content.any():
                yield Window(ids, type_ids, content)


def _segments(text: str) -> Iterator[str]:
    """Yield the segments of a text, split at a space or newline if there is one."""
    start = 0
    while start < len(text):
        end = start + _SEGMENT_CHARACTERS
        if end < len(text):
            end = max(text.rfind(space, start, end) for space in " \n") + 1 or end
        yield text[start:end]
        start = end
