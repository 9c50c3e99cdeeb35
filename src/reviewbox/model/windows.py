"""Texts -> windows of tokens that a model can take. The only module that knows `tokenizers`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from reviewbox.errors import ModelError

_SEGMENT_CHARACTERS = 50_000


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one text, with the special tokens that the model expects around it.

    Attributes:
        input_ids: shape (T,), int64.
        token_type_ids: shape (T,), int64.
        content: which positions are tokens of the text and not special, shape (T,), bool.
    """

    input_ids: npt.NDArray[np.int64]
    token_type_ids: npt.NDArray[np.int64]
    content: npt.NDArray[np.bool_]

    @property
    def tokens(self) -> int:
        """How many tokens of the text it holds."""
        return int(np.count_nonzero(self.content))


class Windows:
    """Cuts texts into windows: whole, in order, without overlap.

    Only the last window of a text is shorter than the others, or of each 50,000 characters.
    """

    def __init__(self, tokenizer: Tokenizer, window_tokens: int) -> None:
        tokenizer.no_padding()
        # A review that says "[SEP]" means the letters, not the token.
        tokenizer.encode_special_tokens = True
        # `tokenizers` keeps what truncation cuts off, as further windows.
        tokenizer.enable_truncation(max_length=window_tokens, stride=0)
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path, window_tokens: int) -> Self:
        """Read a `tokenizer.json`; a window holds `window_tokens`, special tokens included.

        Raises:
            ModelError: the file is none that `tokenizers` can read.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - `tokenizers` raises nothing more specific
            raise ModelError(f"{path} cannot be read as a tokenizer: {error}") from None
        return cls(tokenizer, window_tokens)

    def cut(self, texts: Sequence[str]) -> list[list[Window]]:
        """Return the windows of each text; none for a text without a single token."""
        return [
            [window for segment in _segments(text) for window in self._windows(segment)] for text in texts
        ]

    def _windows(self, segment: str) -> Iterator[Window]:
        # One text at a time: `encode_batch` would start threads of its own.
        first = self._tokenizer.encode(segment)
        for encoding in (first, *first.overflowing):
            window = _window(encoding)
            if window.tokens:
                yield window


def _segments(text: str) -> Iterator[str]:
    """Yield a text's segments, cut at space if there is any.

    `tokenizers` takes about 200 bytes for each character it works on.
    """
    start = 0
    while start < len(text):
        end = start + _SEGMENT_CHARACTERS
        if end < len(text):
            end = max(text.rfind(space, start, end) for space in " \n") + 1 or end
        yield text[start:end]
        start = end


def _window(encoding: Encoding) -> Window:
    content = np.array(encoding.special_tokens_mask, dtype=np.int64) == 0
    return Window(
        input_ids=np.array(encoding.ids, dtype=np.int64),
        token_type_ids=np.array(encoding.type_ids, dtype=np.int64),
        content=content,
    )
