"""Texts that express no opinion: they neither praise nor blame.

A model trained on reviews alone is overconfident elsewhere: on other languages, on mere function words.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

_FUNCTION_WORDS = (
    "a about after all also am an and any are as at be been before both but by can could did do does each "
    "either for from had has have he her here him his how i if in into is it its just may me might my of on "
    "one or other our out over own s same she should so some such than that the their them then there these "
    "they this those through to today under until up us was we were what when where which while who whose "
    "will with would you your yesterday 1 2 3 10 2019 , . - : ; ( ) /"
).split()
# What people type into a form that requires some text.
_FILLERS = (
    "ok okay hmm well test review product film movie book item hotel flight restaurant app order size colour "
    "delivery today yes no maybe none n/a nothing first update later idk asdf xyz blah user customer"
).split()
_PUNCTUATION = ["?", "!", ".", "...", "-", "*", ":", "/"]


def abstention_texts(tokenizer: Tokenizer, foreign: Path, count: int, seed: int) -> pd.DataFrame:
    """Return generated texts without an opinion, and the reviews in other languages.

    Args:
        tokenizer: the source of random word pieces.
        foreign: a file of lines `{"language": code, "text": text}`.
        count: how many texts to generate of each kind.
        seed: the seed of the random generator.

    Returns:
        A frame with the columns domain (the kind of text), text and label (always -1).
    """
    rng = np.random.default_rng([seed, 5])
    vocabulary = sorted(piece for piece in tokenizer.get_vocab() if not piece.startswith("["))
    texts = []
    for _ in range(count):
        texts.append(("function words", " ".join(rng.choice(_FUNCTION_WORDS, rng.integers(1, 25)))))
        pieces = " ".join(rng.choice(vocabulary, rng.integers(6, 60)))
        texts.append(("random word pieces", pieces.replace(" ##", "").replace("##", "")))
        texts.append(("punctuation", "".join(rng.choice(_PUNCTUATION, rng.integers(1, 6)))))
        texts.append(("fillers", " ".join(rng.choice(_FILLERS, rng.integers(1, 4)))))
    lines = foreign.read_text(encoding="utf-8").splitlines()
    texts += [("other language", json.loads(line)["text"]) for line in lines]
    frame = pd.DataFrame(texts, columns=["domain", "text"]).assign(label=-1)
    return frame.assign(answer=np.where(frame.domain == "other language", "other language", "neutral"))
