"""Chooses the field that contains the review.

Every text field of a record is a candidate. Its score is the sum of two parts: what its values look like, and
what it is called. A field is chosen only if its score is clearly the best; otherwise the file is refused, because
classifying the wrong text is worse than classifying none. ADR 12 explains the weights; those of words are in
`vocabulary.py`.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from itertools import islice
from math import log2

from reviewbox.documents.document import ReadOptions, Value
from reviewbox.documents.vocabulary import (
    BLAME_WORDS,
    FUNCTION_WORDS,
    NAME_WEIGHTS,
    OPINION_WORDS,
    PRAISE_WORDS,
    plain_word,
)
from reviewbox.errors import ErrorCode, SourceError
from reviewbox.wording import number_of

# Databases and data frames write these where there is no value. No review consists of them.
MISSING = frozenset({"NaN", "nan", "NULL", "null", "None", "NA", "N/A", "n/a", "<NA>", "\\N", "-", "--", "."})

_MAX_VALUE_LENGTH = 500  # characters of a value that are looked at
_MAX_VALUES = 300  # of a field that are looked at
_MAX_FIELDS = 1000

# The note of a row whose review is empty.
TITLE_NOTE = "the review is empty; its title was classified"

# --- weights of the values -------------------------------------------------------------------------------

_WEIGHT_LENGTH = 1.0  # times log2(1 + words per value), up to _MAX_LENGTH_SCORE
_MAX_LENGTH_SCORE = 4.5
_WEIGHT_FUNCTION_WORDS = 5.0  # times the share of function words among all words, up to _MAX_FUNCTION_SHARE
_MAX_FUNCTION_SHARE = 0.4
_WEIGHT_SENTENCES = 0.75  # times the share of values with sentence punctuation
_WEIGHT_VARIATION = 0.5  # times the coefficient of variation of the length, up to 1
_WEIGHT_TITLE_CASE = -1.5  # times the share of values of several words that are all capitalized
_WEIGHT_REPETITION = -3.0  # times how far the share of distinct values is below _USUAL_DISTINCT_SHARE
_USUAL_DISTINCT_SHARE = 0.5
_ROWS_FOR_REPETITION = 8  # in fewer rows, repetition means nothing
_ROWS_FOR_VARIETY = 3
_MIN_TEMPLATE_WORDS = 5
# Texts are filled-in forms if so many of their words, at least so many of them, are in nearly all of the texts.
_BOILERPLATE_SHARE = 0.4
_BOILERPLATE_WORDS = 4
_NEARLY_ALL = 0.9
_WEIGHT_OTHER_KINDS = -4.0  # times the share of values that are not text
_WEIGHT_MARKUP = -2.0  # times the share of values that are HTML fragments
_WEIGHT_EMPTY = -2.0  # times the share of records of a table in which the field is empty: replies are rare
_WEIGHT_PUBLISHED = -6.0  # if another field says that the records are a company's own texts
_WEIGHT_ARTICLE = -1.0  # if the records have a title and a category, but no author or rating
_WEIGHT_REPLIES = -5.0  # times the share of values that thank or console a customer
_MIN_TEXT_SHARE = 0.5  # of the values that are present

# --- decision --------------------------------------------------------------------------------------------

# A candidate needs this score, and needs to be this much better than any other.
_MIN_SCORE = 1.5
_MARGIN = 1.0
# Against a field with a better name, it needs this many times the difference of the names in addition: long
# internal notes must not win over a column `review` of short answers.
_WEIGHT_BETTER_NAME = 1.5
# If its name says that a field contains reviews, they may be a few words that are often repeated.
_TELLING_NAME_SCORE = 2.5
_MIN_NAMED_SCORE = 1.0
# Between two parts of a review, such as a positive and a negative one, or between the reviews in two sheets, the
# values decide only if they differ much.
_SIBLING_MARGIN = 4.0
_SHEET_MARGIN = 3.0
# Between two open questions of a survey, they decide only if they differ more than usual.
_QUESTION_MARGIN = 2.0
_MIN_OPEN_WORDS = 4  # on average
# Texts sound like reviews if this share of them contains a word of opinion. Longer texts need a larger share: that
# which would contain one if words of opinion were this frequent. Half of the share is enough under names that say that
# the field contains texts, such as "text" and "answer". Names that say something else need twice the share.
_MIN_OPINIONS = 0.2
_OPINIONS_PER_WORD = 0.012
_TEXT_NAME_SCORE = 1.0
_ROWS_FOR_OPINIONS = 5
_MIN_NAMELESS_WORDS = 1.5  # on average
_KNOWN_LANGUAGE_SHARE = 0.2  # of function words among all words
# In at least so many rows, so few distinct texts are the options of a question.
_ROWS_FOR_CHOICE = 20
_CHOICE_SHARE = 0.15
_MAX_OPTIONS = 20  # of a question; more texts under a name such as "text" are repeated, but not chosen
_MAX_CHOICES = 20  # fields of options that texts are compared with
_MAX_CHOICE_WORDS = 12  # on average; longer ones are texts that were generated or exported twice
_QUESTION_SHARE = 0.8
# In a table of at least so many columns, records with fewer values on average are lines of a form.
_FIELDS_OF_A_FORM = 4
_VALUES_OF_A_FORM = 2
# A name of at most this score says that the field is something else, whatever its values look like.
_EXCLUDING_NAME_SCORE = -2.0
_MAX_LISTED = 3
# Fields with at least this share of their texts in common are the same text in several forms.
_MIN_COPIED_SHARE = 0.8

# --- names -----------------------------------------------------------------------------------------------

# What each word of a field's name adds. Words are lower case and without accents. The total is limited to
# between _MIN_NAME_SCORE and _MAX_NAME_SCORE.
_MIN_NAME_SCORE, _MAX_NAME_SCORE = -6.0, 3.0
_REPLY_WORDS = frozenset(
    "reply replies replied responded respond owner merchant vendor seller developer antworten ourreply".split()
)
_REPLY_SCORE = -4.0
# A translation is classified only if the export does not have the original.
_TRANSLATION_WORDS = frozenset("translated translation".split())
_TRANSLATION_SCORE = -2.0
# So is a form of the text that was made for a program.
_DERIVED_WORDS = frozenset(
    "clean cleaned processed preprocessed normalized normalised tokenized lemmatized lemmatised lemmas stemmed "
    "tokens stopwords preprocessing cleaning".split()
)
_DERIVED_SCORE = -1.5
_QUESTION_NAMES = frozenset(
    "question frage pregunta domanda pergunta vraag pytanie otazka fraga soru pertanyaan вопрос питання 问题 問題 "
    "質問 질문".split()
)
_RESPONDENTS = frozenset("respondents befragte repondants encuestados".split())
_PUBLISHED_WORDS = frozenset("article articles faq faqs macro macros".split())
# With one of these words, a response is what the merchant wrote.
_RESPONDERS = frozenset(
    "owner company business client host hotel property manager management staff shop store our your agent support "
    "team brand".split()
)
# So is an answer of one of these.
_ANSWERS = frozenset(
    map(
        plain_word,
        "antwort réponse respuesta risposta resposta antwoord reactie odpowiedź odpověď cevap cevabı jawaban "
        "tanggapan ответ ответы відповідь".split(),
    )
)
_MERCHANTS = frozenset(
    map(
        plain_word,
        "inhaber inhabers eigentümer eigentümers verkäufer verkäufers händler händlers betreiber unternehmen "
        "unternehmens vendeur propriétaire hôte vendedor propietario tienda venditore proprietario lojista empresa "
        "verkoper eigenaar bedrijf sprzedawca sprzedawcy właściciel właściciela sklepu firmy prodejce obchodu "
        "satıcı satıcının mağaza penjual toko продавца магазина владельца компании отеля hotel support".split(),
    )
)
# What these write about a review is a comment on it.
_COMMENTATORS = frozenset("agency admin administrator moderator editor analyst".split())
_NOTES = frozenset("comment comments note notes".split())
_TITLE_WORDS = frozenset("title headline heading summary titel titre titulo titolo judul baslik".split())
_CATEGORY_WORDS = frozenset("category categories tag tags section categoria kategorie rubrik".split())
_WORDS_BESIDE_REVIEWS = frozenset(
    "rating ratings star stars score scores nps author authors user username reviewer customer guest name email "
    "sentiment label verified likes votes helpful recommended autor usuario".split()
)
_PREPOSITIONS = frozenset("of for de du des del della di da do dos das der des von van od".split())
# Texts with these names are reviews beside fields whose names have a word that starts so.
_SIGNS_OF_A_REVIEW: Mapping[str, tuple[str, ...]] = {
    "description": ("reviewer", "complaint"),
    "quote": tuple("reviewer client customer rating star role position company".split()),
}
_DESCRIPTIONS = frozenset(
    map(
        plain_word,
        "description descriptions desc beschreibung beschrijving descripcion descrizione descricao deskripsi "
        "açıklama описание 説明 描述 설명".split(),
    )
)
_OPPOSITES = ((PRAISE_WORDS, BLAME_WORDS), (BLAME_WORDS, PRAISE_WORDS))
# JSON has no comments, so authors of files write them under these names.
_FILE_COMMENTS = frozenset(("_comment", "_comments", "$comment", "__comment", "__comment__"))
_WORDS_OF_A_QUESTION = 5
_MIN_COMPOUND_PART = 4  # letters: "update" is not a date
_MAX_COMPOUND_PART = 20
_QUESTION_SCORE = 0.5

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
# Writing systems without spaces: about two characters are a word.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_UNSPACED_WORD = re.compile("|".join(sorted(filter(_UNSPACED.match, NAME_WEIGHTS), key=len, reverse=True)))
_SENTENCE = re.compile(r"[.!?…。！？](?:\s|$)|,\s")
_OPTION_SEPARATOR = re.compile("[,;|┋]")
_QUESTION_END = re.compile(r"[?？](?:\s*[(\[][^()\[\]]*[)\]])?$")
_PATH_SEPARATOR = re.compile(r"[.\[\]/*]+")
# Signs that belong to the letter before them in Indian and Thai scripts are no letters themselves.
_NAME_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u0dff\u0e31-\u0e4e])+")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.)\S+|[^\s@]{1,64}@[^\s@]{1,255}\.[a-z]{2,24}", re.IGNORECASE
)
# A name with an e-mail address.
_CONTACT = re.compile(
    r"(?:[^\s@]{1,40} ){0,4}[<(]?[^\s@<(]{1,64}@[^\s@]{1,255}\.[a-z]{2,24}[>)]?", re.IGNORECASE
)
_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?:/\S*)?")
_MENTION = re.compile(r"(?<![\w.])@[\w.]+")
# How a merchant addresses a customer.
_REPLY = re.compile(
    r"\b(?:thank you (?:so much )?for (?:your|the|taking|choosing|letting|sharing)|(?:we are|we're|we’re) (?:so |very |truly )?"
    r"(?:sorry|glad|happy|pleased|delighted) (?:to hear|about|that you|for (?:the|your|any)|you)|so sorry to hear|we apologi[sz]e|our apologies"
    r"|please (?:accept our|contact us|reach out|get in touch|write to us|email us)|(?:contact|email|write to) us at"
    r"|we (?:appreciate|value) your|look forward to (?:welcoming|serving|seeing you)"
    r"|vielen dank für (?:ihr|die|deine)|tut uns (?:sehr )?leid|merci pour votre|nous sommes désolés|gracias por su)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"[-+~<>=≤≥]?\s?[$€£¥₹₩₽]?\s?\d[\d.,:/\s'’%$€£¥°ºxX×-]*(?:[a-zA-Z]{0,3}|stars?|out of \d+)?"
)
_DATE = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
    r"(?:\d{1,4}[-/.\s](?:\d{1,2}|[a-zäéû]{3,9})\.?[-/.,\s]\s?\d{1,4}|[a-z]{3,9}\.?\s\d{1,2},?\s\d{4}|\d{8})"
    r"(?:[T\s,]+\d{1,2}[:.]\d{2}.{0,30})?|\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]m)?"
    r"|(?:an?|\d+)\s(?:second|minute|hour|day|week|month|year)s?\sago",
    re.IGNORECASE,
)
_FLAG = frozenset(
    "true false yes no y n t f ja nein oui non si sim nao evet hayir да нет on off ok null none verified "
    "unverified positive negative neutral success failed error active inactive approved pending published "
    "rejected accepted received sent delivered submitted archived deleted draft open new done solved closed "
    "resolved unresolved completed confirmed cancelled paid shipped unread offen neu erledigt geschlossen "
    "eingegangen abierto cerrado pendiente enviado ouvert fermé envoyé aperto chiuso inviato".split()
)
_STRUCTURE = re.compile(r"\s*(?:\{.*[}:]|\[.*[\]{,])\s*", re.DOTALL)
_MARKUP = re.compile(
    r"</?(?:div|p|ul|ol|li|table|tr|td|span|h[1-6]|section|article|img|html|body|em|mark)\b", re.IGNORECASE
)
_TAG_OR_ENTITY = re.compile(r"<[^<>]*>|&#?\w{1,10};")
_WORDS_TO_COMPARE = 20
# A quantity, a product and a price.
_NUMBERED = re.compile(r"\d{1,3}[.)]\s?[^\W\d]")
_ORDER_LINE = re.compile(r"\d{1,4}\s?[x×]\s.{1,200}\d(?:[.,]\d{2})?\s?[$€£¥₹₩₽]?\)?", re.IGNORECASE)
_PATH = re.compile(r"(?:[A-Za-z]:)?[\\/]?(?:[\w.-]+[\\/])+[\w.-]*")
_REPEATED_SYMBOL = re.compile(r"[★☆⭐*]{1,10}")


def _is_identifier(value: str) -> bool:
    """Return whether a value without spaces is an id, a hash, a code or a path rather than a word."""
    if any(character.isspace() for character in value):
        return False
    letters = sum(character.isalpha() for character in value)
    digits = sum(character.isdigit() for character in value)
    if _UNSPACED.search(value):
        return False
    if digits and letters and digits + letters >= 4 and not re.fullmatch(r"[^\W\d_]{3,}\d?[!.?]*", value):  # noqa: PLR2004
        return True
    if "_" in value or (len(value) > 30 and letters):  # noqa: PLR2004 - longer than any word
        return True
    return bool(_PATH.fullmatch(value)) or (value.count(".") > 1 and "..." not in value)


def kind_of(value: str) -> str:  # noqa: PLR0911 - one kind per line
    """Return "text" for a value that could be a review, or the name of another kind."""
    if _REPEATED_SYMBOL.fullmatch(value) or _NUMBER.fullmatch(value):
        return "number"
    if _DATE.fullmatch(value):
        return "date"
    if _LINK.fullmatch(value) or _HOST.fullmatch(value) or ("@" in value and _CONTACT.fullmatch(value)):
        return "link"
    if "@" in value and not any(map(str.isalpha, _MENTION.sub("", value))):
        return "mention"
    if value.casefold() in _FLAG:
        return "flag"
    if _STRUCTURE.fullmatch(value):
        return "structure"
    if _ORDER_LINE.fullmatch(value):
        return "order line"
    if not any(character.isalpha() for character in value):
        return "text" if any(unicodedata.category(c) == "So" for c in value) else "number"
    return "identifier" if _is_identifier(value) else "text"


@dataclass(slots=True)
class _Values:
    """Counts over the values of one field."""

    name: str
    seen: int = 0
    present: int = 0
    texts: int = 0
    words: int = 0
    words_squared: int = 0
    function_words: int = 0
    opinions: int = 0
    sentences: int = 0
    questions: int = 0
    numbered: int = 0
    titles: int = 0
    multi_word: int = 0
    markup: int = 0
    replies: int = 0
    content_words: int = 0
    first_words: Counter[str] = field(
        default_factory=Counter
    )  # how many texts have the words of the first one
    kinds: Counter[str] = field(default_factory=Counter)
    distinct: set[int] = field(default_factory=set)
    parts: int = 0
    distinct_parts: set[int] = field(
        default_factory=set
    )  # of texts between commas, as several options are written
    plain: set[int] = field(default_factory=set)  # the number and the letters of each text, without markup

    def add(self, value: str) -> None:
        if self.seen == _MAX_VALUES:
            return
        value = value[:_MAX_VALUE_LENGTH].strip()
        self.seen += 1
        if not value or value in MISSING:
            return
        self.present += 1
        kind = kind_of(value)
        self.kinds[kind] += 1
        if kind != "text":
            return
        words = _WORD.findall(value)
        count = max(1, len(words) + len(_UNSPACED.findall(value)) // 2)
        self.texts += 1
        self.words += count
        self.words_squared += count * count
        plain_words = [plain_word(word) for word in words]
        self.function_words += sum(word in FUNCTION_WORDS for word in plain_words)
        content = set(plain_words) - FUNCTION_WORDS
        self.content_words += len(content)
        self.first_words.update(content.intersection(self.first_words) if self.texts > 1 else content)
        self.opinions += not OPINION_WORDS.isdisjoint(plain_words)
        self.sentences += bool(_SENTENCE.search(value))
        self.questions += bool(_QUESTION_END.search(value))
        self.numbered += bool(_NUMBERED.match(value))
        self.replies += bool(_REPLY.search(value))
        self.markup += bool(_MARKUP.search(value))
        if len(words) > 1:
            self.multi_word += 1
            self.titles += all(word[0].isupper() for word in words if plain_word(word) not in FUNCTION_WORDS)
        self.distinct.add(hash(value))
        parts = [part.strip() for part in _OPTION_SEPARATOR.split(value)]
        self.parts += len(parts)
        self.distinct_parts.update(map(hash, parts))
        # Cleaning a text removes punctuation, apostrophes and upper case.
        plain = _WORD.findall(_TAG_OR_ENTITY.sub(" ", unescape(value)))[:_WORDS_TO_COMPARE]
        letters = "".join(filter(str.isalpha, "".join(plain).casefold()))
        self.plain.add(hash((self.texts, letters)))

    @property
    def is_text(self) -> bool:
        return self.texts > 0 and self.texts >= _MIN_TEXT_SHARE * self.present

    @property
    def is_varied(self) -> bool:
        """Whether the texts differ. Otherwise, they do not belong to the reviews."""
        return self.texts < _ROWS_FOR_VARIETY or len(self.distinct) > 1

    @property
    def is_template(self) -> bool:
        """Whether all rows repeat a sentence, such as what respondents agree to."""
        return not self.is_varied and self.words >= _MIN_TEMPLATE_WORDS * self.texts

    @property
    def is_boilerplate(self) -> bool:
        """Whether a program wrote the texts: most of their words are in all of them, as in notifications."""
        fixed = sum(count >= _NEARLY_ALL * self.texts for count in self.first_words.values())
        return (
            self.texts >= _ROWS_FOR_VARIETY
            and fixed >= _BOILERPLATE_WORDS
            and fixed * self.texts >= _BOILERPLATE_SHARE * self.content_words
        )

    @property
    def is_choice(self) -> bool:
        """Whether the texts are one or more of few answers, such as those to a poll."""
        if self.texts < _ROWS_FOR_CHOICE:
            return False
        if len(self.distinct) <= _CHOICE_SHARE * self.texts:
            return self.words <= _MAX_CHOICE_WORDS * self.texts
        are_few_options = len(self.distinct_parts) <= _CHOICE_SHARE * self.parts
        return are_few_options and self.words <= _MAX_CHOICE_WORDS * self.parts

    @property
    def is_open_question(self) -> bool:
        """Whether the name is long enough to be a question, and the texts to be answers in own words."""
        is_question = len(name_words(self.name)) >= _WORDS_OF_A_QUESTION
        return is_question and self.words >= _MIN_OPEN_WORDS * self.texts

    def sounds_like_reviews(self, name_score: float) -> bool:
        """Return whether enough texts tell an experience or judge something. The less the name says, the more it takes."""
        if name_score >= _TELLING_NAME_SCORE:
            return True
        is_repeated = self.is_boilerplate or not self.is_varied
        words = len(name_words(self.name))
        # The same answer to a question in every row, such as a consent, is none.
        says_text = name_score >= _TEXT_NAME_SCORE and not (is_repeated and words >= _WORDS_OF_A_QUESTION)
        is_nameless = words == 0
        if (says_text or is_nameless) and self.texts < _ROWS_FOR_OPINIONS and not self.is_boilerplate:
            return True
        chance = 1 - (1 - _OPINIONS_PER_WORD) ** (self.words / self.texts)
        least = max(_MIN_OPINIONS, chance) * (0.5 if says_text else 1 if name_score >= 0 else 2)
        if self.opinions >= least * self.texts and (says_text or not is_repeated):
            return True
        # In other languages there is no telling, and only the name is left. Without a name, one word is too few.
        # Answers may be single words, but they are in the language of the question.
        is_known_language = self.function_words >= _KNOWN_LANGUAGE_SHARE * self.words or (
            _is_question_in_known_language(self.name)
        )
        is_list_of_words = self.words < _MIN_NAMELESS_WORDS * self.texts
        return not (is_known_language or is_repeated) and (
            says_text or (is_nameless and not is_list_of_words)
        )

    @property
    def score(self) -> float:
        score: float
        mean = self.words / self.texts
        variance = max(0.0, self.words_squared / self.texts - mean * mean)
        function_share = min(_MAX_FUNCTION_SHARE, self.function_words / self.words)
        score = min(_MAX_LENGTH_SCORE, _WEIGHT_LENGTH * log2(1 + mean))
        score += _WEIGHT_FUNCTION_WORDS * function_share
        score += _WEIGHT_SENTENCES * self.sentences / self.texts
        score += _WEIGHT_VARIATION * min(1.0, variance**0.5 / mean)
        score += _WEIGHT_TITLE_CASE * self.titles / max(1, self.multi_word)
        score += _WEIGHT_MARKUP * self.markup / self.texts
        score += _WEIGHT_REPLIES * self.replies / self.texts
        score += _WEIGHT_EMPTY * max(0.0, 1 - self.present / max(1, self.seen))
        score += _WEIGHT_OTHER_KINDS * (1 - self.texts / self.present)
        if self.is_template:
            score += _WEIGHT_REPETITION
        elif self.texts >= _ROWS_FOR_REPETITION:
            missing_share = max(0.0, _USUAL_DISTINCT_SHARE - len(self.distinct) / self.texts)
            score += _WEIGHT_REPETITION * missing_share / _USUAL_DISTINCT_SHARE
        return score

    @property
    def description(self) -> str:
        """What the values are, without quoting any."""
        if not self.present:
            return "empty"
        (kind, _), *_ = self.kinds.most_common(1)
        if kind != "text":
            return f"{kind}s"
        texts = "the same few texts" if self.is_choice else "texts"
        return f"{texts} of about {number_of(max(1, round(self.words / self.texts)), 'word')}"


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
        is_open_question: whether its name is long enough to be a question, and its values to be open answers.
    """

    path: str
    score: float
    name_score: float
    description: str
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
        self._fields: dict[str, _Values] = {}

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
            values = self._fields[path] = _Values(path if name is None else name)
        if isinstance(value, str):
            values.add(value)
        elif value is not None and values.seen < _MAX_VALUES:
            values.seen += 1
            values.present += 1
            values.kinds["flag" if isinstance(value, bool) else "number"] += 1

    @property
    def paths(self) -> list[str]:
        """Every field that was seen."""
        return list(self._fields)

    def candidates(self) -> list[Candidate]:
        """Return the fields that may contain the review, the best first."""
        found = []
        articles = self._lists_of_articles()
        choices = [*islice((values for values in self._fields.values() if values.is_choice), _MAX_CHOICES)]
        published = {_list(path) for path, values in self._fields.items() if _is_published(values)}
        for path, values in self._fields.items():
            from_name = name_score(values.name)
            if values.is_text:
                if _list(path) in published and from_name < _MAX_NAME_SCORE:
                    from_name = max(_MIN_NAME_SCORE, from_name + _WEIGHT_PUBLISHED)
                if _list(path) in articles and from_name < _TELLING_NAME_SCORE:
                    from_name += _WEIGHT_ARTICLE
                if self._describes_a_review(values.name):
                    from_name = _TEXT_NAME_SCORE
                is_plausible = values.sounds_like_reviews(from_name)
                score = values.score + from_name
                is_poll = _is_poll(values, from_name) or self._is_scale(path)
                is_poll = is_poll or (is_plausible and _repeats_choices(values, choices))
                found.append(
                    Candidate(
                        path,
                        score,
                        from_name,
                        values.description,
                        is_plausible,
                        is_poll,
                        values.is_open_question,
                    )
                )
        return sorted(found, key=lambda candidate: -candidate.score)

    def _lists_of_articles(self) -> set[str]:
        """Return the lists of records with a title and a category, and nobody who wrote or rated them."""
        words: defaultdict[str, set[str]] = defaultdict(set)
        for path, values in self._fields.items():
            words[_list(path)].update(name_words(_last_part(values.name)))
        return {
            path
            for path, known in words.items()
            if known & _TITLE_WORDS and known & _CATEGORY_WORDS and not known & _WORDS_BESIDE_REVIEWS
        }

    def _describes_a_review(self, name: str) -> bool:
        """Return whether a description or a quote is beside a sign of a review, and nothing else is called a text."""
        last = _last_part(name)
        signs = _SIGNS_OF_A_REVIEW.get(" ".join(name_words(last)))
        if not signs:
            return False
        fields = self._fields.values()
        beside = (f.name for f in fields if f.name == name.removesuffix(last) + _last_part(f.name))
        has_reviewer = any(
            word.startswith(signs) for other in beside for word in name_words(_last_part(other))
        )
        return has_reviewer and all(name_score(f.name) < _TEXT_NAME_SCORE for f in fields if f.is_text)

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
        """Return the fields whose name says that they contain texts, but few of whose values are texts."""
        return [
            Candidate(path, values.score + score, score, "texts beside other values", is_plausible=False)
            for path, values in self._fields.items()
            if values.texts and not values.is_text and (score := name_score(values.name)) >= _TEXT_NAME_SCORE
        ]

    def is_form(self, path: str) -> bool:
        """Return whether a column without a name is that of a form.

        Few of its lines have a second value, or most are numbered.
        """
        texts = self._fields[path]
        if name_words(texts.name):
            return False
        if texts.numbered >= _MIN_TEXT_SHARE * texts.texts:
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
        if _sheet(path) != _sheet(other):
            return False
        first, second = self._fields[path].plain, self._fields[other].plain
        return len(first & second) >= _MIN_COPIED_SHARE * max(len(first), len(second))

    def long_titles(self, candidates: Sequence[Candidate], best: Candidate) -> list[Candidate]:
        """Return the titles of reviews that look more like reviews than the best candidate does.

        Some exports call the verdict of two words a review, and the text a summary.
        """
        return [
            candidate
            for candidate in candidates
            if candidate.values_score - best.values_score >= _MARGIN
            and _is_title(self._fields[candidate.path].name)
        ]

    def title_of(self, paths: Collection[str]) -> str:
        """Return the field that contains the titles of the reviews in `paths`; "" if there is none."""
        titles = (
            candidate.path
            for candidate in self.candidates()
            if candidate.path not in paths
            and _is_title(self._fields[candidate.path].name)
            and self._fields[candidate.path].is_varied
        )
        return next(titles, "")


def _is_question_in_known_language(name: str) -> bool:
    words = name_words(name)
    known = sum(word in FUNCTION_WORDS for word in words)
    return len(words) >= _WORDS_OF_A_QUESTION and known >= _KNOWN_LANGUAGE_SHARE * len(words)


def _is_published(values: _Values) -> bool:
    """Return whether a field says that the records are others' texts: frequent questions, or statements with counts."""
    words = name_words(values.name)
    is_question = len(words) == 1 and words[0] in _QUESTION_NAMES
    is_faq = is_question and values.questions > _MIN_TEXT_SHARE * values.texts
    has_respondents = bool(_RESPONDENTS.intersection(words)) or {"number", "responses"} <= {*words}
    return (
        (has_respondents and values.kinds["number"] > _MIN_TEXT_SHARE * values.present)
        or bool(_PUBLISHED_WORDS.intersection(words))
        or (is_faq and values.is_varied and not values.is_choice)
    )


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
    eligible = eligible_candidates(sample)
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
    close = [c for c in others if not _is_clearly_better(best, c) and not sample.is_copy(c.path, best.path)]
    close += sample.long_titles(candidates, best)
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
    return not _DERIVED_WORDS.isdisjoint(name_words(_last_part(candidate.path)))


def _is_clearly_better(best: Candidate, rival: Candidate) -> bool:
    better_name = max(0.0, rival.name_score - best.name_score)
    margin = _MARGIN + _WEIGHT_BETTER_NAME * better_name
    if best.is_open_question and rival.is_open_question:
        margin = max(margin, _QUESTION_MARGIN)
    if _are_siblings(best, rival):
        margin = _SIBLING_MARGIN
    if _sheet(best.path) != _sheet(rival.path):
        margin = _SHEET_MARGIN
    return best.score - rival.score >= margin


def _are_siblings(one: Candidate, other: Candidate) -> bool:
    """Return whether two fields are called parts of a review, such as "positive review" and "negative review"."""
    words, others = (frozenset(name_words(_last_part(candidate.path))) for candidate in (one, other))
    if any(words & these and others & those for these, those in _OPPOSITES):
        return True
    heads = [name_words(_last_part(candidate.path))[-1:] for candidate in (one, other)]
    are_reviews = min(one.name_score, other.name_score) >= _TELLING_NAME_SCORE and bool(heads[0])
    return (
        are_reviews
        and heads[0] == heads[1]
        and word_weight(heads[0][0]) >= _TELLING_NAME_SCORE
        and _last_part(one.path) != _last_part(other.path)
    )


def _last_part(path: str) -> str:
    return _PATH_SEPARATOR.split(path)[-1]


def _list(path: str) -> str:
    """Return the list in the path of a field of nested records."""
    return path.rpartition("[]")[0]


def _sheet(path: str) -> str:
    """Return the name of the sheet in the path of a workbook's column."""
    return path.rpartition("!")[0]


def eligible_candidates(sample: FieldSample) -> list[Candidate]:
    """Return the candidates that would be chosen if there were no better ones, the best first."""
    return [candidate for candidate in sample.candidates() if _is_eligible(candidate)]


def _is_eligible(candidate: Candidate) -> bool:
    is_question = len(name_words(_last_part(candidate.path))) >= _WORDS_OF_A_QUESTION
    is_telling = candidate.name_score >= _TELLING_NAME_SCORE and not is_question
    least = _MIN_NAMED_SCORE if is_telling else _MIN_SCORE
    is_excluded = candidate.is_poll or candidate.name_score <= _EXCLUDING_NAME_SCORE
    return not is_excluded and candidate.score >= least


def _is_poll(values: _Values, name_score: float) -> bool:
    """Return whether the texts are questions, or the options of one.

    Reviews may be a few words that are repeated, but then their name says so.
    """
    if values.texts >= _ROWS_FOR_OPINIONS and values.questions >= _QUESTION_SHARE * values.texts:
        return True
    is_text = name_score >= _TEXT_NAME_SCORE and len(values.distinct) > _MAX_OPTIONS
    is_review = (is_text or name_score >= _TELLING_NAME_SCORE) and len(
        name_words(values.name)
    ) < _WORDS_OF_A_QUESTION
    return values.is_choice and not is_review


def _repeats_choices(values: _Values, choices: Sequence[_Values]) -> bool:
    """Return whether most texts are those of a few that another field repeats, such as what testers type."""
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


@lru_cache(maxsize=10_000)
def word_weight(word: str) -> float:
    """Return the weight of a word of a name. The last part of a compound such as "kundenname" decides."""
    first = max(_MIN_COMPOUND_PART, len(word) - _MAX_COMPOUND_PART)
    ends = (word[start:] for start in range(first, len(word) - _MIN_COMPOUND_PART + 1))
    return next((NAME_WEIGHTS[part] for part in (word, *ends) if part in NAME_WEIGHTS), 0.0)


def name_score(name: str) -> float:
    """Return how much a field's name suggests that it contains reviews.

    The last part of a path such as `data.reviews[].text` is the name, and the parts before it describe it.
    """
    parts = [part for part in _PATH_SEPARATOR.split(name) if part] if " " not in name.strip() else [name]
    words = name_words(parts[-1]) if parts else []
    if any(word_weight(word) >= _TELLING_NAME_SCORE for part in parts[-2:] for word in name_words(part)):
        words = [word for word in words if word not in _DESCRIPTIONS]  # which is the review itself
    context = [word for part in parts[:-1] for word in name_words(part)]
    if parts and parts[-1] in _FILE_COMMENTS:
        return _MIN_NAME_SCORE
    # A reply is a reply, whatever else its name says.
    all_words = {*context, *words}
    is_response = all_words & {"response", "responses"} and all_words & _RESPONDERS
    is_answer = all_words & _ANSWERS and all_words & _MERCHANTS
    is_note = all_words & _NOTES and all_words & _COMMENTATORS
    if all_words & _REPLY_WORDS or is_response or is_answer or is_note:
        return _REPLY_SCORE
    if {"accepted", "answer"} <= all_words:  # schema.org's answer to a frequent question
        return _REPLY_SCORE
    weights = [weight for word in words if (weight := word_weight(word))]
    outer = max((word_weight(word) for word in context), default=0.0) / 2
    if len(words) >= _WORDS_OF_A_QUESTION:
        score = _QUESTION_SCORE + sum(weight for weight in weights if weight > 0)
    elif weights:
        # "Review date" is a date, and so is "date of review".
        head = 0 if any(word in _PREPOSITIONS for word in words) else len(weights) - 1
        modifiers = weights[:head] + weights[head + 1 :]
        score = weights[head] + sum(w / 2 if w > 0 else w / 4 for w in modifiers) + outer
    else:
        score = outer
    if all_words & _TRANSLATION_WORDS:
        score += _TRANSLATION_SCORE
    score = min(_MAX_NAME_SCORE, score) + (_DERIVED_SCORE if all_words & _DERIVED_WORDS else 0.0)
    return max(_MIN_NAME_SCORE, score)


def is_reply(name: str) -> bool:
    """Return whether a name says that a field contains the answer to a review."""
    return any(word in _REPLY_WORDS for word in name_words(name))


def name_words(name: str) -> list[str]:
    """Return the words of a field's name, in lower case and without accents."""
    spaced = _CAMEL_CASE.sub(" ", name.replace("_", " "))
    words = [plain_word(word) for word in _NAME_WORD.findall(spaced)]
    if "".join(words) in NAME_WEIGHTS:  # such as two syllables in Vietnamese
        return ["".join(words)]
    return [part for word in words for part in (_UNSPACED_WORD.findall(word) or [word])]


def _is_title(name: str) -> bool:
    words = name_words(_PATH_SEPARATOR.split(name)[-1])
    others = [word for word in words if word not in _TITLE_WORDS]
    # The title of a product is not the title of a review.
    is_foreign = any(word_weight(word) <= _EXCLUDING_NAME_SCORE for word in others)
    return not is_foreign and any(word in _TITLE_WORDS for word in words[-1:] + words[:1])
