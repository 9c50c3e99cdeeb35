"""Chooses the field that contains the review.

Every text field of a record is a candidate. Its score is the sum of two parts: what its values look like, and
what it is called, among the other fields of the record. A field is chosen only if its score is clearly the best;
otherwise the file is refused, because classifying the wrong text is worse than classifying none. ADR 12 explains
the weights: those of values are in `field_values.py`, those of words in `vocabulary.py`, and those of records in
`record_kinds.py`.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from reviewbox.documents.document import ReadOptions, Value
from reviewbox.documents.field_names import (
    DERIVED_WORDS,
    EXCLUDING_NAME_SCORE,
    MIN_NAME_SCORE,
    SUBJECT_WORDS,
    TELLING_NAME_SCORE,
    TEXT_NAME_SCORE,
    is_question,
    is_title_name,
    last_part,
    list_in,
    name_score,
    name_words,
    sheet_in,
    split_language,
    word_weight,
)
from reviewbox.documents.field_values import MIN_TEXT_SHARE, FieldValues, are_options
from reviewbox.documents.record_kinds import RecordKinds
from reviewbox.documents.vocabulary import BLAME_WORDS, DESCRIPTIONS, PRAISE_WORDS
from reviewbox.errors import ErrorCode, SourceError

_MAX_FIELDS = 1000

# The note of a row whose review is empty.
TITLE_NOTE = "the review is empty; its title was classified"
_WEIGHT_TRANSLATION = -2.0  # if another field has the same name without a language

# --- decision --------------------------------------------------------------------------------------------

# A candidate needs this score, and needs to be this much better than any other.
_MIN_SCORE = 1.5
_MARGIN = 1.0
# Against a field with a better name, it needs this many times the difference of the names in addition: long
# internal notes must not win over a column `review` of short answers.
_WEIGHT_BETTER_NAME = 1.5
_MIN_NAMED_SCORE = 1.0
# Between two parts of a review, such as a positive and a negative one, or between the reviews in two sheets, the
# values decide only if they differ much.
_SIBLING_MARGIN = 4.0
_SHEET_MARGIN = 3.0
# Between two open questions of a survey, they decide only if they differ more than usual, and so among this many
# fields that sound like reviews and are about as full as each other.
_QUESTION_MARGIN = 2.0
_ASPECTS, _FULL_SHARE = 4, 0.8
_MIN_REVIEW_SHARE = 0.25  # of the records with a title; otherwise it is the title of something else
_RARE = 10  # times as many texts in another field that sounds like reviews
_RARE_BESIDE_TICKETS = 4
_MAX_CHOICES = 20  # fields of options that texts are compared with
# In a table of at least this many columns, records with fewer values on average are lines of a form.
_FIELDS_OF_A_FORM = 4
_VALUES_OF_A_FORM = 2
_MAX_LISTED = 3
# Fields with at least this share of their texts in common are the same text in several forms.
_MIN_COPIED_SHARE = 0.8
# Texts with these names are reviews beside fields whose names have a word that starts with one of these.
_SIGNS_OF_A_REVIEW: Mapping[str, tuple[str, ...]] = {
    "description": tuple(
        "reviewer complaint resolved resolutiontime resolutiondate requestedresolution ticketid ticketno "
        "ticketnumber".split()
    ),
    "quote": tuple("reviewer client customer rating star role position company".split()),
}
_OPPOSITES = ((PRAISE_WORDS, BLAME_WORDS), (BLAME_WORDS, PRAISE_WORDS))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field that may contain the review.

    Attributes:
        path: the field, as the setting `TextField` accepts it.
        score: how much its values and its name suggest that it contains reviews.
        name_score: the part of the score that comes from its name.
        description: what its values are, without quoting any.
        is_plausible: whether the texts sound like reviews as much as is needed under its name.
        is_poll: whether the texts are questions, or the options of a question.
        texts: how many of its values are texts.
        is_open_question: whether its name is long enough to be a question, and its values to be open answers.
    """

    path: str
    score: float
    name_score: float
    description: str
    texts: int
    is_plausible: bool = True
    is_poll: bool = False
    is_open_question: bool = False

    @property
    def values_score(self) -> float:
        """The part of the score that comes from its values."""
        return self.score - self.name_score


@dataclass(frozen=True, slots=True)
class ReviewField:
    """The field that contains the review.

    Attributes:
        paths: the field; several if the settings name several, whose texts are joined.
        reason: "setting", or "score" if it was found.
        score: its score; None if the settings name it.
        runner_up: the next best candidate; None if there is no other.
        title: the field with the title of the review, which is judged where the review is empty; "" if there
            is none.
    """

    paths: tuple[str, ...]
    reason: str
    score: float | None = None
    runner_up: Candidate | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """The only path."""
        return self.paths[0]

    @property
    def notes(self) -> dict[str, Value]:
        """What the receipt says about the choice."""
        notes: dict[str, Value] = {"text_field": ",".join(self.paths), "text_field_by": self.reason}
        if self.score is not None:
            notes["text_field_score"] = round(self.score, 2)
        if self.runner_up:
            notes |= {"runner_up": self.runner_up.path, "runner_up_score": round(self.runner_up.score, 2)}
        if self.title:
            notes["title_field"] = self.title
        return notes


class FieldSample:
    """Collects the values of each field in the first records."""

    def __init__(self) -> None:
        self._fields: dict[str, FieldValues] = {}

    def add(self, path: str, value: object, name: str | None = None) -> None:
        """Add a value; those that are not text count as another kind.

        Args:
            path: identifies the field.
            value: the value in one record.
            name: what the field is called, if that is not its path.
        """
        values = self._fields.get(path)
        if values is None:
            if len(self._fields) >= _MAX_FIELDS:
                return
            values = self._fields[path] = FieldValues(path if name is None else name)
        if isinstance(value, str):
            values.add(value)
        elif value is not None:
            values.add_other(value)

    @property
    def paths(self) -> list[str]:
        """Every field that was seen."""
        return list(self._fields)

    def candidates(self) -> list[Candidate]:
        """Return the fields that may contain the review, the best first."""
        found = []
        records = self._records()
        kinds = RecordKinds.of(self._fields)
        descriptions = self._descriptions_of_reviews(records)
        translations = self._translations()
        choices = [*islice((values for values in self._fields.values() if values.is_choice), _MAX_CHOICES)]
        for path, values in self._fields.items():
            if values.is_text:
                from_name = kinds.score_of_name(path, name_score(values.name))
                if values.name in descriptions:
                    from_name = TEXT_NAME_SCORE
                if path in translations:
                    from_name = max(MIN_NAME_SCORE, from_name + _WEIGHT_TRANSLATION)
                is_plausible = values.sounds_like_reviews(from_name)
                score = values.score(records[path]) + from_name
                is_poll = (
                    are_options(values, from_name)
                    or self._is_scale(path)
                    or (is_plausible and _repeats_choices(values, choices))
                )
                found.append(
                    Candidate(
                        path,
                        score,
                        from_name,
                        values.description,
                        values.texts,
                        is_plausible,
                        is_poll,
                        values.is_open_question,
                    )
                )
        return sorted(found, key=lambda candidate: -candidate.score)

    def _records(self) -> dict[str, int]:
        """Return of how many records each field is: of all in its list, if less than half of these have it."""
        totals: defaultdict[str, int] = defaultdict(int)
        for path, values in self._fields.items():
            totals[list_in(path)] = max(totals[list_in(path)], values.seen)
        records = {}
        for path, values in self._fields.items():
            total = totals[list_in(path)]
            is_rare = "[]" in path and values.seen < total / 2  # rows have all columns
            records[path] = total if is_rare else values.seen
        return records

    def _translations(self) -> set[str]:
        """Return the fields of texts in a language, beside a field with the same name without one."""
        names = {path: split_language(path) for path, values in self._fields.items() if values.is_text}
        originals = {name for name, language in names.values() if not language}
        return {path for path, (name, language) in names.items() if language and name in originals}

    def _descriptions_of_reviews(self, records: Mapping[str, int]) -> set[str]:
        """Return the names of descriptions and quotes that are beside a sign of a review.

        There are none if another field, which most records have, is called a text.
        """
        signs: defaultdict[str, set[str]] = defaultdict(set)
        described: dict[str, str] = {}
        for name in {values.name for values in self._fields.values()}:
            last = last_part(name)
            words, parent = name_words(last), name[: name.rfind(last)]
            signs[parent] |= {
                kind
                for kind, starts in _SIGNS_OF_A_REVIEW.items()
                if any(word.startswith(starts) for word in [*words, "".join(words)])
            }
            if " ".join(words) in _SIGNS_OF_A_REVIEW:
                described[name] = parent
        found = {
            name
            for name, parent in described.items()
            if " ".join(name_words(last_part(name))) in signs[parent]
        }
        if not found:
            return found
        texts = (
            values.name
            for path, values in self._fields.items()
            if values.is_text and values.seen == records[path]
        )
        return set() if any(name_score(name) >= TEXT_NAME_SCORE for name in texts) else found

    def _is_scale(self, path: str) -> bool:
        """Return whether a field has the same few answers as another one, such as "always" and "never"."""
        values = self._fields[path]
        return values.is_choice and any(
            other.is_choice
            and len(values.distinct & other.distinct) >= _MIN_COPIED_SHARE * len(values.distinct)
            and not self.is_copy(path, name)
            for name, other in self._fields.items()
            if name != path
        )

    def mixed_candidates(self) -> list[Candidate]:
        """Return the fields that are named like texts but contain few of them."""
        records = self._records()
        return [
            Candidate(
                path,
                values.score(records[path]) + score,
                score,
                "texts beside other values",
                values.texts,
                is_plausible=False,
            )
            for path, values in self._fields.items()
            if values.texts and not values.is_text and (score := name_score(values.name)) >= TEXT_NAME_SCORE
        ]

    def is_form(self, path: str) -> bool:
        """Return whether a column without a name belongs to a form.

        Few of its lines have a second value, or most are numbered.
        """
        texts = self._fields[path]
        if name_words(texts.name):
            return False
        if texts.numbered >= MIN_TEXT_SHARE * texts.texts:
            return len(self._fields) >= _FIELDS_OF_A_FORM
        records = max(values.seen for values in self._fields.values())
        filled = sum(values.present for values in self._fields.values())
        return len(self._fields) >= _FIELDS_OF_A_FORM and filled < _VALUES_OF_A_FORM * records

    def subset(self, paths: Collection[str]) -> "FieldSample":
        """Return the sample of some of the fields."""
        subset = FieldSample()
        subset._fields = {path: values for path, values in self._fields.items() if path in paths}
        return subset

    def is_copy(self, path: str, other: str) -> bool:
        """Return whether two fields contain the same words, as a text and its HTML do.

        Columns of two sheets are not copies, because their rows are different records.
        """
        if sheet_in(path) != sheet_in(other):
            return False
        first, second = self._fields[path].plain, self._fields[other].plain
        return len(first & second) >= _MIN_COPIED_SHARE * max(len(first), len(second))

    def long_titles(self, candidates: Sequence[Candidate], best: Candidate) -> list[Candidate]:
        """Return the titles of reviews that look more like reviews than the best candidate does.

        Some exports call a verdict of one or two words the review, and the full text the summary.
        """
        return [
            candidate
            for candidate in candidates
            if candidate.values_score - best.values_score >= _MARGIN
            and is_title_name(self._fields[candidate.path].name)
        ]

    def tickets(self, candidates: Sequence[Candidate], best: Candidate) -> list[Candidate]:
        """Return the descriptions of tickets, of which only a few have a comment, the best candidate."""
        records = list_in(best.path)
        words = {path: {*name_words(last_part(values.name))} for path, values in self._fields.items()}
        if all(SUBJECT_WORDS.isdisjoint(words[path]) for path in words if list_in(path) == records):
            return []
        return [
            candidate
            for candidate in candidates
            if set() < words[candidate.path] <= DESCRIPTIONS
            and list_in(candidate.path) == records
            and candidate.is_plausible
            and _RARE_BESIDE_TICKETS * best.texts <= candidate.texts
        ]

    def title_of(self, paths: Collection[str]) -> str:
        """Return the field that contains the titles of the reviews in `paths`; "" if there is none."""
        texts = [self._fields[path] for path in paths if path in self._fields]
        reviews = sum(values.present for values in texts)
        distinct = max((len(values.distinct) for values in texts), default=0)
        titles = (
            candidate.path
            for candidate in self.candidates()
            if candidate.path not in paths
            and is_title_name(self._fields[candidate.path].name)
            and self._fields[candidate.path].may_be_titles(distinct)
            and reviews >= _MIN_REVIEW_SHARE * candidate.texts
        )
        return next(titles, "")


def select_review_field(sample: FieldSample, options: ReadOptions) -> ReviewField:
    """Return the field that contains the review.

    This is the field that the settings name. Without one, it is the field with the best score, if the score is
    high enough and clearly better than the next one.

    Raises:
        SourceError: no field qualifies, or several do. The message lists the best as `TextField` accepts them.
    """
    if options.text_field:
        paths = _configured(options.text_field, sample.paths)
        return ReviewField(paths, "setting", title="" if len(paths) > 1 else sample.title_of(paths))
    candidates = sample.candidates()
    eligible = [candidate for candidate in candidates if _is_eligible(candidate)]
    if not eligible or not eligible[0].is_plausible:
        listed = sorted([*candidates, *sample.mixed_candidates()], key=lambda candidate: -candidate.score)
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD, f"no field looks like reviews; {suggestion(listed, sample.paths)}"
        )
    best = _original(sample, eligible)
    others = [candidate for candidate in eligible if candidate is not best]
    if sample.is_form(best.path):
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            "the table looks like a form: its lines are numbered, or hardly any row has more than one value; "
            + suggestion(candidates, sample.paths),
        )
    full = [c for c in eligible if c.is_plausible and c.texts >= _FULL_SHARE * best.texts]
    least = _QUESTION_MARGIN if len(full) >= _ASPECTS else _MARGIN
    close = [
        c for c in others if not (_is_clearly_better(best, c, least) or sample.is_copy(c.path, best.path))
    ]
    close += [*sample.long_titles(candidates, best), *sample.tickets(candidates, best)]
    close += [c for c in candidates if c not in close and _are_similar_lists(best, c)]
    if close:
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"several fields look like reviews; {suggestion([best, *close], sample.paths)}",
        )
    runner_up = next((c for c in candidates if c.path != best.path), None)
    return ReviewField((best.path,), "score", best.score, runner_up, sample.title_of([best.path]))


def _original(sample: FieldSample, eligible: Sequence[Candidate]) -> Candidate:
    """Return the best candidate, or the text it was cleaned from."""
    best = eligible[0]
    if not _is_derived(best):
        return best
    originals = (c for c in eligible if not _is_derived(c) and sample.is_copy(c.path, best.path))
    return next(originals, best)


def _is_derived(candidate: Candidate) -> bool:
    return not DERIVED_WORDS.isdisjoint(name_words(last_part(candidate.path)))


def _is_clearly_better(best: Candidate, rival: Candidate, least: float) -> bool:
    if rival.is_plausible and _RARE * best.texts <= rival.texts:
        return False
    better_name = max(0.0, rival.name_score - best.name_score)
    margin = least + _WEIGHT_BETTER_NAME * better_name
    if best.is_open_question and rival.is_open_question:
        margin = max(margin, _QUESTION_MARGIN)
    if _are_siblings(best, rival):
        margin = _SIBLING_MARGIN
    if sheet_in(best.path) != sheet_in(rival.path):
        margin = _SHEET_MARGIN
    return best.score - rival.score >= margin


def _are_siblings(one: Candidate, other: Candidate) -> bool:
    """Return whether two fields are called parts of a review, such as "positive review" and "negative review".

    So are the same text in two languages: nothing says which one is the original.
    """
    (name, language), (other_name, other_language) = split_language(one.path), split_language(other.path)
    if name == other_name and language and other_language:
        return True
    words, others = (frozenset(name_words(last_part(candidate.path))) for candidate in (one, other))
    if any(words & these and others & those for these, those in _OPPOSITES):
        return True
    heads = [name_words(last_part(candidate.path))[-1:] for candidate in (one, other)]
    are_reviews = min(one.name_score, other.name_score) >= TELLING_NAME_SCORE and bool(heads[0])
    return (
        are_reviews
        and heads[0] == heads[1]
        and word_weight(heads[0][0]) >= TELLING_NAME_SCORE
        and last_part(one.path) != last_part(other.path)
    )


def _are_similar_lists(one: Candidate, other: Candidate) -> bool:
    """Return whether two fields are sibling lists of texts, and no name says which of them holds reviews."""
    (outer, list_), (other_outer, other_list) = one.path.rpartition(".")[::2], other.path.rpartition(".")[::2]
    return (
        one is not other
        and outer == other_outer
        and list_.endswith("[]")
        and other_list.endswith("[]")
        and min(one.name_score, other.name_score) > EXCLUDING_NAME_SCORE
        and max(one.name_score, other.name_score) < TEXT_NAME_SCORE
    )


def eligible_candidates(sample: FieldSample) -> list[Candidate]:
    """Return the candidates that would be chosen if there were no better ones, the best first."""
    return [candidate for candidate in sample.candidates() if _is_eligible(candidate)]


def _is_eligible(candidate: Candidate) -> bool:
    is_telling = candidate.name_score >= TELLING_NAME_SCORE and not is_question(last_part(candidate.path))
    least = _MIN_NAMED_SCORE if is_telling else _MIN_SCORE
    is_excluded = candidate.is_poll or candidate.name_score <= EXCLUDING_NAME_SCORE
    return not is_excluded and candidate.score >= least


def _repeats_choices(values: FieldValues, choices: Sequence[FieldValues]) -> bool:
    """Return whether most texts are among the few that another field repeats, such as what testers type."""
    return not values.is_choice and any(
        len(values.plain & other.plain) > values.texts / 2 for other in choices
    )


def suggestion(candidates: Sequence[Candidate], paths: Collection[str]) -> str:
    """Return the part of a message that says how to name the review field, without quoting any value."""
    if not candidates:
        names = ", ".join(repr(path[:60]) for path in list(paths)[:20])
        return (
            f"set TextField to the field that contains the reviews, if there is one; the fields are {names}"
        )
    best = "; ".join(f"{c.path[:120]!r} ({c.description})" for c in candidates[:_MAX_LISTED])
    # A title may be joined with a review, but not with something else.
    has_text = len(candidates) > 1 and _is_eligible(candidates[0])
    has_text = has_text and not any("," in c.path for c in candidates[:2])
    joined = ",".join(c.path for c in candidates[:2]) if has_text else ""
    hint = f", or to several that are joined, such as {joined[:250]!r}" if joined else ""
    return f"set TextField to the field that contains the reviews{hint}; the best candidates are {best}"


def _configured(text_field: str, paths: Collection[str]) -> tuple[str, ...]:
    if text_field in paths or not paths:
        return (text_field,)
    names = tuple(name.strip() for name in text_field.split(","))
    missing = [name for name in names if name not in paths]
    if missing:
        raise SourceError(
            ErrorCode.NO_TEXT_FIELD,
            f"TextField names {', '.join(map(repr, missing))}, which no record has; the fields are "
            + ", ".join(repr(path[:60]) for path in list(paths)[:20]),
        )
    return names
