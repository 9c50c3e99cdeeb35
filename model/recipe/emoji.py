"""Give emoji a meaning: each takes an unused entry of BERT's vocabulary.

Without this, every emoji becomes the same unknown token, so a thumb up and a thumb down get the same score.
The embedding of an emoji starts as the mean of its Unicode name's embeddings, and is then trained.
"""

import json
import unicodedata
from pathlib import Path

from tokenizers import Tokenizer

# The ids of "[unused99]" to "[unused993]" in BERT's vocabulary.
FIRST_ID, LAST_ID = 104, 998

# In order of importance: the last ones get no entry if there are not enough.
_FIRST = "🔥⭐🌟🗑⏰⌛⏳☠🚫⚠☹☺♥♀♂⛔🔋🔊🔇🔌🔧🔩🔒🔪🚀🚗✈🛑🚩🚮🚽🚿🛌🌈🌧⛈☔☀🕳🖕🖤🪳🪰🪦🪙"
_RANGES = (
    (0x1F600, 0x1F64F),  # faces and gestures
    (0x1F440, 0x1F4AF),  # hands, people, hearts
    (0x1F90C, 0x1F93A),  # more faces and gestures
    (0x1F970, 0x1F97A),
    (0x1FAE0, 0x1FAE7),
    (0x1FAF0, 0x1FAF6),
    (0x2705, 0x2757),  # marks, hands
    (0x2763, 0x2764),
    (0x2795, 0x2797),
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0x1F380, 0x1F3CA),  # celebrations and sports
    (0x1F32D, 0x1F37F),  # food
    (0x1F4B0, 0x1F4FD),  # money, office, media
    (0x1F400, 0x1F43F),  # animals
    (0x1F93C, 0x1F96F),
    (0x1F97B, 0x1F9FF),
    (0x1F680, 0x1F6C5),  # transport
    (0x1F3CB, 0x1F3F0),
    (0x1F300, 0x1F32C),  # weather
)


def emoji_ids() -> dict[str, int]:
    """Return the vocabulary id of each emoji."""
    points = [*_FIRST, *(chr(point) for first, last in _RANGES for point in range(first, last + 1))]
    emoji = [point for point in dict.fromkeys(points) if unicodedata.category(point) in ("So", "Sk", "Po")]
    return dict(zip(emoji, range(FIRST_ID, LAST_ID + 1), strict=False))


def write_tokenizer(source: Path, target: Path) -> None:
    """Copy a BERT `tokenizer.json`, with emoji instead of unused entries."""
    tokenizer = json.loads(source.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    unused = {index: piece for piece, index in vocabulary.items()}
    for emoji, index in emoji_ids().items():
        if vocabulary.get(emoji) == index:
            continue  # an earlier copy
        if not unused[index].startswith("[unused"):
            raise ValueError(f"{source}: entry {index} of the vocabulary is {unused[index]!r}, not unused")
        del vocabulary[unused[index]]
        vocabulary[emoji] = index
        # An added token is found inside a word too ("great👍"), before the text is normalized.
        flags = {
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": False,
        }
        tokenizer["added_tokens"].append({"id": index, "content": emoji, **flags})
    tokenizer["model"]["vocab"] = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    target.write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def name_pieces(tokenizer: Tokenizer) -> dict[int, list[int]]:
    """Return the word pieces of each emoji's Unicode name, by the id of the emoji."""
    tokenizer.no_padding()
    return {
        index: tokenizer.encode(unicodedata.name(emoji).lower(), add_special_tokens=False).ids
        for emoji, index in emoji_ids().items()
    }
