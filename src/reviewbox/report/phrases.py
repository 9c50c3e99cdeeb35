"""Groups sentences by the words and phrases that are frequent in them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from reviewbox.model.verdicts import NEGATIVE, POSITIVE
from reviewbox.report.summary import Mention, Phrase

_MAX_WORDS = 3  # of a phrase
_MIN_REVIEWS = 2
_MAX_PHRASES = 150  # of each side
# A word stands for nothing more than a longer phrase if this share of its reviews has the phrase.
_SAME_SHARE = 0.7
# How much more often a side must use a phrase than both together.
_MIN_LIFT = 1.15
_MAX_FOLDED_ENDING = 4  # letters that a word keeps at least

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_BREAK = re.compile(r"[.,;:!?()\"\n…–—]")

# Words that no phrase starts or ends with.
_STOP_WORDS = frozenset(
    "a about above after again against all almost also although always am an and another any anything are aren't "
    "around as at away back be because been before being below best better between both but by came can "
    "can't cannot come could couldn't did didn't do does doesn't doing don't down due during each either else "
    "enough even ever every everything far few first for from further gave get gets getting give go goes going "
    "gone got had hadn't has hasn't have haven't having he her here hers him his how however i i'd i'll i'm "
    "i've if in instead into is isn't it it's its itself just keep kept know last least less let like little "
    "long look looks lot made make makes many may maybe me might mine more most much must my myself need needs "
    "neither never no nor not nothing now of off often on once one ones only or other others our out over own "
    "per perhaps put quite rather really said same say says see seem seemed seems several shall she should "
    "shouldn't since so some someone something soon still such sure take takes than that that's the their them "
    "then there there's these they they're thing things think this those though thought three through thus "
    "time to together too took toward two under until up upon us use used using very want wanted was wasn't way "
    "we well went were weren't what when where whether which while who whole whom whose why will with within "
    "without won't would wouldn't yet you you're your yours tell told says lots bit ok okay".split()
)
# Words that praise or blame without saying what.
_OPINION_WORDS = frozenset(
    "amazing awesome awful bad beautiful boring brilliant disappointed disappointing disappointment dreadful "
    "enjoy enjoyed excellent fantastic favorite favourite fine glad good great happy hate hated horrible "
    "impressed incredible like liked lovely love loved loves mediocre nice perfect perfectly pleasant pleased "
    "poor poorly recommend recommended regret sad satisfied superb terrible unfortunately waste wonderful worse "
    "worst worth wrong".split()
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that praises or blames."""

    mention: Mention
    label: str
    text: str


def frequent_phrases(sentences: Iterable[Sentence]) -> list[Phrase]:
    """Return the phrases that praising and blaming sentences use often, each side's most frequent first."""
    mentions: dict[str, dict[str, dict[int, Mention]]] = {NEGATIVE: {}, POSITIVE: {}}
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in sentences:
        side = mentions[sentence.label]
        for words in _phrases(sentence.text):
            key = " ".join(map(_folded, words))
            spellings[key][" ".join(words)] += 1
            side.setdefault(key, {}).setdefault(sentence.mention.review, sentence.mention)
    found = []
    for label, other in ((NEGATIVE, POSITIVE), (POSITIVE, NEGATIVE)):
        reviews = {review for side in mentions[label].values() for review in side}
        other_reviews = {review for side in mentions[other].values() for review in side}
        side = {
            key: places
            for key, places in mentions[label].items()
            if len(places) >= _MIN_REVIEWS
            and _is_typical(len(places), len(reviews), len(mentions[other].get(key, {})), len(other_reviews))
        }
        ranked = sorted(_without_parts(side), key=lambda key: (-_weight(key, len(side[key])), key))
        for key in ranked[:_MAX_PHRASES]:
            text = spellings[key].most_common(1)[0][0]
            found.append(Phrase(text, label, list(side[key].values())))
    return found


def _phrases(text: str) -> Iterator[Sequence[str]]:
    """Yield each run of up to three words without a break that says what it is about."""
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


def _is_typical(count: int, total: int, other_count: int, other_total: int) -> bool:
    """Return whether one side uses a phrase more often than both sides together would."""
    share = count / total
    both = (count + other_count) / (total + other_total)
    return not other_total or share >= both * _MIN_LIFT or other_count == 0


def _weight(key: str, count: int) -> float:
    # A longer phrase says more, so it needs fewer reviews to come first.
    return count * sqrt(1 + key.count(" "))


def _without_parts(side: dict[str, dict[int, Mention]]) -> Iterator[str]:
    """Yield the phrases, but none that nearly always occurs inside of a longer one."""
    longest_inside: Counter[str] = Counter()
    for key, places in side.items():
        words = key.split()
        for size in range(1, len(words)):
            for start in range(len(words) - size + 1):
                part = " ".join(words[start : start + size])
                longest_inside[part] = max(longest_inside[part], len(places))
    return (key for key, places in side.items() if longest_inside[key] < _SAME_SHARE * len(places))
