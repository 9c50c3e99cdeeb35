import base64
import hashlib
import re
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.pages import data_of, texts_of

import reviewbox
from reviewbox.model.verdicts import Evidence
from reviewbox.report import Failure, Readers, ReportOptions, Result, Sentence, Summary, render, report
from reviewbox.report.summary import EMPTY, Dimension, Kind

HOSTILE = (
    "Nice</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \u2028\u2029 &amp; ${1} \ud800"
)


def review(
    label: str = "positive", text: str = "Fine.", line: int = 1, score: float = 0.9, **cells: str
) -> Result:
    return Result("a.csv", "a.csv", line, label, score, score < 0.7, text=text, cells=cells)


def one_sentence_each(texts: Sequence[str]) -> Iterator[Sequence[Sentence]]:
    """Classify sentences by a word that they have."""
    for text in texts:
        ends = [match.end() for match in re.finditer(r"[^.]*\.", text)]
        starts = [0, *ends[:-1]]
        yield [
            Sentence(start, end, "negative" if "bad" in text[start:end] else "positive", 0.9)
            for start, end in zip(starts, ends, strict=True)
        ]


def dimension(summary: Summary, name: str) -> Dimension:
    return next(found for found in summary.dimensions if found.name == name)


def test_shares_are_counted_with_the_uncertainty_of_their_number() -> None:
    """The Wilson interval of 1 of 10 is 1.8 to 40.4%."""
    page = render(report([review("negative"), *(review() for _ in range(9))]))

    assert "10 reviews" in page
    assert '<th scope="row">negative</th><td>10.0%</td><td>1.8–40.4%</td><td>1</td>' in page


def test_labels_are_ordered_from_negative_to_positive_and_others_follow() -> None:
    results = [review(label) for label in ("positive", "joy", "mixed", "negative")]

    assert report(results).labels == ["negative", "mixed", "positive", "joy"]


def test_useful_columns_are_found_and_the_most_telling_comes_first() -> None:
    """A column of ids or of prices is not a category, and one with a single value says nothing."""
    results = [
        review(
            "negative" if number % 2 else "positive",
            id=str(number),
            price=f"{number}.95",
            currency="EUR",
            store=("Oslo", "Rome")[number % 2],
            color=("red", "blue", "green")[number % 3],
        )
        for number in range(300)
    ]

    summary = report(results)

    assert [found.name for found in summary.dimensions] == ["store", "color"]
    assert dimension(summary, "store").values == ["Oslo", "Rome"]
    assert dimension(summary, "store").counts == [[0, 150], [150, 0]]
    assert summary.left_out == ["id", "price", "currency"]


def test_ids_that_repeat_are_not_categories() -> None:
    results = [review(order_id=str(number % 5), shop=f"shop {number % 5}") for number in range(100)]

    assert [found.name for found in report(results).dimensions] == ["shop"]


def test_a_column_can_be_chosen_whatever_its_values_are() -> None:
    results = [review(price=f"{number}.95") for number in range(300)]

    found = dimension(report(results, ReportOptions(by=["price"])), "price")

    assert len(found.values) == 41
    assert found.values[-1] == "(other)"
    assert sum(map(sum, found.counts)) == 300


def test_rows_without_a_value_are_counted_as_empty() -> None:
    results = [review(store=("Oslo", "Rome", "")[number % 3]) for number in range(30)]

    found = dimension(report(results), "store")

    assert dict(zip(found.values, found.counts, strict=True)) == {"Oslo": [10], "Rome": [10], "(empty)": [10]}


def test_a_column_of_numbers_is_in_their_order() -> None:
    """Even if it has gaps: nobody looks for a grade from 0 to 10 in the order of its frequency."""
    grades = ["10"] * 9 + ["9,5"] * 6 + ["0"] * 5 + ["2"] * 4 + [""] * 3
    results = [review("negative" if grade == "0" else "positive", nps=grade) for grade in grades]

    assert dimension(report(results), "nps").values == ["0", "2", "9,5", "10", EMPTY]


@pytest.mark.parametrize("name", ["inf", "-Infinity"])
def test_names_that_python_reads_as_numbers_are_names(name: str) -> None:
    products = ["10"] * 9 + [name] * 6 + ["2"] * 4
    results = [review("good", product=product) for product in products]

    assert dimension(report(results), "product").values == ["10", name, "2"]


def test_files_are_compared_and_single_reviews_are_by_their_folder() -> None:
    results = [
        review(),
        Result("films/a.txt", "films/", label="negative", score=0.9),
        Result("films/b.txt", "films/", label="positive", score=0.9),
    ]

    found = dimension(report(results), "file")

    assert dict(zip(found.values, found.counts, strict=True)) == {"films/": [1, 1], "a.csv": [0, 1]}


def test_any_number_of_files_is_counted() -> None:
    results = (Result(f"{n // 2}.csv", f"{n // 2}.csv", label="neutral", score=0.9) for n in range(50_000))

    summary = report(results, ReportOptions(sampled_rows=10, sampled_texts=10))

    assert summary.sources == 25_000
    assert len(dimension(summary, "file").values) == 41


@pytest.mark.parametrize(
    ("cells", "periods"),
    [
        (["2025-01-31", "2025-02-01T10:00:00Z"], ["2025-01-31", "2025-02-01"]),
        (["31.01.2025", "01.02.2025"], ["2025-01-31", "2025-02-01"]),
        (["1/31/2025 10:00 AM", "2/1/2025 9:00 PM"], ["2025-01-31", "2025-02-01"]),
        (["January 31, 2025", "Feb 1, 2025"], ["2025-01-31", "2025-02-01"]),
        (["31 Jan 2025", "Sat, 1 February 2025 10:00"], ["2025-01-31", "2025-02-01"]),
        (["1738281600", "1738411200000"], ["2025-01-31", "2025-02-01"]),
        (["2025-01", "2025-02"], ["2025-01", "2025-02"]),
        (["20250131", "20250201"], ["2025-01-31", "2025-02-01"]),
    ],
)
def test_a_column_of_dates_is_a_course_of_time(cells: list[str], periods: list[str]) -> None:
    found = dimension(report([review(created=cell) for cell in cells * 3]), "created")

    assert found.kind is Kind.DATE
    assert found.values == periods


def test_many_days_or_days_with_few_reviews_are_shown_by_month_and_many_months_by_year() -> None:
    days = [f"2025-{month:02}-{day:02}" for month in range(1, 13) for day in range(1, 29)]
    months = [f"{year}-{month:02}-01" for year in range(2000, 2020) for month in range(1, 13)]

    few = dimension(report([review(day="2025-01-31"), review(day="2025-02-01")]), "day")
    by_month = dimension(report([review(day=day) for day in days]), "day")
    only_firsts = dimension(report([review(day=day) for day in months[:12] * 3]), "day")
    by_year = dimension(report([review(day=day) for day in months]), "day")

    assert few.values == ["2025-01", "2025-02"]
    assert by_month.values == [f"2025-{month:02}" for month in range(1, 13)]
    assert only_firsts.values == [f"2000-{month:02}" for month in range(1, 13)]
    assert by_year.values == [str(year) for year in range(2000, 2020)]


def test_decades_of_days_are_counted_by_year() -> None:
    days = [
        f"{year}-{month:02}-{day:02}"
        for year in range(2000, 2012)
        for month in range(1, 13)
        for day in range(1, 29)
    ]

    found = dimension(report([review(day=day) for day in days]), "day")

    assert found.values == [str(year) for year in range(2000, 2012)]
    assert [count for (count,) in found.counts] == [12 * 28] * 12


def test_a_column_with_a_few_dates_is_not_a_course_of_time() -> None:
    cells = [f"2025-01-{n % 28 + 1:02}" if n % 2 else f"no date {n % 3}" for n in range(200)]

    kinds = {found.kind for found in report([review(note=cell) for cell in cells]).dimensions}

    assert Kind.DATE not in kinds


def test_a_rating_beyond_every_scale_is_not_a_rating() -> None:
    summary = report([review(score_points=str(n % 4 * 500)) for n in range(40)])

    assert [found.kind for found in summary.dimensions] == [Kind.COLUMN]


def test_a_date_that_could_be_read_in_two_ways_is_noted() -> None:
    found = dimension(report([review(date=cell) for cell in ("3/4/2025", "5/6/2025") * 3]), "date")

    assert found.values == ["2025-03", "2025-05"]
    assert "month/day" in found.note


def test_numbers_are_dates_only_in_a_column_called_like_one() -> None:
    """A Unix time looks like an order number."""
    summary = report([review(order=str(1738281600 + 100_000 * number)) for number in range(30)])

    assert not summary.dimensions


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "5"], ["1", "2", "3", "4", "5"]),
        (["2.0", "5.0"], ["2", "3", "4", "5"]),
        (["1 star", "3 stars"], ["1", "2", "3"]),
        (["★★☆☆☆", "★★★★☆"], ["2", "3", "4"]),
        (["4/5", "5/5"], ["4", "5"]),
        (["35", "90"], ["35", "90"]),
        (["4", "5", "NULL", ""], ["4", "5"]),
        ([*["4", "5"] * 10, "see text"], ["4", "5"]),
    ],
)
def test_a_column_called_like_a_rating_is_one(cells: list[str], values: list[str]) -> None:
    found = dimension(report([review(stars=cell) for cell in cells]), "stars")

    assert found.kind is Kind.RATING
    assert found.values == values


def test_reviews_that_disagree_with_their_rating_are_listed_the_surest_first() -> None:
    results = [
        review("positive", "Praise with one star.", score=0.8, stars="1"),
        review("positive", "Surer praise with two stars.", score=0.9, stars="2"),
        review("negative", "Blame with five stars.", score=0.7, stars="5"),
        review("positive", "Praise with five stars.", stars="5"),
        review("mixed", "Both with one star.", stars="1"),
    ]

    found = [r for r in report(results).reviews if "disagrees" in r.views]

    assert sorted(r.segments[0].text for r in found) == [
        "Blame with five stars.",
        "Praise with one star.",
        "Surer praise with two stars.",
    ]


def test_reviews_to_read_first_are_the_uncertain_the_mixed_and_the_strongest() -> None:
    results = [
        review("positive", "unsure", score=0.4),
        review("mixed", "both", score=0.8),
        review("negative", "sure", score=0.99),
    ]

    views = {r.segments[0].text: set(r.views) for r in report(results).reviews}

    assert views == {"unsure": {"uncertain", "praise"}, "both": {"mixed"}, "sure": {"blame"}}


def test_a_text_that_repeats_is_read_once() -> None:
    """Otherwise one answer that many people give fills the lists."""
    results = [review("positive", "OK.", line, 0.5, stars="1") for line in range(1, 50)]
    results += [review("positive", f"Fine, number {line}.", line, 0.6, stars="5") for line in range(60, 63)]
    results += [
        review("positive", "", line, 0.5) for line in range(70, 73)
    ]  # nobody knows whether they repeat

    found = report(results).reviews

    assert sorted(r.line for r in found if "uncertain" in r.views) == [1, 60, 61, 62, 70, 71, 72]
    assert [r.line for r in found if "disagrees" in r.views] == [1]


def test_phrases_come_from_sentences_that_agree_with_the_verdict() -> None:
    results = [
        review("negative", "The handle is bad. The lid is blue.", line=1),
        review("negative", "A bad handle again.", line=2),
        review("positive", "A fine kettle. The handle is bad.", line=3),
        review("positive", "My kettle is fine.", line=4),
    ]

    summary = report(results, readers=Readers(score_sentences=one_sentence_each))

    found = {(phrase.label, phrase.text): len(phrase.mentions) for phrase in summary.phrases}
    assert found == {("negative", "handle"): 2, ("positive", "kettle"): 2}


def test_a_phrase_leads_to_its_sentences() -> None:
    results = [review("negative", f"Hello. The handle is bad{'!' * n}.", line=n) for n in range(3)]

    summary = report(results, readers=Readers(score_sentences=one_sentence_each))

    (phrase,) = summary.phrases
    sentences = {summary.reviews[m.review].segments[m.segment].text.strip() for m in phrase.mentions}
    assert sentences == {"The handle is bad.", "The handle is bad!.", "The handle is bad!!."}


def test_evidence_is_shown_where_sentences_are_not_classified() -> None:
    evidence = (Evidence(6, 14, "negative", 2.0), Evidence(0, 5, "negative", -1.0))
    result = Result(
        "a.txt", "single files", label="negative", score=0.9, text="Good. Bad lid. Blue.", evidence=evidence
    )

    (found,) = report([result], ReportOptions(scored_sentences=0)).reviews

    assert [(s.text, s.label, s.is_evidence) for s in found.segments] == [
        ("Good. ", "", False),
        ("Bad lid.", "negative", True),
        (" Blue.", "", False),
    ]


def test_texts_are_read_for_the_reviews_on_the_page_only() -> None:
    asked: list[str] = []

    def read_texts(results: Sequence[Result]) -> list[str]:
        asked.extend(result.source for result in results)
        return [f"text of {result.source}" for result in results]

    results = [Result(f"{n}.txt", "single files", label="neutral", score=0.9, text=None) for n in range(50)]
    summary = report(results, ReportOptions(sampled_texts=5), Readers(read_texts))

    assert len(asked) == 5
    assert {r.segments[0].text for r in summary.reviews} == {f"text of {name}" for name in asked}


def test_answers_about_other_languages_come_with_a_warning() -> None:
    results = [review(), replace(review("neutral"), other_language=True)]

    assert "1 of 2 reviews is in a language that the model does not know" in render(report(results))
    assert "in a language" not in render(report(results[:1]))


def test_reviews_in_other_languages_can_be_left_out() -> None:
    known, other = review("positive"), replace(review("neutral"), other_language=True)

    summary = report([known] * 5 + [other] * 3)

    languages = dimension(summary, "known language")
    assert dict(zip(languages.values, languages.counts, strict=True)) == {
        "yes": [0, 5],
        "no": [3, 0],
    }
    codes = {row.label: row.codes for row in summary.rows}
    assert languages.values[codes[1][0]] == "yes"
    assert "filter by “known language”" in render(summary)
    assert "known language" not in render(report([other] * 3))


def test_phrases_do_not_come_from_other_languages() -> None:
    texts = ["Das Bett war gut."] * 30
    results = [replace(review(text=text, line=n), other_language=True) for n, text in enumerate(texts)]

    assert not report(results, readers=Readers(score_sentences=one_sentence_each)).phrases


def test_a_column_of_one_file_among_several_is_compared() -> None:
    """It is filled in the rows of its file, and empty in none of them."""
    app = [review("positive", line=n) for n in range(60)]
    rooms = {"old": "negative", "new": "positive"}
    hotel = [replace(review(label, room=room), source="b.csv") for room, label in rooms.items()] * 20

    values = dimension(report(app + hotel), "room").values

    assert set(values) == {"old", "new", EMPTY}


def test_a_column_that_is_called_by_a_star_is_a_rating() -> None:
    results = [replace(review(), cells={"★": str(1 + number % 5)}) for number in range(20)]

    assert dimension(report(results), "★").kind is Kind.RATING


def test_failures_are_listed_with_line_reason_and_remedy() -> None:
    failure = Failure("a.csv", 7, "ragged_row", "line 7: 3 fields, but the header has 2")
    summary = report([review(), Result("a.csv", "a.csv", 6, failure=failure)])

    (group,) = data_of(render(summary))["failures"]

    assert group["code"] == "ragged_row"
    assert group["remedy"] == "quote the fields that contain delimiters"
    assert group["listed"] == [["a.csv", 7, "line 7: 3 fields, but the header has 2"]]
    assert summary.total == 1


def test_a_long_text_is_cut_and_the_page_says_so() -> None:
    (found,) = report([review(text="word " * 5000)]).reviews

    assert found.is_cut
    assert sum(len(segment.text) for segment in found.segments) == 4000


def test_text_cannot_become_markup_or_script() -> None:
    """Whatever a review, a column or a title holds, the page has only its own scripts."""
    plain = render(report([review(text="plain", store="x")], ReportOptions(title="plain")))
    hostile = render(report([review(text=HOSTILE, store=HOSTILE)], ReportOptions(title=HOSTILE)))

    assert hostile.count("<script") == plain.count("<script")
    assert "<img" not in hostile
    assert "alert(1)</script>" not in hostile
    assert texts_of(hostile) == [HOSTILE.replace("\ud800", "?")]


def test_the_page_forbids_network_and_every_script_but_its_own() -> None:
    page = render(report([review()]))

    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert "default-src &#x27;none&#x27;" in policy
    assert re.findall(r"sha256-([A-Za-z0-9+/=]+)", policy) == hashes
    assert not re.search(r"<[a-z][^>]*\s(?:src|on[a-z]+)=", page.split("<script", 1)[0])
    assert sum(map(len, scripts)) < 1_500_000


def test_the_libraries_of_the_page_are_those_that_were_checked_and_keep_their_licenses() -> None:
    """`make vendor` writes the digests after it has checked those of the packages."""
    folder = Path(reviewbox.__file__).parent / "report" / "page" / "vendor"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in map(str.split, lines)}

    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listed}

    assert found == listed
    assert {"d3.min.js", "plot.min.js", "LICENSES.txt"} == set(listed)
    assert "Copyright 2020-2025 Observable" in render(report([review()]))


def test_a_redacted_page_has_no_text_of_a_review() -> None:
    texts = ["The handle is bad. Call me on 555-0100.", "A bad handle, says Ms Unique."]
    results = [review("negative", text, row) for row, text in enumerate(texts, 1)]
    readers = Readers(score_sentences=one_sentence_each)

    redacted = data_of(render(report(results, ReportOptions(is_redacted=True), readers)))

    assert not any(r["segments"] for r in redacted["reviews"])
    assert not any(word in str(redacted) for word in ("555", "Unique", "unique", "handle"))
    assert data_of(render(report(results, readers=readers)))["reviews"][0]["segments"]


def test_a_redacted_page_keeps_phrases_of_many_reviews() -> None:
    results = [review("negative", "The handle is bad.", row) for row in range(5)]

    summary = report(results, ReportOptions(is_redacted=True), Readers(score_sentences=one_sentence_each))

    assert [(phrase.text, len(phrase.mentions)) for phrase in summary.phrases] == [("handle is bad", 5)]


def test_the_same_results_give_the_same_page() -> None:
    def page() -> str:
        results = (review(text=f"Text {n}.", line=n, store="ab"[n % 2]) for n in range(500))
        return render(report(results, ReportOptions(sampled_rows=100, sampled_texts=10)))

    assert page() == page()


def test_a_sample_is_stated_on_the_page() -> None:
    results = (review(text=f"Text {n}.", line=n) for n in range(500))

    summary = report(results, ReportOptions(sampled_rows=100, sampled_texts=10))

    assert summary.total == 500
    assert len(summary.rows) == 100
    assert sum(r.is_sampled for r in summary.reviews) == 10
    assert "Unfiltered counts are of all 500 reviews" in summary.notes[0]


def test_memory_does_not_grow_with_the_number_of_results() -> None:
    """Forty times as many rows, with ids and texts that are all different, take about the same memory."""

    def peak(rows: int) -> int:
        results = (
            review(
                text=f"Text {n}. " * 20,
                line=n,
                id=f"order {n}",
                date=f"2025-01-{n % 28 + 1}",
                store="ab"[n % 2],
            )
            for n in range(rows)
        )
        tracemalloc.start()
        report(results, ReportOptions(sampled_rows=100, sampled_texts=20))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    few = peak(200)

    assert peak(8_000) < 2 * few
