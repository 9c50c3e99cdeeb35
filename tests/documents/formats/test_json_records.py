"""Lists of reviews inside JSON documents, the choice among them, and what is tolerated."""

import json
import random
import time
from collections.abc import Callable
from functools import partial
from io import BufferedReader, BytesIO
from typing import Any

import pytest
from tests.documents.reading import ReadDocument, attempt, document, problems, refusal, texts, written
from tests.documents.work import lines_executed

from reviewbox.documents import ReadOptions
from reviewbox.documents.detection import LINE_FORMATS
from reviewbox.documents.segments import Content, SegmentedTable, split
from reviewbox.errors import ErrorCode

REVIEWS = [
    "The soup was cold, and nobody said sorry.",
    "Lovely terrace with a view of the river.",
    "We will come back in the spring.",
    "Too loud to talk.",
]


def loaded(read: ReadDocument) -> list[dict[str, Any]]:
    """Return the written table."""
    return [json.loads(line) for line in written(read).splitlines()]


def records(field: str = "text", **more: Any) -> list[dict[str, Any]]:
    """Return a record for each review."""
    return [{"id": f"r{n}", "stars": n, field: review, **more} for n, review in enumerate(REVIEWS)]


DESCRIPTION = "A small restaurant by the river that serves what the market has on the day, from soup to nuts."
WRAPPED: dict[str, tuple[str, Any]] = {
    "a page of a web service": (
        "results[].comment",
        {"next": "https://api.example/reviews?page=2", "results": records("comment")},
    ),
    "GraphQL": (
        "data.place.reviews.edges[].node.body",
        {
            "data": {
                "place": {
                    "description": DESCRIPTION,
                    "reviews": {"edges": [{"cursor": "a", "node": r} for r in records("body")]},
                }
            }
        },
    ),
    "Elasticsearch": (
        "hits.hits[]._source.review",
        {
            "took": 2,
            "hits": {"hits": [{"_id": str(n), "_source": r} for n, r in enumerate(records("review"))]},
        },
    ),
    "DynamoDB": (
        "Items[].comment.S",
        {
            "Items": [
                {"id": {"S": f"r{n}"}, "tags": {"L": [{"S": "lunch"}]}, "comment": {"S": review}}
                for n, review in enumerate(REVIEWS)
            ]
        },
    ),
    "typed values inside a map": (
        "Items[].feedback.M.comment.S",
        {"Items": [{"feedback": {"M": {"comment": {"S": r}, "by": {"S": "Ann"}}}} for r in REVIEWS]},
    ),
    "JSON-LD": (
        "@graph[].review[].reviewBody",
        {
            "@context": "https://schema.org",
            "@graph": [
                {
                    "@type": "Restaurant",
                    "description": DESCRIPTION,
                    "review": [{"@type": "Review", "reviewBody": review} for review in REVIEWS],
                }
            ],
        },
    ),
    "records by id": (
        "reviews.*.text",
        {"reviews": {r["id"]: r for r in records()}, "theme": {"dark": True}},
    ),
    "only records by id": ("*.text", {f"-N{n}x": r for n, r in enumerate(records())}),
    "a feed": (
        "feed.entry[].content.label",
        {"feed": {"entry": [{"title": {"label": "No"}, "content": {"label": review}} for review in REVIEWS]}},
    ),
    "Reddit": (
        "data.children[].data.body",
        {"kind": "Listing", "data": {"children": [{"kind": "t1", "data": r} for r in records("body")]}},
    ),
    "Firestore": (
        "documents[].fields.comment.stringValue",
        {"documents": [{"fields": {"comment": {"stringValue": review}}} for review in REVIEWS]},
    ),
    "changes in DynamoDB": (
        "Records[].dynamodb.NewImage.said.S",
        {
            "Records": [
                {"eventID": f"{n}a", "eventName": "INSERT", "dynamodb": {"NewImage": {"said": {"S": review}}}}
                for n, review in enumerate(REVIEWS)
            ]
        },
    ),
    "texts": ("reviews[]", {"place": "Ferry House", "reviews": REVIEWS}),
    "arrays inside an array": (
        "[].reviews[].comment",
        [
            {"name": "Ferry House", "description": DESCRIPTION, "reviews": records("comment")[:1]},
            {"name": "Mill", "description": DESCRIPTION.upper(), "reviews": []},
            {"name": "Old Barn", "description": DESCRIPTION[:50], "reviews": records("comment")[1:]},
        ],
    ),
    "pandas columns": (
        "review",
        {"stars": {"0": 1, "1": 2, "2": 3, "3": 4}, "review": dict(zip("0123", REVIEWS, strict=True))},
    ),
    "pandas index": ("*.review", {str(n): r for n, r in enumerate(records("review"))}),
    "pandas split": (
        "data[].review",
        {
            "columns": ["stars", "review"],
            "index": [0, 1, 2, 3],
            "data": [[n, r] for n, r in enumerate(REVIEWS)],
        },
    ),
    "pandas values": ("2", [[n, review] for n, review in enumerate(REVIEWS)]),
    "pandas table": (
        "data[].review",
        {"schema": {"fields": [{"name": "review", "type": "string"}]}, "data": records("review")},
    ),
}


@pytest.mark.parametrize(("path", "value"), WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_list_of_reviews_is_found_at_any_depth(path: str, value: Any, indent: int | None) -> None:
    data = json.dumps(value, indent=indent)

    read = document("a.json", data)

    assert texts(read) == REVIEWS
    assert problems(read) == []
    assert read.notes["text_field"] == path
    assert texts(document("a.json", data, ReadOptions(path))) == REVIEWS
    for row, returned in zip(read.rows, loaded(read), strict=True):
        assert row.text in json.dumps(returned, ensure_ascii=False)
        if "reviewbox_pointer" in returned:
            at = resolve(value, returned["reviewbox_pointer"])
            assert row.text in json.dumps(at, ensure_ascii=False)
        else:
            assert isinstance(value, list)


def resolve(value: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def test_a_nested_record_comes_back_with_its_characters_and_its_pointer() -> None:
    record = '{"id": 1.10, "text": "It was g\\u006fod.",\n  "n": 12345678901234567890123}'
    data = f'{{"a/b": {{"reviews": [\n {record},\n {{"text": "bad"}}]}}}}'

    read = document("a.json", data)

    assert [row.line for row in read.rows] == [2, 4]
    first, second = written(read).splitlines()
    assert first.startswith(
        '{"id": 1.10, "text": "It was g\\u006fod.", "n": 12345678901234567890123,'
        '"reviewbox_pointer":"/a~1b/reviews/0","sentiment":"positive"'
    )
    assert json.loads(second)["reviewbox_pointer"] == "/a~1b/reviews/1"


@pytest.mark.parametrize("indent", [None, 1])
def test_nested_texts_of_lines_come_back_as_they_are(indent: int | None) -> None:
    rows = [{"id": n, "review": {"text": review, "lang": "en"}} for n, review in enumerate(REVIEWS)]
    data = "\n".join(json.dumps(row) for row in rows) if indent is None else json.dumps(rows, indent=indent)

    read = document("a.jsonl", data)

    assert texts(read) == REVIEWS
    assert read.notes["text_field"] == ("review.text" if indent is None else "[].review.text")
    assert all("reviewbox_pointer" not in row for row in loaded(read))
    assert [{key: row[key] for key in ("id", "review")} for row in loaded(read)] == rows


def test_lists_in_lines_are_tables() -> None:
    pages = [{"page": 1, "reviews": records()[:3]}, {"page": 2, "reviews": records()[3:]}]

    read = document("a.jsonl", "\n".join(map(json.dumps, pages)))

    assert texts(read) == REVIEWS
    assert [row.line for row in read.rows] == [1, 1, 1, 2]
    assert [row["reviewbox_pointer"] for row in loaded(read)] == [f"/reviews/{n}" for n in (0, 1, 2, 0)]


def test_lists_in_lines_can_be_read_in_segments() -> None:
    pages = [
        {"reviews": [{**record, "title": f"A visit {record['id']}"} for record in records()]}
        for _ in range(9)
    ]
    data = "".join(json.dumps(page) + "\n" for page in pages).encode()
    options = ReadOptions(segment_bytes=500)
    taken: list[bytes] = []

    table = split(
        Content(BufferedReader(BytesIO(data)), options),
        LINE_FORMATS["JSON Lines"],
        options,
        lambda _, segment: taken.append(segment),
    )
    table = SegmentedTable.from_dict(json.loads(json.dumps(table.to_dict())))
    rows = [row for index, segment in enumerate(taken) for row in table.rows(index, segment, options)]

    assert len(taken) > 2
    assert rows == document("a.jsonl", data).rows
    assert table.schema.table.has_notes


def test_objects_without_separators_are_a_table() -> None:
    data = "".join(json.dumps(record) for record in records("feedback", note="{}"))

    for name in "delivery-2024-03", "a.json":
        read = document(name, data)

        assert texts(read) == REVIEWS
        assert read.notes["text_field"] == "feedback"


def test_an_element_of_another_kind_is_not_a_row() -> None:
    comments = [
        [{"userComment": {"text": review}}, {"developerComment": {"text": "Sorry!"}}] for review in REVIEWS
    ]

    read = document("a.json", json.dumps({"reviews": [{"id": 1, "comments": pair} for pair in comments]}))

    assert texts(read) == REVIEWS


@pytest.mark.parametrize(
    "value",
    [
        {"message": "Internal server error"},
        {"error": {"code": 17, "message": "The token has expired. Please ask for a new one."}},
        {"errors": [{"message": "The service is too busy for this, please try again."}], "data": None},
        {"reviews": [], "meta": {"note": "There are no reviews that match your filter."}},
        {"host": "db-1", "mail": {"footer": "You receive this because you bought something in our shop."}},
        {
            "cart.empty": "Your cart is empty",
            "review.thanks": "Thank you for your review, it was a pleasure!",
        },
        {"faq": [{"question": "Do you ship to Norway?", "answer": f"We do. {n}"} for n in range(4)]},
        [
            {"level": "INFO", "logger": "shop.pay", "message": f"The payment {n} was accepted"}
            for n in range(9)
        ],
        [{"sku": n, "description": f"{DESCRIPTION} {n}", "review_count": n} for n in range(4)],
        [{"review": n, "comments": n} for n in range(4)],
        {"reviewElements": [{"tagName": "DIV", "className": "box", "textContent": text} for text in REVIEWS]},
        {"messages": [{"role": "user", "content": review} for review in REVIEWS]},
        {"utterances": [{"text": review, "intent": "complain", "entities": []} for review in REVIEWS]},
        {"tickets": [{"subject": "A problem with the order", "description": review} for review in REVIEWS]},
        {"rows": [{"f": [{"v": "Ann Lee"}, {"v": review}]} for review in REVIEWS]},
        {"people": [{"fields": [{"name": "note", "value": review}]} for review in REVIEWS]},
        {"reviews": [{"text": f"https://img.example/{n}.jpg"} for n in range(4)]},
    ],
)
def test_what_is_not_reviews_is_refused(value: Any) -> None:
    assert refusal("a.json", json.dumps(value)).code is ErrorCode.NO_TEXT_FIELD


@pytest.mark.parametrize(
    ("value", "review"),
    [
        ({"review": "Good"}, "Good"),
        ({"text": "Good", "stars": 1}, "Good"),
        ({"data": {"id": 1, "text": "It was good."}}, "It was good."),
        ({"review": {"text": "It was good.", "lang": "en"}}, "It was good."),
        ({"message": "It was a good meal.", "rating": 5, "name": "Ann"}, "It was a good meal."),
    ],
)
def test_an_object_with_a_clear_review_is_one_review(value: Any, review: str) -> None:
    read = document("a.json", json.dumps(value))

    assert texts(read) == [review]
    assert read.table is None


def test_the_roles_of_customers_are_not_sides_of_a_chat() -> None:
    people = zip(REVIEWS, ("CTO", "Buyer", ["Buyer"]), strict=False)
    customers = [{"role": role, "company": "Acme", "content": review} for review, role in people]
    assert texts(document("a.json", json.dumps({"testimonials": customers}))) == [*REVIEWS[:3]]


def test_equal_candidates_are_refused_with_their_paths() -> None:
    value = {"items": [{"liked": a, "disliked": b} for a, b in zip(REVIEWS, reversed(REVIEWS), strict=True)]}

    problem = refusal("a.json", json.dumps(value))

    assert problem.code is ErrorCode.NO_TEXT_FIELD
    assert "'items[].liked'" in problem.message
    assert "'items[].disliked'" in problem.message
    assert not any(review in problem.message for review in REVIEWS)


def test_the_same_text_in_html_does_not_compete() -> None:
    value = [{"message": f"<p>{review}</p>", "raw_message": review} for review in REVIEWS]

    assert texts(document("a.json", json.dumps(value))) == REVIEWS


@pytest.mark.parametrize(
    "setting",
    ["items[].liked,items[].disliked", "liked,disliked", "items[].liked , disliked"],
)
def test_several_fields_are_joined_as_paragraphs(setting: str) -> None:
    value = {
        "items": [{"liked": "Food", "disliked": "Noise"}, {"liked": "", "disliked": "Price"}, {"liked": None}]
    }

    read = document("a.json", json.dumps(value), ReadOptions(setting))

    assert texts(read) == ["Food\n\nNoise", "Price", ""]
    assert problems(read) == [(1, ErrorCode.MISSING_FIELD)]


@pytest.mark.parametrize("setting", [r"a\.b[].x\,y", "x,y"])
def test_special_characters_of_names_are_escaped_in_paths(setting: str) -> None:
    value = {"a.b": [{"x,y": review, "z": review[::-1]} for review in REVIEWS]}

    read = document("a.json", json.dumps(value), ReadOptions(setting))

    assert texts(read) == REVIEWS
    assert read.notes["text_field"] == r"a\.b[].x\,y"


@pytest.mark.parametrize(
    "setting",
    ["nothing", "items[].nothing", "items[].liked,others[].liked", "liked", "items[].liked,nothing"],
)
def test_a_setting_that_does_not_name_fields_of_one_list_is_refused(setting: str) -> None:
    value = {"items": [{"liked": "Food"}], "others": [{"liked": "Noise"}]}

    assert refusal("a.json", json.dumps(value), ReadOptions(setting)).code is ErrorCode.NO_TEXT_FIELD


def test_the_title_replaces_an_empty_review() -> None:
    rows = [{"title": f"Visit {n}", "text": review} for n, review in enumerate(REVIEWS)]
    rows += [{"title": "Never again", "text": ""}, {"title": "So so"}, {"title": "", "text": ""}]

    read = document("a.jsonl", "\n".join(map(json.dumps, rows)))

    assert texts(read) == [*REVIEWS, "Never again", "So so", ""]
    assert read.notes["title_field"] == "title"
    returned = loaded(read)
    assert [row["note"] for row in returned[:4]] == [None] * 4
    assert "title" in returned[4]["note"]
    assert list(returned[4])[-2:] == ["error_message", "note"]


# --- what is tolerated -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "tolerated"),
    [
        ("a.jsonl", '{"text": "It was good."},\n{"text": "It was bad."},\n', "commas"),
        ("a.jsonl", ',{"text": "It was good."}\n,{"text": "It was bad."}\n', "commas"),
        ("a.jsonl", '\ufeff{"text": "It was good."}\n\ufeff{"text": "It was bad.",}\n', "commas"),
        ("a.jsonl", "{'text': 'It was good.', 'n': None}\n{'text': \"It was bad.\"}\n", "Python literals"),
        ("a.jsonl", '{"text": "It was good.", "n": NaN}\n{"text": "It was bad.", "n": -Infinity}\n', "NaN"),
        ("a.json", '[{"text": "It was good."},, {"text": "It was bad."},]', "commas"),
        ("a.json", '[{"text": "It was good.",}, {"text": "It was bad."}]', "commas"),
        ("a.json", '// all\n[{"text": "It was good."}, /* { */ {"text": "It was bad."}]', "comments"),
        ("a.json", "[{'text': 'It was good.', 'ok': True}, {'text': 'It was bad.'}]", "Python literals"),
        (
            "a.json",
            "{'data': {'reviews': [{'text': 'It was good.'}, {'text': 'It was bad.'}]}}",
            "Python literals",
        ),
        ("a.json", '{"a": [{"text": "It was good.", "n": NaN}, {"text": "It was bad."},]}', "NaN, commas"),
        ("a.json", '[{"text": "It was good."},\n\ufeff{"text": "It was bad."}]', "byte-order marks"),
        ("a.json", '{"text": "It was good.", "n": NaN},\n{"text": "It was bad."},', "NaN, commas"),
    ],
)
def test_deviations_that_lose_no_text_are_tolerated(name: str, data: str, tolerated: str) -> None:
    read = document(name, data)

    assert texts(read) == ["It was good.", "It was bad."]
    assert problems(read) == []
    assert read.notes["tolerated"] == tolerated
    assert [row["text"] for row in loaded(read)] == ["It was good.", "It was bad."]


def test_python_strings_are_read_with_their_escapes() -> None:
    values = ['It\'s "fine"', 'a "quote"', "tab\tand\\", "é\x85\x01 \U0001f600\U0001f1e9", "li\nne"]

    read = document(
        "a.jsonl", "\n".join(repr({"text": value, "n": None}) for value in values), ReadOptions("text")
    )

    assert texts(read) == values
    assert [row["text"] for row in loaded(read)] == values


def test_a_row_with_nan_is_written_back_unchanged() -> None:
    line = '{"id": 1.10, "score": NaN, "text": "It was good."}'

    assert written(document("a.jsonl", line)).startswith(line[:-1] + ',"sentiment":"positive"')


def test_a_broken_value_stays_in_place() -> None:
    rows = [json.dumps(record) for record in records()]
    rows.insert(2, '{"text": "cut off, {"a": [{"b": 1')

    read = document("a.json", "[" + ",\n".join(rows) + "]")

    assert texts(read) == [*REVIEWS[:2], "", *REVIEWS[2:]]
    assert problems(read) == [(3, ErrorCode.BROKEN_JSON)]


# --- the choice does not depend on what does not matter --------------------------------------------------


def unrelated(rng: random.Random) -> dict[str, Any]:
    """Return fields that have nothing to do with reviews."""
    return {
        "order_id": f"{rng.randrange(10**9):x}",
        "created": f"2024-0{rng.randrange(1, 9)}-1{rng.randrange(9)}",
        "product": {
            "name": rng.choice(["Large round table", "Small lamp with shade"]),
            "price": rng.random(),
        },
        "tags": rng.sample(["garden", "home", "kitchen"], 2),
        "url": f"https://shop.example/{rng.randrange(99)}",
        "verified": rng.random() < 0.5,
        "city": rng.choice(["Leeds", "New York", "Bath"]),
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("field", ["comment", "review_text", "Feedback", "opinion", "verbatim", "Bewertung"])
@pytest.mark.parametrize("shape", ["lines", "array", "list", "map", "nested"])
def test_order_names_gaps_and_other_fields_do_not_change_the_choice(
    shape: str, field: str, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret
    reviews = [f"{a} {b}" for a in REVIEWS for b in REVIEWS]
    rows, expected = [], []
    for review in reviews:
        text = review if rng.random() > 0.1 else rng.choice(["", None])
        members = [*unrelated(rng).items(), (field, text)]
        rng.shuffle(members)
        rows.append(
            dict(members[rng.randrange(2) :])
            if text is not None and members[0][0] != field
            else dict(members)
        )
        expected.append(text or "")
    data = {
        "lines": "\n".join(map(json.dumps, rows)),
        "array": json.dumps(rows),
        "list": json.dumps({"info": "This is page one of all that we have.", "rows": rows}),
        "map": json.dumps({f"-N{n}a": row for n, row in enumerate(rows)}),
        "nested": json.dumps([{"shop": "A", "rows": rows[:5]}, {"shop": "B", "rows": rows[5:]}]),
    }[shape]

    read = document("a.jsonl" if shape == "lines" else "a.json", data)

    assert texts(read) == expected
    assert str(read.notes["text_field"]).endswith(field)


@pytest.mark.parametrize("seed", range(4))
def test_broken_rows_do_not_change_the_choice(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret
    rows = [json.dumps({**unrelated(rng), "comment": f"{a} {b}"}) for a in REVIEWS for b in REVIEWS]
    broken = set(rng.sample(range(len(rows)), 2))
    rows = [row[:-4] if n in broken else row for n, row in enumerate(rows)]

    for data, name in (("\n".join(rows), "a.jsonl"), ("[" + ",\n".join(rows) + "]", "a.json")):
        read = document(name, data)

        assert {row.line - 1 for row in read.rows if row.problem} >= broken
        assert str(read.notes["text_field"]).endswith("comment")


# --- work ------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[int], str]] = {
    "spaces in a string": lambda n: '[{"text": "It was' + " " * n + 'good."}]',
    "spaces between values": lambda n: '[{"text": "It was good."},' + " " * n + '{"text": "Bad"}]',
    "line breaks in an object": lambda n: '{"reviews": [{"text": "It was good.",' + "\n" * n + '"n": 1}]}',
    "quotes that do not close": lambda n: "[" + '{"text": "good, ' * (n // 16),
    "single quotes that do not close": lambda n: "[" + "{'text': 'good, " * (n // 16),
    "comments that do not close": lambda n: "[{}," + "{/*," * (n // 4),
    "broken nested arrays": lambda n: '[{"text": "It was good."},' + '{"a":[' * (n // 6),
    "broken nested arrays that close": lambda n: "[" + '{"a":[' * (n // 8) + "x" + "]}" * (n // 8) + "]",
    "broken rows": lambda n: "[" + '{"text" "a"},\n' * (n // 14) + "]",
    "deep arrays": lambda n: "[" * n,
    "deep objects": lambda n: '[{"text": "It was good."},' + '{"a":' * (n // 3) + "1" + "}" * (n // 3) + "]",
    "commas between values": lambda n: '[{"text": "It was good."}' + "," * n + '{"text":"Bad"}]',
    "commas in an object": lambda n: '[{"text": "It was good."' + "," * n + "}]",
    "backslashes": lambda n: '[{"text": "It was good' + "\\" * n + '"}]',
    "many names": lambda n: "[{" + ",".join(f'"k{i}": "It was good."' for i in range(n // 20)) + "}]",
    "records by id": lambda n: "{" + ",".join(f'"k{i}": {{"text": "Good."}}' for i in range(n // 24)) + "}",
    "a list": lambda n: (
        '{"a": {"b": [' + ",".join('{"text": "It was good."}' for _ in range(n // 24)) + "]}}"
    ),
    "columns": lambda n: '{"text": {' + ",".join(f'"{i}": "It was good {i}."' for i in range(n // 24)) + "}}",
}


def work(data: str) -> int:
    """Return how many lines of Python are executed to read a file."""
    return lines_executed(partial(attempt, "a.json", data, ReadOptions(max_line_length=10**9)))


@pytest.mark.parametrize("shape", HOSTILE.values(), ids=HOSTILE)
def test_the_work_grows_with_the_size(shape: Callable[[int], str]) -> None:
    small, large = work(shape(3_000)), work(shape(12_000))

    assert large <= 4.1 * small


@pytest.mark.parametrize("shape", HOSTILE.values(), ids=HOSTILE)
def test_no_expression_scans_a_text_again_and_again(shape: Callable[[int], str]) -> None:
    """A scan in quadratic time takes minutes. The limit is far from both."""
    started = time.process_time()

    attempt("a.json", shape(100_000), ReadOptions(max_line_length=10**9))

    assert time.process_time() - started < 10


def test_an_object_may_map_ids_to_lists_of_reviews() -> None:
    """Websites keep the reviews of each product this way."""
    data = {
        f"kettle-{n}x": [{"name": "Ann", "stars": 4, "text": f"Boils fast, and I like it. {n}"}]
        for n in range(4)
    }

    assert len(texts(document("reviews.json", json.dumps(data)))) == 4


@pytest.mark.parametrize(
    "names",
    [("ann", "user2"), ("1", "7", "12", "14", "20", "21", "22"), ("kettles", "pumps", "lamps")],
    ids=["two people", "most are empty", "kinds"],
)
def test_no_list_of_reviews_of_the_same_kind_is_left_out(names: tuple[str, ...]) -> None:
    """Those of some keys are empty."""
    filled = names if len(names) == 2 else [*names[:2], names[-1]]
    reviews = {name: [{"by": "Bob", "comment": f"I like this one, {name}"}] for name in filled}

    read = document("reviews.json", json.dumps({name: reviews.get(name, []) for name in names}))

    assert texts(read) == [review["comment"] for name in filled for review in reviews[name]]


def test_products_may_have_their_reviews_by_id_and_some_only_one() -> None:
    """Firebase keeps lists so."""
    reviews = {f"-N{n}x": {"stars": 4, "said": review} for n, review in enumerate(REVIEWS)}
    first, *others = ({key: value} for key, value in reviews.items())
    by_product = {"B07X1": first, "B08Y2": {key: value for other in others for key, value in other.items()}}
    lines = [{"sku": sku, "reviews": of_product} for sku, of_product in by_product.items()]

    assert texts(document("reviews.json", json.dumps(by_product))) == REVIEWS
    assert texts(document("reviews.json", json.dumps(lines))) == REVIEWS
    assert texts(document("reviews.jsonl", "\n".join(map(json.dumps, lines)))) == REVIEWS


def test_an_object_may_map_names_to_the_reviews_of_each_day() -> None:
    days = [{f"2026-07-0{n}": [{"stars": 2, "text": review}]} for n, review in enumerate(REVIEWS, 1)]
    apps = {name: {"reviews_by_day": day} for name, day in zip(("Chat", "Maps", "Notes"), days, strict=False)}

    assert texts(document("apps.json", json.dumps(apps))) == REVIEWS[:3]


@pytest.mark.parametrize("key", ["https://video.example/watch?v={}", "B0{}"])
def test_an_object_may_map_links_and_ids_to_lists_of_texts(key: str) -> None:
    by_key = {key.format(1): REVIEWS[:1], key.format(2): REVIEWS[1:]}

    read = document("comments.json", json.dumps(by_key))

    assert texts(read) == REVIEWS
    assert read.notes["text_field"] == "*[]"
    escaped = key.format(2).replace("/", "~1")
    assert loaded(read)[2]["reviewbox_pointer"] == f"/{escaped}/1"


def test_an_object_does_not_map_languages_to_different_reviews() -> None:
    data = [
        {"by": {key: {"said": f"{key}: {review}", "stars": 4} for key in ("en", "fr", "de")}}
        for review in REVIEWS
    ]

    problem = refusal("translated.json", json.dumps(data))

    assert "'[].by.en.said'" in problem.message


def test_the_text_is_read_and_not_its_copy_in_which_a_search_marks_words() -> None:
    hits = [
        {"content": review, "_highlightResult": {"content": {"value": review.replace("was", "<em>was</em>")}}}
        for review in REVIEWS
    ]

    assert document("hits.json", json.dumps({"hits": hits})).notes["text_field"] == "hits[].content"


def test_the_mark_of_a_shortened_text_is_not_a_review() -> None:
    """A scraper lists the texts of an element, the last of which may be an ellipsis."""
    lines = [{"content": [review, "..."]} for review in REVIEWS]

    assert texts(document("scraped.jsonl", "\n".join(map(json.dumps, lines)))) == REVIEWS


def test_a_language_is_not_the_name_of_a_text() -> None:
    """Contentful keeps the texts of each language this way."""
    statements = ["They mended the roof within a day.", "The bill doubled once the work had started."]
    items = [{"fields": {"statement": {"en-GB": statement}}} for statement in statements]

    assert texts(document("entries.json", json.dumps({"items": items}))) == statements


def test_the_paragraphs_of_a_text_are_one_review() -> None:
    data = [{"name": "Ivo", "content": REVIEWS[:2]}, {"name": "Una", "content": ["Bad.", "", "Never again."]}]

    read = document("reviews.json", json.dumps(data))

    assert texts(read) == ["\n\n".join(REVIEWS[:2]), "Bad.\n\nNever again."]
    assert [row["content"] for row in loaded(read)] == [record["content"] for record in data]


def test_an_array_under_a_plural_or_among_columns_is_not_one_text() -> None:
    by_product = [{"name": "Kettle", "answers": REVIEWS[:2]}, {"name": "Lamp", "answers": REVIEWS[2:]}]
    by_column = {"text": REVIEWS, "stars": [1, 5, 4, 2]}

    assert texts(document("reviews.json", json.dumps(by_product))) == REVIEWS
    assert texts(document("reviews.jsonl", json.dumps(by_column))) == REVIEWS


def test_many_lists_of_the_same_kind_may_have_any_names() -> None:
    titles = "name tags lamp-review ideas my-email a-cat-photo about 12-hours phone how-i-write".split()
    data = {title: records()[number % 4 :][:1] for number, title in enumerate(titles)}

    assert len(texts(document("comments.json", json.dumps(data)))) == len(titles)


@pytest.mark.parametrize("names", [["number", "remark"], ["Nr.", "What would you do?"], ["#", "idea"]])
@pytest.mark.parametrize("key", ["values", ""])
def test_the_first_row_may_name_the_columns(names: list[str], key: str) -> None:
    rows = [names, *([number, review] for number, review in enumerate(REVIEWS))]

    read = document("sheet.json", json.dumps({"range": "A1:B5", key: rows} if key else rows))

    assert texts(read) == REVIEWS
    assert [row[names[1]] for row in loaded(read)] == REVIEWS


def test_the_first_of_rows_without_names_is_a_review() -> None:
    for rows in ([[n, review] for n, review in enumerate(REVIEWS)], [["Ann", review] for review in REVIEWS]):
        assert texts(document("sheet.json", json.dumps(rows))) == REVIEWS
        assert texts(document("sheet.json", json.dumps({"values": rows}))) == REVIEWS
