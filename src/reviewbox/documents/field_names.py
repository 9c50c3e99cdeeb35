"""Decides from the name of a field whether it may contain the review. Pure functions."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from reviewbox.documents.value_kinds import UNSPACED
from reviewbox.documents.vocabulary import (
    DESCRIPTIONS,
    FUNCTION_WORDS,
    NAME_WEIGHTS,
    REPLY_WORDS,
    TITLE_WORDS,
    plain_word,
)

# If its name says that a field contains reviews, they may be a few words that are often repeated.
TELLING_NAME_SCORE = 2.5
# If it says that they are texts, these need fewer words of opinion.
TEXT_NAME_SCORE = 1.0
KNOWN_LANGUAGE_SHARE = 0.2  # of function words among all words
# A name of at most this score says that the field is something else, whatever its values look like.
EXCLUDING_NAME_SCORE = -2.0

# --- names -----------------------------------------------------------------------------------------------

# What each word of a field's name adds. Words are lower case and without accents. The total is limited to
# between MIN_NAME_SCORE and MAX_NAME_SCORE.
MIN_NAME_SCORE, MAX_NAME_SCORE = -6.0, 3.0
_REPLY_SCORE = -4.0
# A translation is classified only if the export does not have the original.
_TRANSLATION_WORDS = frozenset("translated translation".split())
_TRANSLATION_SCORE = -2.0
# So is a form of the text that was made for a program.
DERIVED_WORDS = frozenset(
    "clean cleaned processed preprocessed normalized normalised tokenized lemmatized lemmatised lemmas stemmed "
    "tokens stopwords preprocessing cleaning".split()
)
_DERIVED_SCORE = -1.5
# A name that ends with one of these is that of a text in this language.
_LANGUAGES = frozenset(
    "en eng english de deu ger german deutsch fr fra fre french es spa spanish it ita italian pt por portuguese br nl "
    "nld dut dutch pl pol polish cs cz ces sk da dk sv se nb nor fi hu hun ro ru rus russian uk ua ukr bg el gr tr tur "
    "turkish ar ara arabic he fa hi hindi bn ta th vi ind ms ja jp jpn japanese ko kr kor korean zh cn tw chi chinese "
    "et lv lt sr hr sl sq ka kk uz az ca eu".split()
)
# With one of these words, a response is what the merchant wrote.
_RESPONDERS = frozenset(
    "owner company business client host hotel property manager management staff shop store our your agent support "
    "team brand".split()
)
# So is an answer of one of these.
FOREIGN_ANSWERS = frozenset(
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
# Tickets have one, as e-mails do.
SUBJECT_WORDS = frozenset(
    "subject betreff asunto assunto objet oggetto onderwerp temat konu тема 件名".split()
)
_PREPOSITIONS = frozenset(
    "of for on about de du des sur del sobre della di da sul sulla alla do dos das der von zum zur uber van "
    "od".split()
)
# JSON has no comments, so authors of files write them under these names.
_FILE_COMMENTS = frozenset(("_comment", "_comments", "$comment", "__comment", "__comment__"))
# The description of one of these is what a customer wrote.
_REPORTS = frozenset("ticket tickets issue issues problem problems incident case request".split())
_WORDS_OF_A_QUESTION = 5
_MIN_COMPOUND_PART = 4  # letters: "update" is not a date
_MAX_COMPOUND_PART = 20
_QUESTION_SCORE = 0.5
# The start of questions about the answer to the one before.
_FOLLOW_UP = re.compile(
    r"(?:if|wenn|falls|si|se|caso|als|indien|jesli|jezeli|eger|jika|если) "
    r"(?:\w+ ){0,5}(?:yes|no|ja|nein|oui|non|si|nao|sim|nee|tak|nie|evet|hayir|ya|tidak|да|нет)\b"
    r"|(?:why|explain|warum|pourquoi|por que|porque|perche) .*\b(?:answer|antwort|reponse|respuesta|resposta|risposta)\b"
)
# Questions of a form in which people sign up for something.
_SIGNING_UP = re.compile(
    r"\b(?:want|would like|d like|mocht\w+|will\w*|souhait\w+|veux|voulez|quier\w*|quer\w*|vuo\w+|vorre\w+|wil\w*|chc\w+) "
    r"(?:\w+ ){0,3}?(?:receive|join|participate|take part|attend|volunteer|apply|teilnehmen|mitmachen|participer|participar"
    r"|partecipare|deelnemen|meedoen|uczestniczyc|recevoir|recibir|receber|ricevere)\b"
)
# The start of questions whose answer is a number or a frequency.
_HOW_OFTEN = re.compile(
    r"\b(?:how (?:often|many|long)|wie (?:oft|haufig|viele|lange)|(?:con|com|a|avec) (?:que|che|quelle) fre[cq]\w+|hoe vaak"
    r"|combien de|cuant[oa]s|quant[oae]s?|ne siklikla|seberapa sering|berapa|jak czesto|как часто|сколько)\b"
)
_UNSPACED_WORD = re.compile("|".join(sorted(filter(UNSPACED.match, NAME_WEIGHTS), key=len, reverse=True)))
_PATH_SEPARATOR = re.compile(r"[.\[\]/*]+")
# Signs that belong to the letter before them in Indian and Thai scripts are not letters themselves.
_NAME_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u0dff\u0e31-\u0e4e])+")
_WORD_OR_NUMBER = re.compile(r"[^\W_]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_question(name: str) -> bool:
    """Return whether a name is long enough for a question, and not a path such as `data.shop.product.review.text`."""
    is_path = " " not in name.strip() and _PATH_SEPARATOR.search(name)
    # R writes dots for the spaces of a question.
    return is_question_in_known_language(name) or (
        len(name_words(name)) >= _WORDS_OF_A_QUESTION and not is_path
    )


def is_question_in_known_language(name: str) -> bool:
    """Return whether a name is a question in one of the languages whose function words are known."""
    words = name_words(name)
    known = sum(word in FUNCTION_WORDS for word in words)
    return len(words) >= _WORDS_OF_A_QUESTION and known >= KNOWN_LANGUAGE_SHARE * len(words)


def path_parts(path: str) -> list[str]:
    """Return the names in the path of a field, from the outermost to the field's own."""
    return _PATH_SEPARATOR.split(path)


def last_part(path: str) -> str:
    """Return the last name in the path of a field."""
    return path_parts(path.rstrip(". "))[-1]  # an abbreviation ends with a dot


def split_language(path: str) -> tuple[str, str]:
    """Return a field's path without the language of its texts, and this language; "" if there is none."""
    parts = _PATH_SEPARATOR.split(path)
    *words, end = _WORD_OR_NUMBER.findall(_CAMEL_CASE.sub(" ", parts[-1])) or [""]
    if words and end.lower() in _LANGUAGES:
        return ".".join([*parts[:-1], " ".join(words)]), end.lower()
    for index, part in enumerate(parts[:-1]):
        if is_language(part):
            return ".".join(parts[:index] + parts[index + 1 :]), part.lower()
    return ".".join([*parts[:-1], " ".join([*words, end])]), ""


def is_language(key: str) -> bool:
    """Return whether a key is a language, such as "en" or "pt-BR"."""
    return re.split("[-_]", key.lower())[0] in _LANGUAGES


def list_in(path: str) -> str:
    """Return the list in the path of a field of nested records, or the sheet of a column."""
    return path.rpartition("[]")[0] or sheet_in(path)


def sheet_in(path: str) -> str:
    """Return the name of the sheet in the path of a workbook's column."""
    return path.rpartition("!")[0]


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
    if parts and parts[-1] in _FILE_COMMENTS:
        return MIN_NAME_SCORE
    words = name_words(parts[-1]) if parts else []
    context = [word for part in parts[:-1] for word in name_words(part)]
    all_words = {*context, *words}
    if _is_by_merchant(all_words):
        return _REPLY_SCORE
    described = {*words} - DESCRIPTIONS - FUNCTION_WORDS
    if described and described <= _REPORTS and not DESCRIPTIONS.isdisjoint(words):
        return TEXT_NAME_SCORE
    if any(word_weight(word) >= TELLING_NAME_SCORE for part in parts[-2:] for word in name_words(part)):
        # Which is the review itself. Without accents, the French word for a summary is a CV.
        words = [word for word in words if word not in DESCRIPTIONS and word != "resume"]
    elif not DESCRIPTIONS.isdisjoint(words):  # and its text is still one
        words = [word for word in words if not 0 < word_weight(word) < TELLING_NAME_SCORE]
    outer = max((word_weight(word) for word in context), default=0.0) / 2
    score = _score_of_words(words, outer)
    if all_words & _TRANSLATION_WORDS:
        score += _TRANSLATION_SCORE
    score = min(MAX_NAME_SCORE, score) + (_DERIVED_SCORE if all_words & DERIVED_WORDS else 0.0)
    return max(MIN_NAME_SCORE, score)


def _is_by_merchant(words: AbstractSet[str]) -> bool:
    """Return whether the words of a name say that it is what a merchant answers, whatever else they say."""
    return bool(
        words & REPLY_WORDS
        or (words & {"response", "responses"} and words & _RESPONDERS)
        or (words & FOREIGN_ANSWERS and words & _MERCHANTS)
        or (words & _NOTES and words & _COMMENTATORS)
        or {"accepted", "answer"} <= words  # schema.org's answer to a frequent question
    )


def _score_of_words(words: Sequence[str], outer: float) -> float:
    """Return the score of the words of a name; `outer` is that of what the field is in."""
    weights = [weight for word in words if (weight := word_weight(word))]
    question, is_long = " ".join(words), len(words) >= _WORDS_OF_A_QUESTION
    if (is_long and _HOW_OFTEN.search(question)) or _SIGNING_UP.search(question):
        return EXCLUDING_NAME_SCORE
    if is_long and _FOLLOW_UP.match(question):
        return _QUESTION_SCORE
    if is_long and not _is_list_of_words(words):
        return _QUESTION_SCORE + sum(weight for weight in weights if weight > 0)
    if not weights:
        return outer
    # "Review date" is a date, and so is "date of review".
    head = 0 if any(word in _PREPOSITIONS for word in words) else len(weights) - 1
    modifiers = weights[:head] + weights[head + 1 :]
    return weights[head] + sum(w / 2 if w > 0 else w / 4 for w in modifiers) + outer


def _is_list_of_words(words: Sequence[str]) -> bool:
    """Return whether a long name is not a question: it has a description and no word that connects others."""
    return not DESCRIPTIONS.isdisjoint(words) and FUNCTION_WORDS.isdisjoint(words)


def is_reply(name: str) -> bool:
    """Return whether a name says that a field contains the answer to a review."""
    return any(word in REPLY_WORDS for word in name_words(name))


def name_words(name: str) -> list[str]:
    """Return the words of a field's name, in lower case and without accents."""
    spaced = _CAMEL_CASE.sub(" ", name.replace("_", " "))
    words = [plain_word(word) for word in _NAME_WORD.findall(spaced)]
    if "".join(words) in NAME_WEIGHTS:  # such as two syllables in Vietnamese
        return ["".join(words)]
    return [part for word in words for part in (_UNSPACED_WORD.findall(word) or [word])]


@lru_cache(maxsize=1000)
def spaced_words(name: str) -> str:
    """Return the words of a field's name with a space before and after each."""
    return f" {' '.join(name_words(name))} "


def is_title_name(name: str) -> bool:
    """Return whether a field is called the title or the summary of a review."""
    words = name_words(_PATH_SEPARATOR.split(name)[-1])
    # The title of a product is not the title of a review.
    others = [word for word in words if word not in TITLE_WORDS]
    is_foreign = any(word_weight(word) <= EXCLUDING_NAME_SCORE for word in others)
    return not is_foreign and any(word in TITLE_WORDS for word in words[-1:] + words[:1])
