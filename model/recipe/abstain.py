"""Texts that nobody should judge, so that the model learns to say so: P(positive) is one half.

Without them a graph that saw only reviews is sure of anything: of emoji it does not know, of other
languages, of mere function words.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

FUNCTION_WORDS = (
    "a about after all also am an and any are as at be been before both but by can could did do does each "
    "either for from had has have he her here him his how i if in into is it its just may me might my of on "
    "one or other our out over own s same she should so some such than that the their them then there these "
    "they this those through to today under until up us was we were what when where which while who whose "
    "will with would you your yesterday 1 2 3 10 2019 , . - : ; ( ) /"
).split()
# What people write where a form insists on a text.
_NOTHING = (
    "ok okay hmm well test review product film movie book item hotel flight restaurant app order size colour "
    "delivery today yes no maybe none n/a nothing first update later idk asdf xyz blah user customer"
).split()
_MARKS = ["?", "!", ".", "...", "-", "*", ":", "/"]
_UNKNOWN = ["\U0001f914", "\U0001f355", "\U0001f6eb", "\U0001f389", "\u2764\ufe0f", "\U0001f916"]


def texts_without_a_verdict(tokenizer: Tokenizer, foreign: Path, count: int, seed: int) -> pd.DataFrame:
    """Return `count` each of function words, vocabulary, emoji, marks and fillers; and all of `foreign`.

    Args:
        tokenizer: whose vocabulary is drawn from.
        foreign: lines of `{"language": code, "text": text}`, reviews in other languages.
        count: how many of each generated kind.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, 5])
    pieces = sorted(piece for piece in tokenizer.get_vocab() if not piece.startswith("["))
    texts = []
    for _ in range(count):
        texts.append(("function words", " ".join(rng.choice(FUNCTION_WORDS, rng.integers(1, 25)))))
        drawn = " ".join(rng.choice(pieces, rng.integers(6, 60)))
        texts.append(("random pieces", drawn.replace(" ##", "").replace("##", "")))
        texts.append(("marks", "".join(rng.choice(_MARKS, rng.integers(1, 6)))))
        texts.append(("fillers", " ".join(rng.choice(_NOTHING, rng.integers(1, 4)))))
        texts.append(("unknown symbols", " ".join(rng.choice(_UNKNOWN, rng.integers(1, 8)))))
    lines = foreign.read_text(encoding="utf-8").splitlines()
    texts += [("other language", json.loads(line)["text"]) for line in lines]
    return pd.DataFrame(texts, columns=["domain", "text"]).assign(label=-1)
