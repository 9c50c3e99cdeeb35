import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.documents import ReadOptions
from reviewbox.documents.field_names import name_score
from reviewbox.documents.review_field import FieldSample, ReviewField, select_review_field
from reviewbox.errors import ErrorCode, SourceError

REVIEWS = (
    "The room was lovely and quiet, and we slept very well.",
    "Never again: the shower was cold and nobody cared.",
    "Good value for the money.",
    "My parcel arrived broken, and I am still waiting for an answer.",
    "It does what it should. No complaints!",
    "Breakfast could be better, but the staff were kind to us.",
    "Terrible.",
    "We would come back any time, thank you!",
)
SHORT_REVIEWS = ("Perfect", "Awful", "Great!", "ok", "Useless junk", "Love it", "meh", "Not worth it")
TITLES = (
    "Electric Glass Kettle With Blue Light 1.7 Litres",
    "Red Toaster With Two Wide Slots",
    "Espresso Machine With Milk Frother",
    "Folding Camping Chair With Cup Holder",
    "Wireless Mouse With Silent Keys",
    "Garden Hose 25 Metres With Spray Gun",
    "Desk Lamp With USB Port And Dimmer",
    "Cast Iron Pan 28 cm",
)
REPLIES = ("Thank you so much for your kind words, we are glad that you enjoyed your stay with us.",) * 8
# Columns that exports have besides the reviews.
OTHER_COLUMNS: Mapping[str, Sequence[str]] = {
    "review_id": [f"r-{number:04}-ab" for number in range(8)],
    "comments": ["3", "0", "12", "7", "1", "0", "2", "5"],
    "review_url": [f"https://shop.example/r/{number}" for number in range(8)],
    "review_date": [f"2026-01-{number + 1:02}" for number in range(8)],
    "status": ["published"] * 8,
    "product_title": TITLES,
    "reply_text": REPLIES,
    "reviewer_name": ["Ann Lee", "Bob Ray", "Cy Fox", "Di Hay", "Ed Moss", "Flo Orr", "Gus Pay", "Hal Roe"],
    "city": ["Leeds", "York", "Bath", "Hull", "Bath", "York", "Leeds", "Hull"],
    "stars": ["5", "1", "4", "1", "3", "3", "1", "5"],
    "verified": ["true", "false"] * 4,
    "email": [f"guest{number}@example.com" for number in range(8)],
    "content_type": ["video", "photo"] * 4,
    "sku": [f"KT-{number}00-X" for number in range(8)],
}
REVIEW_NAMES = (
    "review",
    "Customer Review",
    "comment_text",
    "feedback",
    "Bewertung",
    "avis",
    "reseña",
    "ulasan",
    "yorum",
)


def select(columns: Mapping[str, Sequence[str]], text_field: str = "") -> ReviewField:
    sample = FieldSample()
    for row in zip(*columns.values(), strict=True):
        for path, value in zip(columns, row, strict=True):
            sample.add(path, value)
    return select_review_field(sample, ReadOptions(text_field))


def refusal(columns: Mapping[str, Sequence[str]], text_field: str = "") -> str:
    with pytest.raises(SourceError) as raised:
        select(columns, text_field)
    assert raised.value.problem.code is ErrorCode.NO_TEXT_FIELD
    return raised.value.problem.message


@pytest.mark.parametrize("reviews", [REVIEWS, SHORT_REVIEWS], ids=["prose", "short"])
@pytest.mark.parametrize("name", REVIEW_NAMES)
def test_the_reviews_are_found_among_other_columns(name: str, reviews: Sequence[str]) -> None:
    assert select({**OTHER_COLUMNS, name: reviews}).paths == (name,)


@given(seed=st.integers(0, 10**6))
def test_order_other_columns_and_empty_rows_do_not_change_the_choice(seed: int) -> None:
    generator = random.Random(seed)  # noqa: S311 - not a secret
    name = generator.choice(REVIEW_NAMES)
    others = generator.sample(sorted(OTHER_COLUMNS), generator.randrange(len(OTHER_COLUMNS)))
    reviews = ["" if generator.random() < 0.1 else review for review in REVIEWS]
    columns = [(other, OTHER_COLUMNS[other]) for other in others] + [(name, reviews)]
    generator.shuffle(columns)

    assert select(dict(columns)).paths == (name,)


@pytest.mark.parametrize("name", ["Reason for score", "customer said", "q7", "what they wrote", "0", "notes"])
def test_prose_is_found_under_any_name(name: str) -> None:
    assert select({**OTHER_COLUMNS, name: REVIEWS}).paths == (name,)


# Words and texts could be reviews. Only their names tell.
WORDS = {"product_title", "reply_text", "reviewer_name", "city", "content_type"}


@pytest.mark.parametrize("column", sorted(OTHER_COLUMNS.keys() - WORDS))
def test_a_familiar_name_does_not_make_other_values_a_review(column: str) -> None:
    refusal({"review": OTHER_COLUMNS[column], "stars": OTHER_COLUMNS["stars"]})


def test_titles_and_replies_are_not_reviews() -> None:
    refusal({name: OTHER_COLUMNS[name] for name in ("product_title", "reply_text", "stars")})


@pytest.mark.parametrize(
    "name",
    [
        "Odpowiedź sprzedawcy",
        "Antwort des Inhabers",
        "Réponse du propriétaire",
        "Respuesta de la tienda",
        "Ответ продавца",
        "Satıcı cevabı",
        "Jawaban penjual",
    ],
)
def test_the_answer_of_the_merchant_is_not_a_review(name: str) -> None:
    """In two columns of equal prose, the name decides."""
    assert select({name: REVIEWS, "Antwort": REVIEWS[::-1]}).name == "Antwort"
    refusal({name: REVIEWS, "stars": ["5"] * len(REVIEWS)})


@pytest.mark.parametrize("name", ["review", "feedback", "text"])
def test_longer_notes_beside_the_reviews_are_not_chosen(name: str) -> None:
    columns = {
        name: [" ".join([review] * 3) for review in REVIEWS],
        "notes": [" ".join([review] * 9) for review in REVIEWS],
    }

    assert select(columns).name == name
    assert select({"notes": columns["notes"]}).name == "notes"


@pytest.mark.parametrize("name", ["review", "comment", "Bewertung"])
@pytest.mark.parametrize("notes", ["internal_memo", "resolution", "q7"])
def test_long_prose_is_not_chosen_over_short_answers_with_a_better_name(name: str, notes: str) -> None:
    """It may well be the review, so the file is refused instead."""
    message = refusal({name: SHORT_REVIEWS, notes: [" ".join([review] * 3) for review in REVIEWS]})

    assert repr(name) in message
    assert repr(notes) in message


def test_a_long_summary_beside_a_review_of_two_words_is_refused() -> None:
    """Some exports call the headline a review and the text a summary."""
    message = refusal({"Review": SHORT_REVIEWS, "Summary": REVIEWS})

    assert "'Review,Summary'" in message


def test_a_translation_is_chosen_only_without_the_original() -> None:
    assert select({"App": TITLES, "Translated_Review": REVIEWS}).name == "Translated_Review"
    assert select({"Translated_Review": REVIEWS, "Review": REVIEWS[::-1]}).name == "Review"


@pytest.mark.parametrize("name", ["review_fr", "reviewEn", "review (german)", "translations.pt-BR.review"])
def test_a_field_of_another_language_is_a_translation_of_the_field_without_one(name: str) -> None:
    """Only their names tell them apart: a translation is as long as the original."""
    original = name.replace(".pt-BR", "") if "." in name else "review"
    assert select({name: REVIEWS, original: [f"{text}!" for text in REVIEWS[::-1]]}).name == original


@pytest.mark.parametrize(
    "names",
    [
        ("text_en", "text_tr"),
        ("translations.en.text", "translations.tr.text"),
        ("feedback eng", "feedback hun"),
    ],
)
def test_the_same_text_in_two_languages_is_refused(names: Sequence[str]) -> None:
    """The one with the better prose may be the translation."""
    others = [" ".join(text.split()[:3]) for text in REVIEWS[::-1]]
    assert all(repr(name) in refusal({names[0]: REVIEWS, names[1]: others}) for name in names)


@pytest.mark.parametrize("name", ["clean_review", "cleaned_reviews", "review_processed", "tokens"])
def test_a_form_made_for_programs_is_chosen_only_without_the_original(name: str) -> None:
    """Its words differ, so that it is not recognized as a copy of the original."""
    cleaned = [f"short form of it {number}" for number, _ in enumerate(REVIEWS)]

    assert select({name: cleaned, "review": REVIEWS}).name == "review"
    if name != "tokens":
        assert select({name: REVIEWS}).name == name


def test_two_equally_good_fields_are_refused_with_a_remedy() -> None:
    message = refusal(
        {
            "What did you like?": REVIEWS,
            "What did you dislike?": REVIEWS[::-1],
            "id": REVIEWS[:0] or ["1"] * 8,
        }
    )

    assert "'What did you like?'" in message
    assert "'What did you dislike?'" in message
    assert "'What did you like?,What did you dislike?'" in message
    assert "texts of about" in message


def test_the_message_says_that_answers_repeat() -> None:
    """Otherwise a person wonders why texts of many words are refused."""
    message = refusal({"field_5": REVIEWS[:2] * 20, "store": ["Leeds", "York"] * 20})

    assert "'field_5' (the same few texts of about " in message
    assert "'store' (the same few texts of about 1 word)" in message


PLOTS = (
    "A retired surveyor walks the border of two villages and draws a map that neither of them accepts.",
    "Two sisters inherit a ferry, one of them sells it, and the other keeps sailing at night.",
    "The clock of a small town stops, and nobody can agree on the hour of the next train.",
    "An archivist finds a letter that was posted after the death of the man who wrote it.",
    "A baker trains for a race across the salt flats while the harvest rots in the fields.",
)


def test_prose_that_judges_nothing_is_refused_under_a_name_that_says_nothing() -> None:
    refusal({"year": ["1990", "1994", "2001", "2007", "2012"], "plot": PLOTS})


def test_no_worse_field_is_chosen_instead_of_prose_that_judges_nothing() -> None:
    message = refusal({"plot": PLOTS, "mark": ["very short", "well", "so so", "a good one", "nice"]})

    assert "'plot'" in message


@pytest.mark.parametrize(
    "names",
    [
        "Positive_Review,Negative_Review",
        "Food comments,Service comments",
        "positive,negative",
        "Vorteile,Nachteile",
        "достоинства,недостатки",
        "優點,缺點",
        "What do you like best?,And what do you dislike?",
    ],
)
def test_two_parts_of_a_review_are_refused_even_if_one_has_better_prose(names: str) -> None:
    praise = ["nice lobby", "good food", "friendly people", "great views here", "clean rooms"]
    blame = [
        "the lift was slow and it was loud",
        "nothing to say about this",
        "we had to wait for the key",
        "it was too hot in the room",
        "there is no bus at night",
    ]
    message = refusal(dict(zip(names.split(","), (praise, blame), strict=True)))

    assert all(repr(name) in message for name in names.split(","))


def test_the_options_of_a_question_are_not_reviews() -> None:
    answers = ["I would like a card for online payments", "I would like a card for the cash machine"]

    refusal({"Which card would you like to have from us?": answers * 20})


def test_answers_of_one_word_to_a_question_that_asks_for_no_review_are_refused() -> None:
    refusal({"How do you rate your role?": ["Cook", *["Cook", "Waiter", "Owner", "Guest", "Buyer"] * 6]})


def test_questions_are_not_reviews() -> None:
    questions = [
        f"How happy are you with {topic} in our team?" for topic in ("pay", "tools", "food", "hours", "room")
    ]

    refusal({"id": ["1", "2", "3", "4", "5"], "question_text": questions, "text": questions})


def test_complaints_that_end_in_a_request_are_not_questions() -> None:
    """The question of a questionnaire says nothing before it asks."""
    topics = (
        "printer",
        "badge",
        "laptop",
        "screen",
        "chair",
        "phone",
        "mouse",
        "door",
        "lamp",
        "desk",
        "lock",
    )
    texts = [f"The {topic} has been broken since Monday and I am annoyed. Can you help?" for topic in topics]

    assert select({"no": list(map(str, range(len(topics)))), "message": texts}).paths == ("message",)


def test_answers_to_frequent_questions_are_not_reviews() -> None:
    questions = ["How do I pay?", "Where is my parcel?", "Can I return it?", "Who repairs it?", "Is it new?"]
    answers = [
        f"You can find this in your account, and we are happy to help with {topic}." for topic in "abcde"
    ]

    refusal({"question": questions, "answer": answers})
    refusal({"1": questions, "2": answers})


@pytest.mark.parametrize(
    "values",
    [
        ["shop.example", "travel-agents.example", "my.hotel.example", "tours.example", "flights.example"],
        ["@ann @bob.ray", "@cy 👀", "@di @ed @flo", "@gus.pay", "@hal_roe 🔥"],
    ],
    ids=["hosts", "mentions"],
)
def test_what_links_to_something_is_not_a_review(values: Sequence[str]) -> None:
    refusal({"website": values})


@pytest.mark.parametrize("value", ["<Response [402]>", "<path d='M16 10a2 2 0 0 1-2'/><path d='M21 8h-2'/>"])
def test_what_consists_of_tags_is_not_a_review(value: str) -> None:
    """Programs write an object so if they have no text for it, and pages an icon."""
    refusal({"review": [value] * 8})


@pytest.mark.parametrize("name", ["desc", "opis", "beskrivning"])
def test_descriptions_are_not_reviews_in_other_languages(name: str) -> None:
    refusal({"title": TITLES, name: REVIEWS})


@pytest.mark.parametrize("name", ["הערות", "Отзиви", "atsauksmes", "Tagasiside", "depoimento"])
def test_short_reviews_in_other_languages_are_found_by_their_name(name: str) -> None:
    assert select({"q1": ["5", "4", "5"], name: ["מצוין", "отлично", "hea"]}).name == name


@pytest.mark.parametrize("name", ["レビュー本文", "Đánh giá", "Treść opinii", "Текст отзыва"])
def test_names_without_spaces_of_several_words_and_inflected_names_are_known(name: str) -> None:
    assert name_score(name) >= name_score("text of the review")


def test_a_refusal_never_quotes_a_value() -> None:
    message = refusal(
        {"a": ["zanzibar was lovely and we liked it"] * 3, "b": ["the zanzibar was awful, never again"] * 3}
    )

    assert "zanzibar" not in message


def test_the_receipt_says_what_was_chosen_and_what_was_next() -> None:
    field = select({"title": [f"Title {n} of it" for n in range(8)], "body": REVIEWS})

    notes = field.notes
    assert notes["text_field"] == "body"
    assert notes["text_field_by"] == "score"
    assert notes["runner_up"] == "title"
    assert isinstance(notes["text_field_score"], float)


@pytest.mark.parametrize(("text_field", "paths"), [("title", ("title",)), ("title,body", ("title", "body"))])
def test_the_setting_names_one_field_or_several(text_field: str, paths: tuple[str, ...]) -> None:
    field = select({"title": TITLES, "body": REVIEWS}, text_field)

    assert (field.paths, field.reason) == (paths, "setting")


def test_a_configured_field_that_does_not_exist_is_refused() -> None:
    message = refusal({"title": TITLES, "body": REVIEWS}, "text")

    assert "'text'" in message
    assert "'body'" in message


def test_the_title_of_a_review_is_known() -> None:
    assert select({"title": ["Good stay", "Bad stay"] * 4, "body": REVIEWS}).title == "title"
    assert select({"product_title": TITLES, "body": REVIEWS}).title == ""


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("review", "review_date"),
        ("avis", "date de l'avis"),
        ("reviews.text", "reviews.title"),
        ("data.reviews[].text", "data.reviews[].author.name"),
        ("Product Reviews", "Review Product"),
        ("comment", "reply to comment"),
        ("What could we do better?", "What is your name?"),
    ],
)
def test_the_head_of_a_name_decides(better: str, worse: str) -> None:
    assert name_score(better) > name_score(worse)


def test_a_list_of_words_without_a_name_is_not_reviews() -> None:
    """Such as a list of spellings in a language that is not known."""
    words = ["yang", "habis", "tolong", "maksimal", "beli", "jual", "gimana", "karena"]

    refusal({"1": words, "2": list(map(str, range(8)))})


@pytest.mark.parametrize("name", ["Complaints", "queja", "ประเด็นที่ร้องเรียน"])
def test_complaints_are_reviews(name: str) -> None:
    complaints = ["Noise from next door", "Parking", "Wait for repairs", "Damp walls", "Rain in the hall"]

    assert select({"flat": ["1a", "2b", "3c", "4d", "5e"], name: complaints}).name == name


def test_answers_of_two_words_to_a_question_of_fact_are_not_reviews() -> None:
    """They have too few words to tell their language, but the question has enough."""
    subjects = [
        "Computer Science",
        "Statistics",
        "Electrical Engineering",
        "Physics",
        "Business",
        "Geography",
    ]

    refusal({"What is the academic background that you have?": subjects, "years": list("123456")})


@pytest.mark.parametrize("cleaned", ["clean_review", "clean_feedback"])
def test_the_text_is_read_instead_of_the_one_that_was_cleaned_from_it(cleaned: str) -> None:
    """Cleaning takes away upper case, punctuation and apostrophes, and leaves the words."""
    reviews = [
        "Doesn't open on my phone!!",
        "It's GREAT, isn't it?",
        "Won't buy again...",
        "I like it 😀, so far",
    ]
    plain = ["doesnt open on my phone", "its great isnt it", "wont buy again", "i like it so far"]

    assert select({"content": reviews, "score": ["1", "5", "1", "4"], cleaned: plain}).name == "content"


def test_a_comment_with_the_answers_of_other_questions_is_a_scale() -> None:
    answers = ["always", "often", "sometimes", "never", "often"] * 8
    refusal({"STUDY_GROUP": answers[::-1], "COMMENT": answers})


def test_repeated_comments_are_reviews_if_no_other_field_has_the_same_answers() -> None:
    answers = ["very good", "friendly people", "too slow", "never again", "too slow"] * 8
    assert select({"id": [str(number) for number in range(40)], "COMMENT": answers}).name == "COMMENT"


def test_sentences_that_were_copied_from_a_few_others_are_not_reviews() -> None:
    """Such as those that testers type on a keyboard, with mistakes."""
    given = ["I like it", "This is fine", "It was very good", "Not for me"] * 10
    typed = [text if number % 3 else text.replace("i", f"{number}e") for number, text in enumerate(given)]

    refusal({"text": given, "user_text": typed})


@pytest.mark.parametrize("beside", ["reviewer_name", "complaint_id", "resolved"])
def test_a_description_beside_a_sign_of_a_review_is_a_review(beside: str) -> None:
    columns = {"title": TITLES, "description": REVIEWS, beside: OTHER_COLUMNS["reviewer_name"]}
    assert select(columns).name == "description"


@pytest.mark.parametrize("name", ["seller_name", "city"])
def test_a_description_without_a_reviewer_is_not_a_review(name: str) -> None:
    refusal({"title": TITLES, "description": REVIEWS, name: OTHER_COLUMNS["city"]})


def test_the_description_of_a_product_is_not_a_review_because_the_product_has_reviewers() -> None:
    refusal({"[].description": REVIEWS, "[].reviews[].reviewer_name": OTHER_COLUMNS["reviewer_name"]})


@pytest.mark.parametrize("name", ["content", "0"])
def test_the_lines_of_an_order_are_not_reviews(name: str) -> None:
    lines = ["1x Soup of the day - 4.50€", "2 x Fish and chips (large) 19,80 €", "1x Tea with milk - £2.10"]
    refusal({name: lines, "customer": ["Ann", "Bob", "Cy"]})


def test_a_field_that_is_called_value_may_be_a_review() -> None:
    """Scrapers that read one thing give it this name."""
    assert select({"value": REVIEWS}).name == "value"
    refusal({"value": TITLES})


def test_many_texts_that_are_repeated_are_reviews_and_not_options() -> None:
    """Some generated data sets consist of a few dozen sentences."""
    reviews = [f"I liked the {thing}" for thing in "abcdefghijklmnopqrstuvwxyz"]

    assert select({"Text": reviews * 10, "label": ["good", "bad"] * 130}).name == "Text"
    refusal({"Text": reviews[:5] * 10})


@pytest.mark.parametrize(
    ("sign", "values"),
    [
        ("category", ["Налог", "Право", "Налог"]),
        ("subtitle", ["", "Для всех", "Для фирм"]),
        ("photo", ["a.png", "b.png", ""]),
        ("permalink", ["/news/1/", "/news/2/", "/news/3/"]),
    ],
)
def test_notices_and_articles_are_not_reviews(sign: str, values: Sequence[str]) -> None:
    """They have a title and one of these, and nobody who wrote or rated them."""
    articles = {
        "title": ["Консультация", "Защита", "Учёт"],
        sign: values,
        "body": [
            "Налоги – обязательные платежи населения в бюджеты различных уровней.",
            "Грамотная защита позволяет добиться соблюдения нарушенных прав.",
            "Бухгалтерия фиксирует доходы и расходы компании, занимается оплатой налогов.",
        ],
    }
    refusal(articles)
    for author, beside in {"rating": ["5", "4", "1"], "Имя": ["Анна", "Олег", "Вера"]}.items():
        assert select({**articles, author: beside}).name == "body"


def test_the_sections_of_a_page_are_not_reviews_although_they_praise_what_they_sell() -> None:
    sections = {
        "title": ["The pool", "The bar", "The team", "The beach", "Rooms"],
        "subtitle": ["", "Every evening", "", "", ""],
        "text": [
            "The pool is open from morning to midnight, and it is heated in winter.",
            "Enjoy a drink at the bar by the pool, or on the roof of the hotel.",
            "The team is there for guests at any hour of the day and the night.",
            "The beach is next to the hotel, and towels are at the reception.",
            "All of the rooms have a balcony and a view of the sea.",
        ],
    }
    refusal(sections)
    assert select({**sections, "text": REVIEWS[:5]}).name == "text"


def test_the_statements_of_a_printed_form_are_not_reviews() -> None:
    statements = [f"{number}. I like what the brand {number} does" for number in range(1, 9)]

    scale = {str(column): ["①②③④"[column]] * 8 for column in range(4)}
    assert "a form" in refusal({"8": statements, **scale})


def test_what_the_author_of_a_json_file_says_about_it_is_not_a_review() -> None:
    refusal({"_comment": ["This file was generated from the menu. Do not edit it, because it is replaced."]})


@pytest.mark.parametrize("states", [["received", "pending", "sent"], ["Neu", "erledigt", "offen"]])
def test_the_state_of_a_feedback_is_not_a_review(states: Sequence[str]) -> None:
    refusal({"feedback": states, "channel": ["sms", "web", "app"]})


def test_a_sentence_that_every_row_repeats_is_not_a_review() -> None:
    """Such as what respondents agree to before they answer."""
    consent = ["I agree that you keep my answers, so that you can improve what you offer to me."] * 3
    columns = {"Do you agree to this?": consent, "In your own words: how was it?": REVIEWS[:3]}

    assert select(columns).name == "In your own words: how was it?"
    refusal({"Do you agree to this?": consent})


def test_frequent_questions_of_a_course_do_not_hide_its_reviews() -> None:
    columns = {
        "[].faq[].q": ["Where do I park?", "Is there food?", "Who may come?"],
        "[].faq[].a": ["Behind the house.", "There is a kitchen.", "All who like to."],
        "[].feedback[].fb": REVIEWS[:3],
    }
    assert select(columns).name == "[].feedback[].fb"


@pytest.mark.parametrize("name", ["message", "text"])
def test_texts_that_a_program_filled_in_are_not_reviews(name: str) -> None:
    people = ["Ann Lee", "Bob Ray", "Cy Fox", "Di Hay"]
    actions = ["approved", "created", "printed", "paid"]
    notices = [
        f"The user {person} {action} invoice 47{number} of the customer Hill Farm."
        for number, (person, action) in enumerate(zip(people, actions, strict=True))
    ]

    refusal({name: notices, "id": list("1234")})


def test_reviews_that_share_the_names_of_what_they_review_are_not_a_programs() -> None:
    reviews = [
        "The Hill Farm kettle is loud",
        "Our Hill Farm kettle leaks",
        "I love my Hill Farm kettle so much",
    ]
    assert select({"text": reviews, "id": list("123")}).name == "text"


def test_the_same_word_in_each_row_is_not_a_review() -> None:
    refusal({"content": ["testing"] * 8, "id": list("12345678")})


@pytest.mark.parametrize("separator", [";", ", "])
def test_several_options_of_a_question_are_not_reviews(separator: str) -> None:
    options = ["fast delivery", "low prices", "many brands", "my friends shop there"]
    answers = [separator.join(options[first:last]) for first in range(4) for last in range(first + 1, 5)] * 3

    refusal({"What do you like about shopping online?": answers})


def test_several_long_options_do_not_hide_the_answers_to_an_open_question() -> None:
    options = [
        f"I would like to see the {thing} of the place first"
        for thing in ("price", "street", "floor", "size")
    ]
    answers = [";".join(options[first:last]) for first in range(4) for last in range(first + 1, 5)] * 3
    opinions = [f"{text} That was in week {week}." for week in range(4) for text in REVIEWS][: len(answers)]

    columns = {
        "What would you like to see in a description?": answers,
        "What do you think of the process?": opinions,
    }
    assert select(columns).name == "What do you think of the process?"


@pytest.mark.parametrize("note", ["(n = 39)", "[Second part]"])
def test_questions_with_a_note_behind_them_are_not_reviews(note: str) -> None:
    questions = [f"How would you rate the quality of part {part} of your kettle? {note}" for part in "ABCDEF"]
    refusal({f"How would you improve the tea that you drink at work? {note}": questions})


@pytest.mark.parametrize("name", ["Type of complaint", "Тип жалобы", "categoria del reclamo"])
def test_kinds_of_complaints_are_not_complaints(name: str) -> None:
    refusal({name: ["rude staff", "too crowded", "broken machine", "other"] * 10, "id": list("12345678") * 5})


@pytest.mark.parametrize("name", ["agencyComment", "admin_comments", "Editor note"])
def test_what_others_note_about_a_review_is_not_a_review(name: str) -> None:
    assert select({name: [f"We think that {text}" for text in REVIEWS], "text": REVIEWS}).name == "text"
    refusal({name: REVIEWS})


def test_names_that_say_something_else_need_more_texts_that_judge() -> None:
    advice = [
        "Think of a place that makes the day lighter for you.",
        "Take a walk and look at the trees.",
        "Drink a glass of water before you sleep.",
        "Call a friend whom you have not seen for a while.",
        "Write down what happened today, and why.",
        "It is fine to be tired after such a week.",
        "I am here if you want to talk.",
        "Breathe slowly, and count to ten.",
    ]

    refusal({"response": advice, "mood": ["low", "angry"] * 4})


@pytest.mark.parametrize(
    "name", ["Feedback description", "Description of complaint", "testimonials[].description"]
)
def test_the_description_of_a_review_is_a_review(name: str) -> None:
    people = {"cars[].description": TITLES, "Person giving feedback": OTHER_COLUMNS["reviewer_name"]}
    assert select({**people, name: REVIEWS}).name == name


def test_the_description_of_the_product_of_a_review_is_not_a_review() -> None:
    refusal({"reviews[].product.description": REVIEWS})


@pytest.mark.parametrize("beside", ["rating", "author_role", "company"])
def test_a_quote_of_a_customer_is_a_review(beside: str) -> None:
    quotes = ["The new boiler uses a third less fuel.", "They were on site within a day."]
    assert (
        select({"quote": quotes, beside: ["Chief engineer", "Buyer"], "author": ["Ann", "Bob"]}).name
        == "quote"
    )


def test_the_quote_of_a_poet_is_not_a_review() -> None:
    refusal(
        {
            "quote": ["Two roads diverged in a yellow wood.", "All the world is a stage."],
            "author": ["F", "D"],
        }
    )


SAYINGS = [
    f"{start} {end}"
    for start in ("I love a life in which", "A good friend knows that", "My best teacher told me that")
    for end in (
        "hope is a very small lamp.",
        "no road is too long.",
        "time heals what we cannot.",
        "the sea forgives nobody.",
        "a great heart is quiet.",
        "bread is better than gold.",
        "fear is a bad cook.",
        "the wise laugh too.",
        "every winter ends.",
        "nothing really lasts.",
    )
]


@pytest.mark.parametrize(
    "columns",
    [
        {"quote": SAYINGS, "author": ["A. Poet", "B. Monk", "C. Sage"] * 10},
        {"quote": SAYINGS, "author": ["A. Poet"] * 30, "birth_date": ["1879-03-14"] * 30},
        {"quotestext": SAYINGS, "id": [str(n) for n in range(30)]},
        {
            "text": SAYINGS,
            "author": ["A. Poet", "B. Monk", "C. Sage"] * 10,
            "tags": ["life, hope", "sea"] * 15,
        },
    ],
    ids=" ".join,
)
def test_a_collection_of_sayings_is_not_reviews(columns: Mapping[str, Sequence[str]]) -> None:
    refusal(columns)
    rated = {**columns, "rating": ["5", "4", "1"] * 10}
    assert select(rated).name == next(iter(columns))


def test_a_page_with_what_a_few_customers_say_is_reviews() -> None:
    people = OTHER_COLUMNS["reviewer_name"]
    assert select({"quote": REVIEWS, "author": people}).name == "quote"
    assert select({"text": REVIEWS, "author": people, "tags": ["food", "room"] * 4}).name == "text"


@pytest.mark.parametrize(
    "beside",
    [
        {"post_time": OTHER_COLUMNS["review_date"], "post_title": TITLES},
        {"post_id": OTHER_COLUMNS["review_id"]},
        {"good_count": ["3", "9", "0", "2"] * 2, "comment_count": ["1", "0", "4", "7"] * 2},
        {"likes": ["3", "9", "0", "2"] * 2, "comments": ["1", "0", "4", "7"] * 2},
        {"votes for": ["3", "9", "0", "2"] * 2, "votes against": ["1", "0", "4", "7"] * 2},
        {"title": TITLES, "signature_count": ["310", "92", "7", "21"] * 2},
    ],
    ids=" ".join,
)
def test_posts_petitions_and_ideas_are_not_reviews(beside: Mapping[str, Sequence[str]]) -> None:
    refusal({"text": REVIEWS, **beside})
    assert select({"review": REVIEWS, **beside}).name == "review"


@pytest.mark.parametrize("beside", [["date", "user"], ["sender"]], ids=" ".join)
def test_messages_with_nothing_but_who_wrote_them_are_not_reviews(beside: Sequence[str]) -> None:
    """Messengers export chats in this way."""
    columns = dict.fromkeys(beside, OTHER_COLUMNS["reviewer_name"])
    refusal({**columns, "message": REVIEWS})
    assert select({**columns, "stars": OTHER_COLUMNS["stars"], "message": REVIEWS}).name == "message"


def test_comments_on_posts_are_read() -> None:
    columns = {"post_id": OTHER_COLUMNS["sku"], "comment_id": OTHER_COLUMNS["review_id"], "text": REVIEWS}
    assert select(columns).name == "text"


def test_the_text_of_a_post_is_not_a_review() -> None:
    refusal({"post": REVIEWS, "date": OTHER_COLUMNS["review_date"], "title": TITLES})


def test_advice_under_topics_is_not_reviews() -> None:
    advice = [f"Ask a friend what they like before {n} people hear of it." for n in range(4)]
    advice += [f"Write {n} letters to your team." for n in range(8)]
    refusal({"topic": ["Plans", "People", "Time"] * 4, "title": TITLES[:4] * 3, "text": advice})


def test_reviews_as_json_in_cells_are_refused_however_long() -> None:
    cells = [str([{"name": f"Guest {n}", "text": review} for review in REVIEWS * 2]) for n in range(3)]
    refusal({"name": ["Inn", "Pub", "Bar"], "reviews": cells})


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (
            "Impression du séjour",
            ["Chambre propre", "Service lent", "Personnel souriant", "Chauffage en panne"],
        ),
        ("Résumé de l'avis", ["Chambre propre", "Service lent", "Personnel souriant", "Chauffage en panne"]),
        ("Observaciones", ["Mesa limpia", "Mesero grosero", "Ambiente agradable", "Faltan enchufes"]),
        ("giudizio", ["Camera pulita", "Bagno da rifare", "Personale gentile", "Torneremo"]),
    ],
)
def test_short_reviews_are_found_in_other_languages(name: str, texts: Sequence[str]) -> None:
    columns = {"room": ["12", "7", "31", "5"] * 2, name: [*texts, *(f"{text}!" for text in texts)]}
    assert select(columns).name == name


@pytest.mark.parametrize(
    ("praise", "blame"),
    [
        ("What did you like most about your stay?", "What could we improve?"),
        ("¿Qué fue lo que más le gustó de su visita?", "¿Qué podríamos mejorar?"),
    ],
)
def test_what_guests_like_and_what_could_be_better_are_two_parts(praise: str, blame: str) -> None:
    message = refusal({praise: REVIEWS, blame: REVIEWS[::-1]})
    assert repr(blame) in message


def test_the_reason_for_an_answer_is_one_of_several_open_questions() -> None:
    message = refusal(
        {"Why do you prefer the previously ticked answer?": REVIEWS, "Why this part?": REVIEWS[::-1]}
    )
    assert "Why this part?" in message


def test_texts_about_several_aspects_are_refused_unless_they_differ_much() -> None:
    aspects = dict.fromkeys(("teaching", "exams", "library"), SHORT_REVIEWS)
    better = [f"{review}, and I told them" for review in SHORT_REVIEWS[::-1]]
    message = refusal({**aspects, "coursecontent": SHORT_REVIEWS[::-1]})
    assert "coursecontent" in message
    assert select({**aspects, "What do you want to tell us?": better}).name == "What do you want to tell us?"


def test_two_open_questions_are_refused_unless_they_differ_much() -> None:
    longer = [f"As far as I remember: {text} That is all I can say." for text in REVIEWS]
    message = refusal(
        {
            "What question do you wish that we had asked you?": longer,
            "Why do you use our kettle at your work?": REVIEWS,
        }
    )

    assert "What question" in message
    assert "Why do you" in message


@pytest.mark.parametrize(("question", "answer"), [("pergunta", "resposta"), ("frage", "antwort")])
def test_answers_to_frequent_questions_are_not_reviews_in_other_languages(question: str, answer: str) -> None:
    questions = [f"How can I change part {part} of my order?" for part in "ABCDEFGH"]
    refusal({question: questions, answer: [f"You will find it below your name: {text}" for text in REVIEWS]})


def test_an_open_question_is_found_beside_a_question_with_answers_of_two_words() -> None:
    columns = {
        "How pleased are you with the course?": ["very pleased", "not very", "very pleased", "quite bored"],
        "Is there anything that you want to tell us?": [
            "The guide was nice",
            "",
            "Room too cold",
            "Bad air, no coffee",
        ],
    }
    assert select(columns).name == "Is there anything that you want to tell us?"


@pytest.mark.parametrize("name", ["number of responses", "Respondents"])
def test_statements_with_the_number_of_those_who_agree_are_not_reviews(name: str) -> None:
    statements = [
        f"People in {town} have good access to the park." for town in ("Leeds", "York", "Bath", "Hull")
    ]
    statements += ["We care about our street very much.", "I feel part of my town.", "I like to live here."]

    refusal({"Statement": statements, name: ["120", "118", "99", "87", "81", "80", "78"]})


def test_letters_with_a_stroke_are_known_without_it() -> None:
    """Polish, Danish, Vietnamese and Turkish exports may be written with them or without."""
    opinions = ["Bardzo słaby hotel, nie polecam.", "Zły pokój, słaba jakość.", "Słabe śniadanie, niestety."]
    without = [text.replace("ł", "l") for text in opinions]

    assert select({"x": opinions}).name == select({"x": without}).name == "x"
    assert name_score("Głos klienta") == name_score("Glos klienta")
    assert name_score("Đánh giá") == name_score("Danh gia")


@pytest.mark.parametrize(
    "name",
    [
        "_source.data.shop.product.review",
        "hit.source.data.shop.customer_feedback",
        "shop/data/source/product/comment",
    ],
)
def test_a_long_path_is_not_a_question(name: str) -> None:
    """Exports of search engines flatten objects to columns. Reviews may repeat, as answers to a poll do."""
    assert select({"_id": [f"k-{n}-x" for n in range(80)], name: SHORT_REVIEWS * 10}).name == name


@pytest.mark.parametrize(
    "name",
    ["Which meal do you like to have from us?", "Which.meal.do.you.like.to.have.from.us."],
)
def test_a_question_is_one_with_dots_for_spaces_too(name: str) -> None:
    """R writes column names this way."""
    refusal({name: ["soup with bread", "rice with beans", "fish with chips"] * 20})


def test_answers_that_the_question_lists_are_not_reviews() -> None:
    """Some forms write the options of a question into the header."""
    question = "Why do you like the market? - It is near me - I like the people - I am bored"
    refusal({question: ["It is near me", "I am bored", "I like the people", "it is near me", "I am bored"]})


def test_statements_with_several_rows_of_figures_each_are_not_reviews() -> None:
    """Statistics in a long format repeat each statement for each measure."""
    statements = [
        f"I feel safe in the {place} and like it" for place in "park station square garden bus".split()
    ]
    statements += [f"I am very happy with the {thing}" for thing in "rent noise light shops roads".split()]
    rows = [statement for statement in statements for _ in range(3)]

    refusal({"year": ["2026"] * len(rows), "Statement": rows, "measure": ["mean", "low", "high"] * 10})


def test_most_texts_being_questions_are_a_questionnaire() -> None:
    """Some items of a questionnaire are requests."""
    items = [
        "How happy are you with the price? [with tax (and duty)]",
        "How happy are you with the delivery?",
        "How happy are you with us? []",
        "Please name what you like.",
        "Would you recommend it to me?",
        "Tell us how you feel. [today]",
    ]

    refusal({"1": items, "2": ["4", "2", "7", "9", "1", "3"]})


def test_one_word_of_opinion_is_too_little() -> None:
    """One of five texts may contain it by chance."""
    claims = [
        "Highest list price of all brands in the set.",
        "Most rows were taken from two sources.",
        "Share of large sizes rises with the price.",
        "Best ratio of weight to price among brands.",
        "Half of the models come in one colour.",
    ]

    refusal({"scope": ["price", "set", "size", "weight", "colour"], "claim": claims})


def test_a_consent_does_not_stand_against_the_answers() -> None:
    """Every row repeats it, so it is not a second answer."""
    agreed = "I agree that my answers are stored and used to improve the service as described in the notice."
    columns = {
        "Do you agree to the\nprivacy notice?": [agreed] * 3,
        "In your own words:\nhow was it?": ["Brilliant show, we sang along.", "Could not see a thing.", "ok"],
    }

    assert select(columns).name.startswith("In your own words")


@pytest.mark.parametrize(
    ("asked", "how_often"),
    [
        ("What would you improve at our pool?", "How often do you visit our pool?"),
        ("¿Qué cambiaría o mejoraría de nuestra piscina?", "¿Con qué frecuencia viene a nuestra piscina?"),
        ("Was würden Sie an unserem Bad verbessern?", "Wie oft besuchen Sie unser Bad im Monat?"),
    ],
)
def test_how_often_is_not_an_open_question(asked: str, how_often: str) -> None:
    columns = {
        how_often: ["Several times a week", "Once in a month", "Several times a week"],
        asked: ["Open earlier on Sundays.", "Dirty showers and cold water.", "Nothing, all is perfect."],
    }

    assert select(columns).name == asked


def test_the_voice_of_a_customer_is_a_text() -> None:
    voices = ["Cheaper than before, and kinder.", "Gone downhill since spring.", "Reliable as ever"]

    assert (
        select({"2025": ["3.9", "4.0", "4.5"], "Branch": ["Porto", "Faro", "Braga"], "Voice": voices}).name
        == "Voice"
    )


@pytest.mark.parametrize(
    "names", ["review_text,review_text_en", "quote,quoteEn", "comment,comment_vi", "Avis,Avis (EN)"]
)
def test_a_field_in_another_language_is_a_translation(names: str) -> None:
    original, translation = names.split(",")
    columns = {"stars": OTHER_COLUMNS["stars"], translation: REVIEWS, original: REVIEWS[::-1]}

    assert select(columns).name == original
    assert select({name: columns[name] for name in ("stars", translation)}).name == translation


def test_a_field_that_few_records_have_is_not_chosen_over_one_that_all_have() -> None:
    """A list may contain the answers to another form, too."""
    sample = FieldSample()
    for review in REVIEWS:
        sample.add("[].stars", 5)
        sample.add("[].quote", review)
    sample.add(
        "[].suggestions", "I would like to have a larger keyboard, and I think that it should be quiet."
    )

    assert select_review_field(sample, ReadOptions()).name == "[].quote"


def test_a_comment_on_a_request_to_a_server_is_not_a_review() -> None:
    """A name such as `comment` needs texts that judge if another field is the status of the request."""
    comments = ["cache hit", "upstream timed out", "no route", "cache miss"]
    requests = {"time": [f"2026-02-01T10:00:0{second}Z" for second in range(4)], "comment": comments}
    judging = ["It was good.", "I hate it.", "Very useful!", "My order is too late."]

    refusal({**requests, "status": ["200", "504", "404", "200"]})
    assert select({"status": ["200"] * 4, "feedback": judging}).name == "feedback"
    assert select({**requests, "status": ["new", "new", "done", "done"]}).name == "comment"


def test_messages_of_a_program_are_not_reviews() -> None:
    """Two fields that programs write are enough."""
    messages = [f"Not able to reach my peer in zone {zone}" for zone in "ABCDEFG"]
    refusal({"loglevel": ["warn"] * 7, "hostname": ["web"] * 7, "message": messages})


@pytest.mark.parametrize(
    "text",
    [
        "I could not log in from {}.0.0.1",
        "I could not open my /var/log/shop/{}",
        "My ValueError was bad, try {}",
        "The good call shop{}() failed for me",
    ],
)
def test_texts_with_addresses_paths_or_errors_are_not_reviews(text: str) -> None:
    messages = [text.format(number) for number in range(7)]
    refusal({"message": messages, "time": [f"2026-02-0{day}" for day in range(1, 8)]})


def test_the_latin_of_typesetters_is_not_a_review() -> None:
    latin = [
        f"Lorem ipsum {word} dolor sit amet, mi consectetur." for word in ("elit", "nunc", "tellus", "sapien")
    ]
    refusal({"content": latin, "views": ["3", "14", "15", "92"]})


def test_ideas_that_are_put_to_a_vote_are_not_reviews() -> None:
    columns = {
        "content": [f"I would like a better {thing} in the park" for thing in "path pond bench".split()]
    }

    assert select(columns).name == "content"
    refusal({**columns, "wins": ["3", "1", "4"], "losses": ["1", "5", "9"]})


@pytest.mark.parametrize("name", ["output_tokens", "totalTokens"])
def test_answers_of_a_language_model_are_not_reviews(name: str) -> None:
    answers = {
        "question": ["breakfast", "parking"],
        "answer": ["It is served from seven.", "It is behind us."],
    }
    refusal({**answers, name: ["12", "31"]})


@pytest.mark.parametrize("name", ["response_message", "answer", "respuesta", "Antwort"])
@pytest.mark.parametrize("beside", ["complaint_id", "id_ticket", "Review number"])
def test_the_answer_to_a_complaint_is_not_a_review(name: str, beside: str) -> None:
    answers = [
        "We have talked to the cook.",
        "I am sorry, it was my mistake.",
        "It is a very old oven.",
        "No.",
    ]
    refusal({beside: ["4", "8", "15", "16"], name: answers})


def test_the_answer_beside_a_rated_text_is_not_a_second_review() -> None:
    answers = [f"As we all like it here: {text}" for text in REVIEWS[::-1]]

    assert select({"testo": REVIEWS, "stelle": ["3"] * 8, "risposta": answers}).name == "testo"
    assert select({"score": ["3"] * 8, "answer": answers}).name == "answer"


def test_the_answer_to_the_text_of_a_user_is_not_a_review() -> None:
    asked = ["wifi", "library", "exam dates", "parking", "sports", "canteen", "fees", "bus"]
    refusal({"texto_usuario": asked, "respuesta_resumen": REVIEWS})


def test_letters_in_a_mailbox_are_not_reviews() -> None:
    refusal({"sender": ["4", "8"] * 4, "recipient": ["15", "16"] * 4, "content": REVIEWS})
    assert select({"sender": ["4", "8"] * 4, "content": REVIEWS}).name == "content"


def test_a_filled_in_form_is_not_a_review_in_any_language() -> None:
    """Names of teams and towns hide the language of a sentence."""
    matches = [
        f"{team} United plays {team} City. Price range: none listed. Presale available: True. Status: sale."
        for team in ("Leeds", "Hull", "York", "Bath", "Ely", "Wells")
    ]
    refusal({"text": matches, "venue": ["North End"] * 6})


def test_the_same_word_in_a_few_rows_is_not_a_review() -> None:
    refusal({"内容": ["テスト", "テスト", "テスト", ""], "id": ["1", "2", "3", "4"]})


def test_the_title_of_a_post_is_not_that_of_the_comments_on_it() -> None:
    """It stands in the rows of all comments."""
    comments = [*SHORT_REVIEWS, *(f"{text} really" for text in SHORT_REVIEWS)]
    titles = [title for title in TITLES[:4] for _ in range(4)]

    assert select({"title": titles, "comment": comments}).title == ""


@pytest.mark.parametrize("beside", ["ticket_id", "ticketNumber", "Ticket No."])
def test_the_description_of_a_ticket_is_a_review(beside: str) -> None:
    assert (
        select({"description": REVIEWS, beside: [str(number) for number in range(8)]}).name == "description"
    )
    refusal({"description": TITLES, "ticket_price": ["20"] * 8})


def test_the_text_of_a_description_is_a_description() -> None:
    refusal({"product_description_text": REVIEWS})


def test_names_with_commas_are_not_offered_as_a_list() -> None:
    """The setting takes a comma for the end of a name."""
    message = refusal({"What, if at all, was good?": REVIEWS, "What, if at all, was bad?": REVIEWS[::-1]})

    assert "joined" not in message


def test_the_title_of_a_thing_does_not_stand_in_for_a_review() -> None:
    """It is repeated, or most things have a title and no review."""
    things = [title for title in TITLES[:3] for _ in range(3)][:8]
    few = [REVIEWS[0], *[""] * 7]

    assert select({"title": things, "review": REVIEWS}).title == ""
    assert select({"title": TITLES, "review": few}).title == ""
    assert select({"title": TITLES, "review": [*REVIEWS[:4], *[""] * 4]}).title == "title"


def test_a_review_in_one_row_is_not_chosen_over_many_texts_that_judge() -> None:
    columns = {
        "review": [REVIEWS[0], *[""] * 15],
        "structure rationale": [*REVIEWS, *(f"{text} Again." for text in REVIEWS)],
    }

    assert "'review'" in refusal(columns)


def test_a_few_options_are_not_reviews_if_some_wrote_something_else() -> None:
    options = ["I learn more", "It is a good place", "I like the people"] * 80
    others = [f"because of the {thing}" for thing in "path pond bench view light shops bus".split()]
    refusal({"why": [*options, *(f"{other} {number}" for other in others for number in range(4))]})


def test_names_of_products_are_not_reviews_in_a_language_that_is_not_known() -> None:
    kinds = ("복분자막걸리", "국화주", "술")
    names = [f"{name} {kind}" for name in ("우포", "담솔", "자연담은") for kind in kinds]
    refusal({"answer": [*names[:5], *names, *names[3:], *names[:3]]})


def test_names_in_title_case_are_not_reviews_without_a_name() -> None:
    places = [f"Kavli Institute for Astrophysics {town}" for town in ("Bath", "Leeds", "Hull", "York")]
    people = ["Ann Lee", "Bo Orr", "Cy Fox", "Di Hay", "Ed Moss", "Flo Orr"]
    refusal({"1": [*places, "Ely Labs", "Wells College"], "2": people})


def test_phrases_without_a_name_need_more_words_of_opinion() -> None:
    phrases = ["did you touch my cup", "cowboy", "wizard at night", "frog", "lost in the wood", "nice hat"]

    refusal({"1": phrases, "2": ["🤠", "🐸", "🧙", "🔥", "🌲", "🎩"]})
    assert select({"1": ["love it", "so so", "never again", "very good", "bad", "my favourite"]}).name == "1"


def test_news_of_a_site_are_not_reviews() -> None:
    news = [f'新しい記録に<a href="{number}.html">一覧</a>を追加。' for number in range(8)]
    refusal({"1": [f"2026-01-0{day}" for day in range(1, 9)], "2": news})


def test_posts_of_a_site_are_not_reviews() -> None:
    refusal({"post_author": ["1"] * 8, "post_title": TITLES, "post_content": REVIEWS})
    assert select({"post_title": TITLES, "comment_content": REVIEWS}).name == "comment_content"


@pytest.mark.parametrize("sides", [("incoming", "outgoing"), ("Customer", "Agent"), ("user", "assistant")])
def test_both_sides_of_a_chat_are_not_reviews(sides: Sequence[str]) -> None:
    refusal({"type": [*sides] * 4, "body": REVIEWS})
    assert select({"type": [*sides[:1]] * 8, "body": REVIEWS}).name == "body"


def test_a_dialogue_in_one_text_is_not_a_review() -> None:
    calls = [f"Agent: {title}?\nCustomer: {text}" for title, text in zip(TITLES, REVIEWS, strict=True)]

    assert select({"transcript": REVIEWS}).name == "transcript"
    refusal({"transcript": calls})


@pytest.mark.parametrize(("asked", "said"), [("question", "response"), ("prompt", "completion")])
def test_what_a_judge_says_about_dialogues_is_not_a_review(asked: str, said: str) -> None:
    refusal({asked: TITLES, said: [f"It says: {title}." for title in TITLES], "reason": REVIEWS})


def test_the_response_of_the_owner_is_known_by_the_object_that_it_is_in() -> None:
    fields = {
        "[].review_id": [f"r-{number:04}-ab" for number in range(8)],
        "[].snippet": REVIEWS,
        "[].response.snippet": [f"As we all like it here: {text}" for text in REVIEWS[::-1]],
    }
    assert select(fields).name == "[].snippet"


def test_a_description_in_a_long_name_is_a_description() -> None:
    refusal({"house_description near center near center": REVIEWS, "price": ["10"] * 8})


@pytest.mark.parametrize("name", ["ticket_description", "Description of the issue", "problemDescription"])
def test_what_is_called_the_description_of_a_problem_is_a_review(name: str) -> None:
    assert select({name: REVIEWS, "id": list("12345678")}).name == name


def test_finnish_reviews_are_found_by_their_names() -> None:
    texts = ["Kahvi oli kylmää.", "Hieno palvelu", "Liian kallis", "Tulen varmasti uudelleen!", "Ihan hyvä."]
    assert select({"otsikko": ["Hyvä", "Huono", "Kallis", "Hieno", "Ok"], "teksti": texts}).name == "teksti"


@pytest.mark.parametrize("keys", ["viewOnce groupInfo", "remoteJid fromMe", "sender_name timestamp_ms"])
def test_messages_of_a_messenger_are_not_reviews(keys: str) -> None:
    one, other = keys.split()
    refusal({one: list("abcdefgh"), other: list("12345678"), "message": REVIEWS})
    assert select({one: list("abcdefgh"), "message": REVIEWS}).name == "message"


@pytest.mark.parametrize(
    "name",
    ["If you answered yes, explain why", "Si la respuesta anterior fue sí, explique brevemente cuáles"],
)
def test_answers_to_a_follow_up_need_words_that_judge(name: str) -> None:
    which = [f"The {title}, in two of the courses." for title in TITLES[1:]] + ["The problem with the bus."]

    refusal({name: which})
    assert select({name: REVIEWS}).name == name


def test_people_who_introduce_themselves_do_not_review() -> None:
    people = [
        "I am a first-year student of chemistry, and I like to sing.",
        "Hi! I'm currently working in a lab. My thesis is about old bridges.",
        "I am an engineer from Pune. Before, I was in the army; my hobby is chess.",
        "My name is Ole, and very soon I will be a father.",
        "I grew up by the sea, and would love to help new people with what I know.",
    ]

    refusal({"1": people})
    assert select({"1": [f"I am very happy with it. {text}" for text in REVIEWS]}).name == "1"


def test_tickets_with_a_few_comments_are_refused_with_both_names() -> None:
    requests = [f"{text} Please help me. ({number})" for number in range(5) for text in REVIEWS]
    comments = ["Great help!", "", "", "", "Slow.", "", "", ""] * 5
    tickets = {"subject": [*TITLES] * 5, "description": requests, "comment": comments}

    message = refusal(tickets)

    assert "'comment'" in message
    assert "'description'" in message
    assert select({**tickets, "comment": [text or "Fine." for text in comments]}).name == "comment"


def test_the_description_beside_what_a_customer_requests_is_a_review() -> None:
    fields = {"description": REVIEWS, "requested_resolution": ["refund"] * 8}
    assert select(fields).name == "description"


def test_templates_with_gaps_are_not_reviews() -> None:
    templates = [f"Dear {{name}}, I hope you liked your {title}. Thanks!" for title in TITLES[:4]]
    gaps = [f"I ___ very happy here, number {number}." for number in "abcd"]
    others = ["We love {{ user.city }} too", "Hi %name%, good news", "Hello {first}, so nice!", "Bye {name}"]

    refusal({"id": list("12345678"), "body": templates + others})
    refusal({"id": list("12345678"), "body": gaps + others})


def test_questions_without_a_name_are_those_of_a_turned_table() -> None:
    asked = ["Respondent", "Age", "What did you like about your stay?", "Would you come back?"]

    refusal({"1": asked, "2": ["1", "33", "The lake", "yes"], "3": ["2", "41", "Quiet rooms", "no"]})


def test_lists_in_the_messages_of_a_chat_are_no_reviews_either() -> None:
    fields = {
        "messages[].from_id": ["user1", "user2"] * 4,
        "messages[].date_unixtime": [f"17700000{number}" for number in range(8)],
        "messages[].text_entities[].text": REVIEWS,
    }
    refusal(fields)


@pytest.mark.parametrize(
    "name", ["List three things that you would like to receive", "Warum möchtest du teilnehmen?"]
)
def test_answers_of_people_who_sign_up_are_not_reviews(name: str) -> None:
    refusal({name: REVIEWS})


def test_mails_are_not_reviews() -> None:
    refusal({"From": TITLES, "To": TITLES, "Subject": TITLES[::-1], "Body": REVIEWS})


@pytest.mark.parametrize("name", ["Rückmeldung", "Bemerkungen", "التعليق"])
def test_more_names_of_reviews_are_known(name: str) -> None:
    assert name_score(name) >= 2.5


@pytest.mark.parametrize(
    "name", ["Omschrijving", "ショップからのコメント", "商家回复", "사장님 답글", "رد الفندق"]
)
def test_more_names_of_descriptions_and_replies_are_known(name: str) -> None:
    assert name_score(name) <= -4


@pytest.mark.parametrize("name", ["Joke", "lyrics", "Poema", "Résumé", "Rezept", "prerequisites", "ucapan"])
def test_names_of_other_texts_are_known(name: str) -> None:
    assert name_score(name) <= -4


@pytest.mark.parametrize("who", ["speaker", "Speaker(s)", "character_id", "Personaje"])
def test_the_lines_of_a_script_are_not_reviews(who: str) -> None:
    refusal({who: ["Mo", "Ida"] * 4, "text": REVIEWS})


def test_what_is_said_in_a_series_is_not_a_review() -> None:
    numbers = {"Season": ["1"] * 8, "Episode": list("11122233")}
    refusal({**numbers, "said": REVIEWS})
    assert select({**numbers, "review": REVIEWS}).name == "review"


def test_the_speaker_in_a_survey_is_who_gave_the_talk() -> None:
    asked = "What did you think of the talk by this speaker?"
    assert select({"Speaker": ["Mo", "Ida"] * 4, asked: REVIEWS}).name == asked


@pytest.mark.parametrize(
    "fields",
    [
        {"ingredients": TITLES, "tip": REVIEWS},
        {"recipes[].ingredients[].name": TITLES, "recipes[].steps[].text": REVIEWS},
        {"[].ingredients.large.milk": TITLES, "[].text": REVIEWS},
    ],
)
def test_texts_of_recipes_are_not_reviews(fields: Mapping[str, Sequence[str]]) -> None:
    refusal(fields)


def test_a_rated_text_beside_ingredients_is_a_review() -> None:
    columns = {"ingredients": TITLES, "stars": OTHER_COLUMNS["stars"], "text": REVIEWS}
    assert select(columns).name == "text"


def test_pages_in_html_are_not_reviews_though_they_have_an_author() -> None:
    pages = {
        "title": TITLES,
        "category": ["club", "games"] * 4,
        "author": ["The board"] * 8,
        "content": [f"<p>{text}</p>" for text in REVIEWS],
    }

    refusal(pages)
    assert select({**pages, "rating": OTHER_COLUMNS["stars"]}).name == "content"


def test_announcements_of_a_shop_are_not_reviews() -> None:
    texts = ["Delivery within a day in the north.", "Orders from abroad are welcome."]
    refusal({"text": texts, "author": ["", ""], "is_active": ["true"] * 2, "sort_order": ["1", "2"]})


def test_spoken_words_with_their_times_are_not_reviews() -> None:
    times = [f"{number}.5" for number in range(8)]
    refusal({"start": times, "duration": times, "text": REVIEWS})


def test_texts_beside_the_times_of_a_survey_or_the_ratings_of_an_episode_may_be_reviews() -> None:
    times = [f"2026-01-0{number}T10:15:00.000+01:00" for number in range(1, 9)]
    ratings = [str(number % 5 + 1) for number in range(8)]

    assert select({"start": times, "end": times, "text": REVIEWS}).name == "text"
    assert select({"start": ratings, "end": ratings, "What should we do better?": REVIEWS})
    assert select({"season": ratings, "episode": ratings, "stars": ratings, "text": REVIEWS}).name == "text"
    refusal({"season": ratings, "episode": ratings, "text": REVIEWS})


def test_what_somebody_else_reports_about_customers_is_not_a_review() -> None:
    reports = [f"The user is unhappy and says: {text}" for text in REVIEWS[:4]]
    reports += [f"A guest reported it very late: {text}" for text in REVIEWS[4:]]

    refusal({"explanation": reports})
    assert select({"complaint": reports}).name == "complaint"


def test_job_ads_are_not_reviews() -> None:
    ads = [
        "We are hiring a very friendly baker. Requirements: a degree. Candidates apply by mail.",
        "Nice team. Responsibilities: the till. Qualifications: good maths. Applicants write to us.",
        "Dein Profil: sehr gute Kenntnisse im Backen, Berufserfahrung. Wir freuen uns auf Deine Bewerbung!",
        "Buscamos cocinero. Requisitos: muy buena mano, experiencia y conocimientos de postres.",
    ]

    refusal({"id": list("12345678"), "text": ads * 2})


def test_wishes_for_a_couple_are_not_reviews_whatever_they_are_called() -> None:
    wishes = ["Selamat menempuh hidup baru!", "Congratulations, you two!", "Semoga samawa ya", "Congrats"]
    refusal({"name": TITLES, "comment": [*wishes, *wishes]})
    longer = [
        "May you both be very happy, with joy forever!",
        "I wish you all the happiness and love there is.",
    ]
    refusal({"from": TITLES, "message": longer * 4})


def test_poems_are_not_reviews() -> None:
    poem = (
        "I love the rain\nso very soft\nupon the roof\nmy old cat sleeps\nand I am glad\nthat night has come"
    )
    refusal({"label": ["1"] * 6, "text": [f"{poem}\nagain, and {number} more" for number in "abcdef"]})

    listed = "\n".join(f"- {text}" for text in REVIEWS)
    assert select({"text": [f"{listed}\n{number}" for number in "abcdef"]}).name == "text"


def test_comments_of_which_none_of_many_judges_are_not_reviews() -> None:
    comments = [f"return the sum of the {kind} and the offset" for kind in map(str, range(40))]

    refusal({"file": ["main.c"] * 40, "comments": comments})
    assert select({"comments": [*comments, "I love it"]}).name == "comments"


def test_comments_that_only_name_others_are_entries_of_a_raffle() -> None:
    refusal(
        {"comment": ["@ann.lee @bob_ray", "@cy quero!", "@di @ed", "Me too @flo", "@gus", "Lovely prize"]}
    )
    assert select({"comment": [f"@shop {text}" for text in REVIEWS]}).name == "comment"


def test_reviews_that_name_a_shop_may_have_no_spaces() -> None:
    reviews = [
        "@咖啡店 咖啡很好喝，下次还会来",
        "@旅館 部屋は狭くてうるさかったです。",
        "@ร้านกาแฟ กาแฟอร่อยมากและบริการดี",
    ]

    assert select({"comment": reviews * 3}).name == "comment"


def test_one_of_several_lists_of_texts_is_not_chosen_if_no_name_says_so() -> None:
    lists = {"[].visa[]": REVIEWS, "[].other[]": [f"{title} is what we sell." for title in TITLES]}

    refusal(lists)
    assert select({"[].reviews[]": REVIEWS, "[].other[]": lists["[].other[]"]}).name == "[].reviews[]"


def test_reviews_in_a_language_that_shares_words_with_known_ones_are_found_by_the_name() -> None:
    reviews = [
        "A szoba kicsi volt és éjjel nagyon zajos.",
        "Az étel hidegen jött és a pincér nem figyelt ránk.",
        "A csomag későn jött és a doboz eltört.",
        "Biztosan visszajövünk, a személyzet kedves.",
    ]

    assert (
        select({"review": [f"{text} ({number})" for text in reviews for number in range(8)]}).name == "review"
    )


@pytest.mark.parametrize(
    "name",
    ["Feedback on the speech", "Commentaire sur la recette", "Kommentar zum Rezept", "Comment about a poem"],
)
def test_a_comment_on_a_text_of_another_kind_is_a_review(name: str) -> None:
    assert select({**OTHER_COLUMNS, name: REVIEWS}).name == name
