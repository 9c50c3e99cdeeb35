"""Decides what the records of a list are, by all of their fields together: reviews, or something else.

A text among the fields of an article, a log or an answer to a complaint is not a review, even if it is called
`content`, `message` or `comment`. Pure functions.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache

from reviewbox.documents.field_names import (
    EXCLUDING_NAME_SCORE,
    FOREIGN_ANSWERS,
    MAX_NAME_SCORE,
    MIN_NAME_SCORE,
    TELLING_NAME_SCORE,
    TEXT_NAME_SCORE,
    is_question,
    last_part,
    list_in,
    name_score,
    name_words,
    word_weight,
)
from reviewbox.documents.field_values import MIN_TEXT_SHARE, FieldValues, says_published
from reviewbox.documents.vocabulary import TITLE_WORDS

_WEIGHT_PUBLISHED = -6.0  # if another field says that someone other than a customer wrote the texts
_WEIGHT_ARTICLE = -2.0  # if the records have a title and a sign of an article, but no author or rating
_MAX_NAME_LENGTH = 1000

_WORDS_OF_AN_ARTICLE = frozenset(
    "category categories topic topics tag tags section categoria kategorie rubrik subtitle subtitulo "
    "sottotitolo untertitel excerpt permalink slug layout icon cover thumbnail image photo imagen imagem "
    "immagine bild foto фото".split()
)
_WORDS_BESIDE_REVIEWS = frozenset(
    "rating ratings star stars score scores nps author authors user username reviewer customer guest name "
    "email sentiment label verified likes votes helpful recommended autor usuario auteur autore nome nombre "
    "nom imie imya nota note ocena puan puntuacion calificacion estrellas имя автор оценка".split()
)
# Records with several of these fields are messages of programs, or elements of a page.
_LOG_KEYS = frozenset(
    "tagname nodename classname classlist textcontent innertext innerhtml outerhtml "
    "level severity loglevel logger loggername traceid spanid thread threadname pid hostname stacktrace "
    "eventid eventname eventsource requestid".split()
)
_MIN_LOG_KEYS = 2
_CHANGED_ROW = "dynamodb"  # events with this key are rows of a table
_STATUSES = frozenset("status code statuscode httpstatus httpcode responsecode responsestatus".split())
_COUNTED_TOKENS = frozenset("input output prompt completion total".split())  # by services of language models
# Names of fields beside texts that customers did not write.
_BESIDE_PUBLISHED = (
    frozenset(("wins", "losses")),  # of ideas that are put to a vote
    frozenset(("votes for", "votes against")),
    frozenset(("sender", "recipient")),  # of messages in a mailbox
    frozenset(("from", "to", "subject")),
)
# A text whose name has just these words is a post of a forum or a site, if one of them is "post".
_WORDS_OF_A_POST = frozenset("post text content body message title".split())
# So is a text beside the numbers of comments on it and of people who like it.
_COMMENTS = frozenset(("comments", "comment count", "comments count", "num comments"))
_LIKES = frozenset(("likes", "like count", "likes count", "hearts", "shares", "good count"))
_AUTHORS = frozenset("author authors autor auteur autore".split())
_TAGS = frozenset("tags categories keywords".split())
_MIN_QUOTES = 30
# Names of fields beside what is spoken. In a survey, these are the dates at which somebody filled it in.
_BESIDE_SPEECH = (
    frozenset(("start", "end")),  # of subtitles
    frozenset(("start", "duration")),
    frozenset(("season", "episode")),  # of the dialogue of a series
    frozenset(("temporada", "episodio")),
    frozenset(("saison", "episode")),
    frozenset(("staffel", "folge")),
)
# Who says the lines of a script. In a survey, a speaker is somebody who gave a talk.
_SPEAKERS = frozenset(
    "speaker speakers character narrator sprecher hablante personaje personnage personagem".split()
)
_PARTS_OF_A_SPEAKER = frozenset("id name s".split())
_INGREDIENTS = re.compile(
    r"(?<![^.\]!])(?:ingredients|ingredientes|ingredienti|ingrédients|zutaten|ingrediënten|ingredienser|składniki|malzemeler"
    r"|ингредиенты|材料|재료)(?![^.\[])",
    re.IGNORECASE,
)
# Fields that websites store with the texts of their pages.
_PAGE_KEYS = (frozenset(("sort order", "is active")), frozenset(("display order", "is active")))
# The values of a field that says which side wrote a message.
_SIDES = tuple(
    frozenset(hash(side) for word in pair.split() for side in (word, word.capitalize(), word.upper()))
    for pair in (
        "incoming outgoing",
        "inbound outbound",
        "user assistant",
        "user bot",
        "human ai",
        "customer agent",
        "user agent",
    )
)
_MAX_SIDES = 6  # two, in three ways of writing them
# What messengers store beside each message.
_MESSENGER_KEYS = frozenset(
    "conversationid chatid sendername timestampms fromme isfromme remotejid clientmsgid viewonce fromid "
    "expiresinseconds sourceuuid sourcedevice isunsent isgeoblockedforviewer dateunixtime groupinfo".split()
)
_MIN_MESSENGER_KEYS = 2
_MESSAGES = (frozenset(("date", "user", "message")), frozenset(("sender", "message")))  # and nothing else
_QUESTIONS_OF_DIALOGUES = frozenset("question prompt instruction".split())
_ANSWERS_OF_DIALOGUES = frozenset("response completion output".split())
_ANSWERS = frozenset("response responses answer answers resolution".split()) | FOREIGN_ANSWERS
_USERS = frozenset("user usuario utente utilisateur nutzer".split())  # of chatbots; shops have customers
_TEXTS = frozenset("text texto testo texte message mensaje messaggio nachricht question pregunta".split())
_TICKETS = frozenset("ticket tickets case incident request".split())
_ID_WORDS = frozenset("id ids key number no nr".split())
_RATINGS = frozenset(
    "rating ratings star stars score scores nps stelle sterne etoiles estrellas estrelas voto nota note "
    "ocena puan bewertung valoracion calificacion оценка".split()
)


@dataclass(frozen=True, slots=True)
class RecordKinds:
    """The lists whose records are not reviews.

    Attributes:
        articles: lists of records with a title and a sign of an article, and nobody who wrote or rated them.
        published: lists of texts that customers did not write, but companies or language models, for example.
        logs: lists of messages of programs, or of requests to a server with the status of each.
        answered: lists of reviews, complaints and tickets, whose answers are not reviews. They have an id, or
            a rating beside a text.
    """

    articles: Collection[str]
    published: Collection[str]
    logs: Collection[str]
    answered: Collection[str]

    @classmethod
    def of(cls, fields: Mapping[str, FieldValues]) -> "RecordKinds":
        """Return the kinds of the records that have these fields, which are identified by their paths."""
        lists: defaultdict[str, dict[str, FieldValues]] = defaultdict(dict)
        for path, values in fields.items():
            lists[list_in(path)][path] = values
        ingredients = map(_INGREDIENTS.search, fields)
        recipes = {list_in(found.string[: found.start()]) for found in ingredients if found}
        published = [name for name, columns in lists.items() if _are_published(columns)]
        published += [name for name in recipes if not any(map(_is_rating, lists.get(name, {}).values()))]
        return cls(
            [name for name, columns in lists.items() if _are_articles(columns)],
            published,
            [name for name, columns in lists.items() if _are_logs(columns)],
            [name for name, columns in lists.items() if _are_answered(columns)],
        )

    def score_of_name(self, path: str, score: float) -> float:
        """Return the score of a field's name, given its score without regard to the records."""
        records = list_in(path)
        if records in self.logs:
            score = min(score, 0.0)  # whatever it is called, it has to sound like reviews
        if records in self.answered and _is_answer(path):
            return min(score, EXCLUDING_NAME_SCORE)
        if (
            any(records == name or (name and records.startswith(f"{name}[]")) for name in self.published)
            and score < MAX_NAME_SCORE
        ):
            score = max(MIN_NAME_SCORE, score + _WEIGHT_PUBLISHED)
        if records in self.articles and score < TELLING_NAME_SCORE:
            score += _WEIGHT_ARTICLE
        return score


def is_log_record(names: Collection[str]) -> bool:
    """Return whether a record has the field names of a program's message or a page's element."""
    known = {name.lower().replace("_", "").replace("@", "") for name in names if len(name) < _MAX_NAME_LENGTH}
    return len(known & _LOG_KEYS) >= _MIN_LOG_KEYS and _CHANGED_ROW not in known


def _are_articles(columns: Mapping[str, FieldValues]) -> bool:
    if not (_are_listed(columns) or any(map(_names(columns).issuperset, _PAGE_KEYS))):
        return False
    known = {word for values in columns.values() if values.present for word in _words(values)}
    return not known & _WORDS_BESIDE_REVIEWS


def _are_listed(columns: Mapping[str, FieldValues]) -> bool:
    """Return whether records have a title and a sign of an article."""
    words = {word for values in columns.values() for word in _words(values)}
    return bool(words & TITLE_WORDS and words & _WORDS_OF_AN_ARTICLE)


def _are_published(columns: Mapping[str, FieldValues]) -> bool:
    names = _names(columns)
    return bool(
        any(map(says_published, columns.values()))
        or any(map(names.issuperset, _BESIDE_PUBLISHED))
        or any(map(_counts_tokens, columns.values()))
        or any(map(_has_two_sides, columns.values()))
        or _are_dialogues(columns)
        or names in _MESSAGES
        or len(_MESSENGER_KEYS & {name.replace(" ", "") for name in names}) >= _MIN_MESSENGER_KEYS
        or _are_pages(columns)
        or _are_spoken(columns)
        or _are_posts(columns)
        or _are_quotes(columns)
    )


def _are_posts(columns: Mapping[str, FieldValues]) -> bool:
    """Return whether records are posts of a forum or a network, which nobody rates."""
    names = _names(columns)
    texts = [{*_words(values)} for values in columns.values() if values.is_text]
    return (
        any("post" in words and words <= _WORDS_OF_A_POST for words in texts)
        or ("post id" in names and not any("comment" in name for name in names))
        or not (_COMMENTS.isdisjoint(names) or _LIKES.isdisjoint(names))
    ) and not any(map(_is_rating, columns.values()))


def _are_quotes(columns: Mapping[str, FieldValues]) -> bool:
    """Return whether records are a collection of sayings. A page with what customers say has fewer."""
    many = [values for values in columns.values() if values.present >= _MIN_QUOTES]
    words = {word for values in many for word in _words(values)}
    is_quote = any(values.is_text and "quote" in "".join(_words(values)) for values in many)
    has_author_and_tags = not (_AUTHORS.isdisjoint(words) or _TAGS.isdisjoint(words))
    return (is_quote or has_author_and_tags) and not any(map(_is_rating, columns.values()))


def _are_pages(columns: Mapping[str, FieldValues]) -> bool:
    """Return whether records with a title and a sign of an article contain HTML, and no rating."""
    return (
        _are_listed(columns)
        and any(values.markup > MIN_TEXT_SHARE * values.present > 0 for values in columns.values())
        and not any(map(_is_rating, columns.values()))
    )


def _are_spoken(columns: Mapping[str, FieldValues]) -> bool:
    """Return whether records say who speaks or when, and neither rate it nor answer a question."""
    undated = {path: values for path, values in columns.items() if not _is_date(values)}
    return (
        (any(map(_is_speaker, columns.values())) or any(map(_names(undated).issuperset, _BESIDE_SPEECH)))
        and not any(map(_is_rating, columns.values()))
        and not any(is_question(values.name) for values in columns.values())
    )


def _names(columns: Mapping[str, FieldValues]) -> set[str]:
    return {" ".join(_words(values)) for values in columns.values()}


def _has_two_sides(values: FieldValues) -> bool:
    """Return whether a field says who wrote each message of a conversation."""
    return 1 < len(values.distinct) <= _MAX_SIDES and any(values.distinct.keys() <= sides for sides in _SIDES)


def _are_dialogues(columns: Mapping[str, FieldValues]) -> bool:
    """Return whether each record is a question and the response to it, but not the question of a survey."""
    named = {words[0]: values for values in columns.values() if len(words := _words(values)) == 1}
    asked = [values for name, values in named.items() if name in _QUESTIONS_OF_DIALOGUES]
    is_answered = not _ANSWERS_OF_DIALOGUES.isdisjoint(named)
    if is_answered and any(values.is_unrepeated for values in asked):
        return True
    return any(map(_is_text_of_user, columns.values())) and any(map(_is_answer, columns))


def _are_logs(columns: Mapping[str, FieldValues]) -> bool:
    keys = _LOG_KEYS.intersection("".join(_words(values)) for values in columns.values())
    is_log = len(keys) >= _MIN_LOG_KEYS and not any(_CHANGED_ROW in path for path in columns)
    return is_log or any(map(_is_http_status, columns.values()))


def _counts_tokens(values: FieldValues) -> bool:
    words = _words(values)
    return (
        values.kinds["number"] > MIN_TEXT_SHARE * values.present
        and words[-1:] == ("tokens",)
        and not _COUNTED_TOKENS.isdisjoint(words)
    )


def _is_http_status(values: FieldValues) -> bool:
    return 0 < values.present == values.http_statuses and "".join(_words(values)) in _STATUSES


def _are_answered(columns: Mapping[str, FieldValues]) -> bool:
    if any(map(_is_id_of_review, columns.values())):
        return True
    return any(map(_is_rating, columns.values())) and any(
        values.is_text and not _is_answer(path) and name_score(values.name) >= TEXT_NAME_SCORE
        for path, values in columns.items()
    )


def _is_speaker(values: FieldValues) -> bool:
    who, *parts = _words(values) or ("",)
    return who in _SPEAKERS and _PARTS_OF_A_SPEAKER.issuperset(parts)


def _is_text_of_user(values: FieldValues) -> bool:
    words = _words(values)
    return len(words) > 1 and not (_USERS.isdisjoint(words) or _TEXTS.isdisjoint(words))


def _is_rating(values: FieldValues) -> bool:
    return not values.is_text and not _RATINGS.isdisjoint(_words(values))


def _is_date(values: FieldValues) -> bool:
    return values.kinds["date"] > MIN_TEXT_SHARE * values.present


def _is_answer(path: str) -> bool:
    """Return whether a field, or an object that it is in, is called an answer."""
    name = path.rpartition("[]")[2]
    return not is_question(name) and not _ANSWERS.isdisjoint(name_words(name))


def _is_id_of_review(values: FieldValues) -> bool:
    """Return whether a field is called the id of a review, a complaint or a ticket."""
    words = _words(values)
    is_of_review = any(word in _TICKETS or word_weight(word) >= TELLING_NAME_SCORE for word in words)
    return is_of_review and not _ID_WORDS.isdisjoint((words[0], words[-1]))


def _words(values: FieldValues) -> tuple[str, ...]:
    return _words_of(values.name)


@lru_cache(maxsize=10_000)  # all of the questions above ask for them
def _words_of(name: str) -> tuple[str, ...]:
    return tuple(name_words(last_part(name)))
