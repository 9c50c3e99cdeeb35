"""Counts what the values of a field look like, and decides whether they may be reviews."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from math import log2

from reviewbox.documents.field_names import (
    KNOWN_LANGUAGE_SHARE,
    TELLING_NAME_SCORE,
    TEXT_NAME_SCORE,
    is_question,
    is_question_in_known_language,
    name_words,
    spaced_words,
)
from reviewbox.documents.value_kinds import MISSING, UNSPACED, kind_of
from reviewbox.documents.vocabulary import FUNCTION_WORDS, OPINION_WORDS, plain_word
from reviewbox.wording import number_of

_MAX_VALUE_LENGTH = 500  # characters of a value that are looked at
_MAX_VALUES = 300  # of a field that are looked at

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
_UNREPEATED_SHARE = 2 / 3  # of distinct texts
_ROWS_FOR_REPETITION = 8  # in fewer rows, repetition means nothing
_ROWS_FOR_VARIETY = 3
_MIN_TEMPLATE_WORDS = 5
# Texts are filled-in forms if at least this share of their words, and at least this many of them, recur in nearly
# all texts.
_BOILERPLATE_SHARE = 0.4
_BOILERPLATE_WORDS = 4
_NEARLY_ALL = 0.9
_GROUPED_SHARE = 0.8  # of distinct texts
_CHANGES_OF_GROUPS = 1.1  # for each distinct text
_WEIGHT_OTHER_KINDS = -4.0  # times the share of values that are not text
_WEIGHT_MARKUP = -2.0  # times the share of values that are HTML fragments
_WEIGHT_EMPTY = -2.0  # times the share of records in which the field is empty or absent: replies are rare
_WEIGHT_REPLIES = -5.0  # times the share of values that thank or console a customer
MIN_TEXT_SHARE = 0.5  # of the values that are present
_MIN_OPEN_WORDS = 4  # on average
# Texts sound like reviews if this share of them contains a word of opinion. Longer texts need a larger share: that
# which would contain one if words of opinion were this frequent. Half of the share is enough under names that say that
# the field contains texts, such as "text" and "answer". Names that say something else need twice the share.
_MIN_OPINIONS = 0.2
_OPINIONS_PER_WORD = 0.012
_OPINIONS_OF_PHRASES = 0.5  # if none of the texts is a sentence, and they have no name
_ROWS_FOR_OPINIONS = 5
_ROWS_WITHOUT_OPINIONS = 30  # this many texts without a word of opinion are not reviews, whatever their name
# Of function words. A language whose words of opinion are not known, such as Hungarian, shares some with others.
_SURE_LANGUAGE_SHARE = 0.3
_MAX_MARKUP_SHARE = 0.1  # of texts without a name, which may be news of a site
_MIN_NAMELESS_WORDS = 1.5  # on average
# Texts in at least this many rows are the options of a question if at most this share of them is distinct.
_ROWS_FOR_CHOICE = 20
_CHOICE_SHARE = 0.15
_MAX_OPTIONS = 20  # of a question; more texts under a name such as "text" are repeated, but not chosen
_OPTIONS_SHARE = 0.9  # of the texts; others are what "other" stands for
_MIN_STATEMENTS = 10  # that are repeated as often as each other, as in statistics
_MAX_WORDS_OF_NAMES = 3  # on average
_MAX_CHOICE_WORDS = 12  # on average; longer ones are texts that were generated or exported twice
_QUESTION_SHARE = 0.6
_QUESTION_NAMES = frozenset(
    "question frage pregunta domanda pergunta vraag pytanie otazka fraga soru pertanyaan вопрос питання 问题 問題 "
    "質問 질문".split()
)
_RESPONDENTS = frozenset("respondents befragte repondants encuestados signature signatures".split())
_PUBLISHED_WORDS = frozenset("article articles faq faqs macro macros".split())

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE = re.compile(r"[.!?…。！？](?:\s|$)|,\s")
_OPTION_SEPARATOR = re.compile("[,;|┋]")
_QUESTION_END = re.compile(r"[?？](?:\s*[(\[][^?？]*[)\]])?$")
_SENTENCE_END = re.compile(r"[.!。！]\s")
# How a merchant addresses a customer.
_REPLY = re.compile(
    r"\b(?:thank you (?:so much )?for (?:your|the|taking|choosing|letting|sharing)|(?:we are|we're|we’re) (?:so |very |truly )?"
    r"(?:sorry|glad|happy|pleased|delighted) (?:to hear|about|that you|for (?:the|your|any)|you)|so sorry to hear|we (?:deeply |sincerely |do )?apologi[sz]e|we are (?:very |so |deeply |truly )?sorry|our apologies"
    r"|please (?:accept our|contact us|reach out|get in touch|write to us|email us)|(?:contact|email|write to) us at"
    r"|we (?:appreciate|value) your|look forward to (?:welcoming|serving|seeing you)"
    r"|vielen dank für (?:ihr|die|deine)|tut uns (?:sehr )?leid|merci pour votre|nous sommes désolés|gracias por su)",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"</?(?:a\s|div|p|ul|ol|li|table|tr|td|span|h[1-6]|section|article|img|html|body|em|mark)\b",
    re.IGNORECASE,
)
# What programs write into their messages: settings, paths, calls, names of errors, template variables, and
# addresses. Each pattern has a sign that is looked for first, because that takes a quarter of the time.
_TECHNICAL = tuple(
    (sign, re.compile(pattern))
    for sign, pattern in (
        ("=", r"\w=[\w\"'{\[]"),
        ("/", r"(?:^|\s)(?:/[\w.-]+){2,}"),
        ("()", r"\w\(\)"),
        ("Error", r"\b[A-Za-z]+Error\b"),
        ("Exception", r"\b[A-Za-z]+Exception\b"),
        ("HTTP", r"\bHTTP[/ ]?\d"),
        ("{", r"\{ ?[A-Za-z_][\w.]{0,40} ?\}"),
        ("%", r"%\w{1,40}%"),
        ("___", r"___"),
        ("::1", r"::1\b"),
        (".", r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
        ("", r"\b[0-9a-f]{16,}\b"),
    )
)
# None of the patterns matches without one of these, which prose hardly ever contains.
_TECHNICAL_SIGN = re.compile(r"[\d=/({%_]|Error|Exception")
_FROM_STAFF = re.compile(
    r"^\W{0,3}(?:agent|support|bot|assistant|representative|advisor|ai)\b.{0,30}?:",
    re.IGNORECASE | re.MULTILINE,
)
_FROM_CUSTOMER = re.compile(
    r"^\W{0,3}(?:customer|user|client|caller|guest|visitor|human)\b.{0,30}?:", re.IGNORECASE | re.MULTILINE
)
# How people introduce themselves.
_INTRODUCTION = re.compile(
    r"\W{0,3}(?:(?:hi|hello|hey|hola|hallo|bonjour|ciao|olá|привет)\b[\s,.!]*)?"
    r"(?:my name is|(?:i am|i[’']m) (?:(?:currently|now|just) )?(?:an?|the|in|from|studying|working|pursuing)|ich (?:heiße|bin eine?)"
    r"|je (?:m[’']appelle|suis une?)|me llamo|(?:yo )?soy una?|mi chiamo|(?:io )?sono una?|meu nome|(?:eu )?sou uma?"
    r"|меня зовут)\b",
    re.IGNORECASE,
)
# How reports about what a customer said or did begin.
_ABOUT_CUSTOMER = re.compile(
    r"\W{0,3}(?:(?:the|this|an?) )?(?:user|customer|client|guest|patient|caller|reviewer)s? (?:is|are|was|were|has|have|had"
    r"|wants?|wanted|needs?|needed|reports?|reported|requests?|requested|complain\w*|finds?|found|asks?|asked|says?|said"
    r"|stat(?:es?|ed)|mention(?:s|ed)|express\w+|feels?|felt|describ\w+|experienc\w+|claims?|claimed|called|tried"
    r"|notic\w+|received|slipped|fell|dropped|appreciat\w+|suggest\w*|thinks?|believes?)\b"
    r"|(?:der kunde|die kundin|le client|la cliente|el cliente|o cliente|il cliente|клиент|пользователь) ",
    re.IGNORECASE,
)
_JOB_ADS = frozenset(
    "responsibilities qualifications requirements candidate candidates applicant applicants apply hiring recruiting "
    "bachelor degree vacancy proficiency proficient preferred aufgaben anforderungen kenntnisse berufserfahrung bewerbung "
    "bewerber profil candidat competences diplome recherchons requisitos candidato candidatos conocimientos experiencia "
    "buscamos vaga conhecimento conhecimentos formacao requisiti conoscenza laurea обязанности требования опыт".split()
)
_MIN_WORDS_OF_A_JOB_AD = 3
# Words that say that a text congratulates somebody, for instance a couple.
_WISHES = frozenset(
    "menempuh sakinah mawaddah samawa barakallah barakallahu congratulations congrats gluckwunsch gluckwunsche "
    "felicitations mutluluklar поздравляю поздравляем".split()
)
# Three different words of these say so, too.
_WORDS_OF_A_WISH = frozenset(
    "marriage happiness happily bless blessed blessing blessings forever lifetime eternal joy love wishing wish may".split()
)
_MIN_WORDS_OF_A_WISH = 3
_MIN_VERSES = 6
_MAX_WORDS_OF_A_VERSE = 9  # on average over the lines of a text
_END_OF_A_SENTENCE = (".", "!", "?", ":")
_HTTP_STATUS = re.compile(r"[1-5]\d\d")
_PLACEHOLDERS = frozenset(
    "lorem ipsum dolor amet consectetur consectetuer adipiscing elit vestibulum pellentesque curabitur mauris vivamus "
    "maecenas phasellus praesent aliquam aenean nullam suspendisse tellus ligula sapien nunc vulputate bibendum sodales "
    "lobortis posuere tincidunt venenatis malesuada fermentum vehicula porttitor".split()
)
_MIN_PLACEHOLDERS = 3  # words of a text
_TAG_OR_ENTITY = re.compile(r"<[^<>]*>|&#?\w{1,10};")
_WORDS_TO_COMPARE = 20
_NUMBERED = re.compile(r"\d{1,3}[.)]\s?[^\W\d]")


@dataclass(slots=True)
class FieldValues:
    """Counts over the first values of one field."""

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
    technical: int = 0  # texts with addresses, paths, names of errors or template variables
    dialogues: int = 0  # texts with the words of two sides
    introductions: int = 0  # texts in which people introduce themselves
    placeholders: int = 0  # texts in the Latin of typesetters
    about_customers: int = 0  # texts in which somebody else reports what a customer said or did
    job_ads: int = 0
    wishes: int = 0  # texts that congratulate somebody
    verses: int = 0  # texts in lines that are not sentences
    http_statuses: int = 0
    content_words: int = 0
    in_name: int = 0  # texts that the name contains, as the options of a question
    # How many texts have the words of the first one.
    first_words: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    distinct: Counter[int] = field(default_factory=Counter)  # how often there is each text, by its hash
    last: int = 0  # the hash of the last text
    changes: int = 0  # how often a text differs from the one before
    # Of texts, between commas, as several options are written.
    parts: int = 0
    distinct_parts: set[int] = field(default_factory=set)
    plain: set[int] = field(default_factory=set)  # the number and the letters of each text, without markup

    def add(self, value: str) -> None:
        """Count a value, unless enough have been counted."""
        if self.seen == _MAX_VALUES:
            return
        value = value[:_MAX_VALUE_LENGTH].strip()
        self.seen += 1
        if not value or value in MISSING:
            return
        self.present += 1
        kind = kind_of(value)
        self.kinds[kind] += 1
        if kind == "text":
            self._add_text(value)
        self.http_statuses += kind == "number" and bool(_HTTP_STATUS.fullmatch(value))

    def add_other(self, value: object) -> None:
        """Count a value that is not a string, unless enough have been counted."""
        if self.seen < _MAX_VALUES:
            self.seen += 1
            self.present += 1
            self.kinds["flag" if isinstance(value, bool) else "number"] += 1
            self.http_statuses += bool(_HTTP_STATUS.fullmatch(str(value)))

    def _add_text(self, value: str) -> None:
        words = _WORD.findall(value)
        count = max(1, len(words) + len(UNSPACED.findall(value)) // 2)
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
        # A request, for instance to support, says something before it asks.
        self.questions += bool(_QUESTION_END.search(value)) and not _SENTENCE_END.search(value)
        self.numbered += bool(_NUMBERED.match(value))
        self.replies += bool(_REPLY.search(value))
        self.markup += bool(_MARKUP.search(value))
        self.technical += bool(_TECHNICAL_SIGN.search(value)) and _is_technical(value)
        self.dialogues += bool(_FROM_STAFF.search(value) and _FROM_CUSTOMER.search(value))
        self.introductions += bool(_INTRODUCTION.match(value))
        self.placeholders += len(_PLACEHOLDERS.intersection(plain_words)) >= _MIN_PLACEHOLDERS
        self.about_customers += bool(_ABOUT_CUSTOMER.match(value))
        self.job_ads += len(_JOB_ADS.intersection(plain_words)) >= _MIN_WORDS_OF_A_JOB_AD
        self.wishes += _is_wish(plain_words)
        self.verses += value.count("\n") >= _MIN_VERSES - 1 and _is_verse(value)
        if len(words) > 1:
            self.multi_word += 1
            self.titles += all(word[0].isupper() for word in words if plain_word(word) not in FUNCTION_WORDS)
        digest = hash(value)
        self.changes += digest != self.last
        self.last = digest
        self.distinct[digest] += 1
        self.in_name += f" {' '.join(plain_words)} " in spaced_words(self.name)
        parts = [part.strip() for part in _OPTION_SEPARATOR.split(value)]
        self.parts += len(parts)
        self.distinct_parts.update(map(hash, parts))
        # Cleaning a text removes punctuation, apostrophes and upper case.
        plain = _WORD.findall(_TAG_OR_ENTITY.sub(" ", unescape(value)))[:_WORDS_TO_COMPARE]
        letters = "".join(filter(str.isalpha, "".join(plain).casefold()))
        self.plain.add(hash((self.texts, letters)))

    @property
    def is_text(self) -> bool:
        """Whether enough of the values are texts."""
        return self.texts > 0 and self.texts >= MIN_TEXT_SHARE * self.present

    @property
    def is_varied(self) -> bool:
        """Whether the texts differ. Otherwise, they do not belong to the reviews."""
        return self.texts < _ROWS_FOR_VARIETY or len(self.distinct) > 1

    @property
    def is_unrepeated(self) -> bool:
        """Whether nearly every row has a text of its own."""
        return self.is_varied and (
            self.texts < _ROWS_FOR_REPETITION or len(self.distinct) > _UNREPEATED_SHARE * self.texts
        )

    def may_be_titles(self, reviews: int) -> bool:
        """Return whether the texts may be titles of this number of distinct reviews.

        Names of what is reviewed are repeated and judge nothing.
        """
        do_judge = self.opinions > MIN_TEXT_SHARE * self.texts and not self.is_grouped
        is_of_each = len(self.distinct) >= reviews
        return self.is_varied and (self.is_unrepeated or do_judge or is_of_each)

    @property
    def is_template(self) -> bool:
        """Whether all rows contain the same sentence, such as a statement that respondents agree to."""
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
    def is_list_of_names(self) -> bool:
        """Whether the texts are a few words each, often repeated and never a sentence, as names of products are."""
        is_repeated = len(self.distinct) < _USUAL_DISTINCT_SHARE * self.texts
        is_short = not self.sentences and self.words < _MAX_WORDS_OF_NAMES * self.texts
        return self.texts >= _ROWS_FOR_CHOICE and is_repeated and is_short

    @property
    def has_many_texts(self) -> bool:
        """Whether more texts make up most of the rows than a question has options."""
        common = (count for _, count in self.distinct.most_common(_MAX_OPTIONS))
        return sum(common) < _OPTIONS_SHARE * self.texts

    @property
    def is_statistics(self) -> bool:
        """Whether each text has the same number of rows in succession, one for each measure of a statement."""
        *counts, _ = self.distinct.values()  # the rows of the last one may not all be here
        are_grouped = self.changes == len(self.distinct) >= _MIN_STATEMENTS
        return are_grouped and min(counts) == max(counts) > 1

    @property
    def is_grouped(self) -> bool:
        """Whether each text is repeated in successive rows, which are about it."""
        is_repeated = len(self.distinct) <= _GROUPED_SHARE * self.texts
        is_in_succession = 1 < self.changes <= _CHANGES_OF_GROUPS * len(self.distinct)
        return self.texts >= _ROWS_FOR_REPETITION and is_repeated and is_in_succession

    @property
    def is_open_question(self) -> bool:
        """Whether the name is long enough for a question, and the texts are long enough for answers in prose."""
        return is_question(self.name) and self.words >= _MIN_OPEN_WORDS * self.texts

    @property
    def judges_nothing(self) -> bool:
        """Whether no text has a word of opinion, although there are many in a known language, or programs wrote some."""
        is_technical = self.texts >= _ROWS_FOR_VARIETY and self.technical > MIN_TEXT_SHARE * self.texts
        is_known_language = self.function_words >= _SURE_LANGUAGE_SHARE * self.words
        is_prose = is_known_language and self.words >= _MIN_OPEN_WORDS * self.texts
        return not self.opinions and (is_technical or (is_prose and self.texts >= _ROWS_WITHOUT_OPINIONS))

    def sounds_like_reviews(self, name_score: float) -> bool:
        """Return whether enough texts describe an experience or judge something."""
        if name_score >= TELLING_NAME_SCORE:
            return not self.judges_nothing and self.wishes <= MIN_TEXT_SHARE * self.texts
        is_nameless = not name_words(self.name)
        of_others = (
            self.technical,
            self.dialogues,
            self.introductions,
            self.placeholders,
            self.about_customers,
            self.job_ads,
            self.wishes,
            self.verses,
        )
        if max(of_others) > MIN_TEXT_SHARE * self.texts:
            return False
        is_boilerplate = self.is_boilerplate
        is_repeated = is_boilerplate or not self.is_varied
        # The same answer to a question in every row, such as a consent, is not a review.
        says_text = name_score >= TEXT_NAME_SCORE and not (is_repeated and is_question(self.name))
        if (says_text or is_nameless) and self.texts < _ROWS_FOR_OPINIONS and not is_repeated:
            return True
        chance = 1 - (1 - _OPINIONS_PER_WORD) ** (self.words / self.texts)
        least = max(_MIN_OPINIONS, chance) * (0.5 if says_text else 1 if name_score >= 0 else 2)
        if is_nameless and not self.sentences:
            least = max(least, _OPINIONS_OF_PHRASES)
        if self.opinions >= least * self.texts and (says_text or not is_repeated):
            return True
        # In other languages, opinions are not recognized, and only the name is left. Without a name, one word is too few.
        # Answers may be single words, but they are in the language of the question.
        is_known_language = self.function_words >= KNOWN_LANGUAGE_SHARE * self.words or (
            is_question_in_known_language(self.name)
        )
        is_list_of_words = self.words < _MIN_NAMELESS_WORDS * self.texts
        is_page = self.markup > _MAX_MARKUP_SHARE * self.texts
        is_list = is_list_of_words or is_page or self.titles > MIN_TEXT_SHARE * self.multi_word
        is_guess = not is_known_language and not is_repeated and not self.is_list_of_names
        return is_guess and (says_text or (is_nameless and not is_list))

    def score(self, records: int) -> float:
        """Return how much the values look like reviews, as a field of this many records; see ADR 12."""
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
        score += _WEIGHT_EMPTY * max(0.0, 1 - self.present / max(1, records))
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


def _is_technical(value: str) -> bool:
    return any(sign in value and pattern.search(value) for sign, pattern in _TECHNICAL)


def _is_wish(words: Sequence[str]) -> bool:
    return not _WISHES.isdisjoint(words) or len(_WORDS_OF_A_WISH.intersection(words)) >= _MIN_WORDS_OF_A_WISH


def _is_verse(value: str) -> bool:
    """Return whether the lines of a text are short, and mostly neither sentences nor list items, as in songs."""
    lines = [line for part in value.split("\n") if (line := part.strip())]
    if len(lines) < _MIN_VERSES:
        return False
    verses = sum(line[0].isalpha() and not line.endswith(_END_OF_A_SENTENCE) for line in lines)
    return verses > len(lines) / 2 and len(value.split()) <= _MAX_WORDS_OF_A_VERSE * len(lines)


def says_published(values: FieldValues) -> bool:
    """Return whether a field says that the records are others' texts: frequent questions, or statements with counts."""
    words = name_words(values.name)
    # Without a name, a few questions may be reviews.
    is_nameless = not words and values.texts >= _ROWS_FOR_OPINIONS
    is_called_question = len(words) == 1 and words[0] in _QUESTION_NAMES
    is_faq = (is_called_question or is_nameless) and values.questions > MIN_TEXT_SHARE * values.texts
    has_respondents = bool(_RESPONDENTS.intersection(words)) or {"number", "responses"} <= {*words}
    return (
        (has_respondents and values.kinds["number"] > MIN_TEXT_SHARE * values.present)
        or bool(_PUBLISHED_WORDS.intersection(words))
        or (is_faq and values.is_varied and not values.is_choice)
    )


def are_options(values: FieldValues, name_score: float) -> bool:
    """Return whether the texts are questions, or the options of one.

    Reviews may be a few words that are repeated, but then their name says so.
    """
    if values.texts >= _ROWS_FOR_OPINIONS and values.questions >= _QUESTION_SHARE * values.texts:
        return True
    # A column of several questions without a name belongs to a table whose rows are columns.
    if not name_words(values.name) and values.questions >= max(2, MIN_TEXT_SHARE * values.texts):
        return True
    if name_score >= TELLING_NAME_SCORE and not is_question(values.name):
        return False
    is_text = name_score >= TEXT_NAME_SCORE and not is_question(values.name)
    if values.is_choice and not (is_text and values.has_many_texts):
        return True
    is_consent = values.is_template and not is_text
    return is_consent or values.is_statistics or values.in_name > MIN_TEXT_SHARE * values.texts
