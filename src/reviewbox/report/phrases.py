"""Groups sentences by the words and phrases that are frequent in them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import sqrt

from reviewbox.model.verdicts import NEGATIVE, POSITIVE
from reviewbox.report.summary import Mention, Phrase

_MAX_WORDS = 4  # per phrase
_MIN_REVIEWS = 2
_MAX_PHRASES = 150  # per side
# Two phrases count as one if they occur together in at least this share of the reviews that contain either.
_SAME_SHARE = 0.6
# A phrase must be at least this many times as frequent on one side as on both together.
_MIN_LIFT = 1.15
_MAX_FOLDED_ENDING = 4  # the fewest letters that a word keeps

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_BREAK = re.compile(r"[.,;:!?()\"\n…–—]")

# Words that no phrase starts or ends with.
_STOP_WORDS = frozenset(
    "a about above after again against all almost also although always am an and another any anything are "
    "aren't around as at away back be because been before being below best better between bit both but by "
    "came can can't cannot come could couldn't day days did didn't do does doesn't doing don't down due "
    "during each eight either else enough even evening ever every everything far few first five for four "
    "from further gave get gets getting give go goes going gone got had hadn't half has hasn't have "
    "haven't having he her here hers him his hour hours how however i i'd i'll i'm i've if in instead "
    "into is isn't it it's its itself just keep kept know last least less let like little long look looks "
    "lot lots made make makes many may maybe me might mine minute minutes month months more morning most "
    "much must my myself need needs neither never night nine no nor not nothing now of off often ok okay "
    "on once one ones only or other others our out over own per perhaps put quite rather really said same "
    "say says second seconds see seem seemed seems seven several shall she should shouldn't since six so "
    "some someone something soon still such sure take takes tell ten than that that's the their them then "
    "there there's these they they're thing things think this those though thought three through thus "
    "time to today together told too took toward two under until up upon us use used using very want "
    "wanted was wasn't way we week weekend weeks well went were weren't what when where whether which "
    "while who whole whom whose why will with within without won't would wouldn't year years yesterday "
    "yet you you're your yours".split()
)
# Words that praise or blame without saying what.
_OPINION_WORDS = frozenset(
    "amazing awesome awful bad beautiful boring brilliant disappointed disappointing disappointment "
    "dreadful enjoy enjoyed excellent fantastic favorite favourite fine glad good great happy hate hated "
    "horrible impressed incredible like liked love loved lovely loves mediocre nice perfect perfectly "
    "pleasant pleased poor poorly recommend recommended regret sad satisfied superb terrible "
    "unfortunately waste wonderful worse worst worth wrong".split()
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that praises or blames."""

    mention: Mention
    label: str
    text: str


_Places = Mapping[int, Mention]  # where a phrase occurs, by review


def frequent_phrases(sentences: Iterable[Sentence]) -> list[Phrase]:
    """Return the phrases that praising and blaming sentences use often, each side's most frequent first."""
    sides: dict[str, dict[str, dict[int, Mention]]] = {NEGATIVE: {}, POSITIVE: {}}
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        for words in _phrases(sentence.text):
            key = " ".join(map(_folded, words))
            spellings[key][" ".join(words)] += 1
            places = sides[sentence.label].setdefault(key, {})
            places.setdefault(sentence.mention.review, sentence.mention)
    found: list[Phrase] = []
    for label, other in ((NEGATIVE, POSITIVE), (POSITIVE, NEGATIVE)):
        typical = _typical(sides[label], sides[other])
        found += (
            Phrase(spellings[key].most_common(1)[0][0], label, list(typical[key].values()))
            for key in islice(_distinct(typical), _MAX_PHRASES)
        )
    return found


def _typical(side: Mapping[str, _Places], other: Mapping[str, _Places]) -> dict[str, _Places]:
    """Return the phrases that one side uses often, and more often than both sides together."""
    total, other_total = _review_count(side), _review_count(other)
    typical = {}
    for key, places in side.items():
        other_count = len(other.get(key, ()))
        usual_share = (len(places) + other_count) / (total + other_total)
        is_typical = not other_count or len(places) / total >= _MIN_LIFT * usual_share
        if len(places) >= _MIN_REVIEWS and is_typical:
            typical[key] = places
    return typical


def _review_count(side: Mapping[str, _Places]) -> int:
    return len({review for places in side.values() for review in places})


def _distinct(phrases: Mapping[str, _Places]) -> Iterator[str]:
    """Yield the phrases, the most frequent first, without those that occur in the same reviews."""
    # A longer phrase says more, so it needs fewer reviews to come first.
    weights = {key: len(places) * sqrt(1 + key.count(" ")) for key, places in phrases.items()}
    chosen: list[frozenset[int]] = []
    for key in sorted(weights, key=lambda key: (-weights[key], key)):
        reviews = frozenset(phrases[key])
        if not any(len(reviews & known) >= _SAME_SHARE * len(reviews | known) for known in chosen):
            chosen.append(reviews)
            yield key


def _phrases(text: str) -> Iterator[Sequence[str]]:
    """Yield each run of a few words without a break that says what it is about."""
    for clause in _BREAK.split(text.lower().replace("’", "'")):
        words = _WORD.findall(clause)
        for start, word in enumerate(words):
            if word in _STOP_WORDS or len(word) < 3:  # noqa: PLR2004 - "tv" and "pc" are in longer phrases
                continue
            for end in range(start + 1, min(start + _MAX_WORDS, len(words)) + 1):
                phrase = words[start:end]
                is_named = any(w not in _OPINION_WORDS and w not in _STOP_WORDS for w in phrase)
                if phrase[-1] not in _STOP_WORDS and is_named:
                    yield phrase


def _folded(word: str) -> str:
    """Return a word without the ending of the plural."""
    if len(word) <= _MAX_FOLDED_ENDING or word.endswith(("ss", "us", "is")):
        return word
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")
