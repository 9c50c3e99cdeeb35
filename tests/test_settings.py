from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbox.errors import SettingsError
from reviewbox.settings import Settings

# A different value for each setting, and whether results depend on it.
CHANGES: dict[str, tuple[Any, bool]] = {
    "results_bucket": ("elsewhere", False),
    "source_prefix": ("dropped/", False),
    "results_prefix": ("verdicts/", False),
    "text_field": ("note", True),
    "fallback_encoding": ("", True),
    "labels": (2, True),
    "needs_review_below": (0.6, True),
    "max_object_bytes": (1000, True),
    "segment_bytes": (2000, True),
    "work_prefix": ("scratch/", False),
    "queue_url": ("https://sqs.eu-central-1.amazonaws.com/123456789012/uploads", False),
    "max_receives": (3, False),
    "threads": (2, False),
    "objects_at_once": (4, False),
    "model_dir": ("/opt/model", False),
    "metrics_namespace": ("Reviewbox/shop", False),
    "event_bus": ("default", False),
    "catalog_prefix": ("copies/", False),
}


def error_message(**environ: str) -> str:
    """Return the message about invalid variables, which are given without their prefix."""
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ({f"REVIEWBOX_{name}": value for name, value in environ.items()})
    return str(raised.value)


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environ({}) == Settings()


@pytest.mark.parametrize(("labels", "value"), [("2", 0.93), ("4", 0.7), ("", 0.7)])
def test_the_default_for_a_person_s_look_depends_on_the_number_of_labels(labels: str, value: float) -> None:
    """The score of the better of two answers is higher than that of the best of four."""
    environ = {"REVIEWBOX_LABELS": labels, "REVIEWBOX_NEEDS_REVIEW_BELOW": ""}

    assert Settings.from_environ(environ).needs_review_below == value
    environ["REVIEWBOX_NEEDS_REVIEW_BELOW"] = "0.8"
    assert Settings.from_environ(environ).needs_review_below == 0.8


def test_every_setting_has_a_variable() -> None:
    environ = {f"REVIEWBOX_{name.upper()}": str(value) for name, (value, _) in CHANGES.items()}

    settings = Settings.from_environ(environ)

    assert settings == Settings(**{name: value for name, (value, _) in CHANGES.items()})
    assert list(CHANGES) == [setting.name for setting in fields(Settings)]


def test_other_variables_are_ignored() -> None:
    assert Settings.from_environ({"THREADS": "8", "AWS_REGION": "x", "reviewbox_threads": "8"}) == Settings()


def test_an_error_names_every_invalid_variable() -> None:
    message = error_message(
        SOURCE_PREFIX="incoming",
        RESULTS_PREFIX="results",
        FALLBACK_ENCODING="klingon",
        NEEDS_REVIEW_BELOW="high",
        MAX_OBJECT_BYTES="0",
        MAX_RECEIVES="-1",
        THREADS="two",
        TEXT_FIELD="fine",
    )

    bad = (
        "SOURCE_PREFIX", "RESULTS_PREFIX", "FALLBACK_ENCODING", "NEEDS_REVIEW_BELOW", "MAX_OBJECT_BYTES",
        "MAX_RECEIVES", "THREADS",
    )  # fmt: skip
    assert sorted(part.split()[0].partition("=")[0].rstrip(":") for part in message.split("; ")) == sorted(
        f"REVIEWBOX_{name}" for name in bad
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SOURCE_PREFIX", "incoming"),
        ("RESULTS_PREFIX", "results"),
        ("FALLBACK_ENCODING", "klingon"),
        ("FALLBACK_ENCODING", "base64"),
        ("FALLBACK_ENCODING", "rot13"),
        ("LABELS", "3"),
        ("NEEDS_REVIEW_BELOW", "1.01"),
        ("NEEDS_REVIEW_BELOW", "-0.1"),
        ("NEEDS_REVIEW_BELOW", "nan"),
        ("MAX_OBJECT_BYTES", "0"),
        ("MAX_OBJECT_BYTES", "16MB"),
        ("MAX_RECEIVES", "0"),
        ("THREADS", "0"),
        ("THREADS", "1.5"),
    ],
)
def test_an_invalid_value_is_refused(name: str, value: str) -> None:
    assert f"REVIEWBOX_{name}" in error_message(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEEDS_REVIEW_BELOW", "0"),
        ("NEEDS_REVIEW_BELOW", "1"),
        ("FALLBACK_ENCODING", ""),
        ("FALLBACK_ENCODING", "utf-16"),
        ("FALLBACK_ENCODING", "undefined"),
        ("FALLBACK_ENCODING", "Shift_JIS"),
        ("MAX_OBJECT_BYTES", "1"),
        ("TEXT_FIELD", ""),
    ],
)
def test_a_boundary_value_is_accepted(name: str, value: str) -> None:
    settings = Settings.from_environ({f"REVIEWBOX_{name}": value})

    assert str(getattr(settings, name.lower())) in {value, f"{value}.0"}


@pytest.mark.parametrize(
    ("source", "results"),
    [("a/", "a/"), ("a/", "a/b/"), ("a/b/", "a/"), ("", "results/"), ("incoming/", ""), ("", "")],
)
def test_prefixes_must_not_overlap_in_one_bucket(source: str, results: str) -> None:
    """Otherwise results would be classified, and the results of results, without end."""
    message = error_message(SOURCE_PREFIX=source, RESULTS_PREFIX=results)

    assert "REVIEWBOX_SOURCE_PREFIX and REVIEWBOX_RESULTS_PREFIX must not contain each other" in message


@pytest.mark.parametrize(("source", "results"), [("a/", "a/b/"), ("", "results/")])
def test_prefixes_may_overlap_in_two_buckets(source: str, results: str) -> None:
    environ = {
        "REVIEWBOX_SOURCE_PREFIX": source,
        "REVIEWBOX_RESULTS_PREFIX": results,
        "REVIEWBOX_RESULTS_BUCKET": "elsewhere",
    }

    assert Settings.from_environ(environ) == Settings("elsewhere", source, results)


@pytest.mark.parametrize("prefix", ["incoming/copies/", "results/", "work/", "catalog"])
def test_a_catalog_must_not_be_among_anything_else(prefix: str) -> None:
    assert "REVIEWBOX_CATALOG_PREFIX must" in error_message(CATALOG_PREFIX=prefix)


def test_prefixes_with_a_common_start_do_not_overlap() -> None:
    environ = {"REVIEWBOX_SOURCE_PREFIX": "reviews/", "REVIEWBOX_RESULTS_PREFIX": "reviews-classified/"}

    assert Settings.from_environ(environ).results_prefix == "reviews-classified/"


@pytest.mark.parametrize("name", CHANGES)
def test_the_digest_covers_exactly_the_settings_that_affect_results(name: str) -> None:
    value, shapes_results = CHANGES[name]

    changed = replace(Settings(), **{name: value})

    assert changed != Settings()
    assert (changed.digest != Settings().digest) is shapes_results


def test_the_digest_is_the_same_in_every_run() -> None:
    assert Settings().digest == Settings.from_environ({"REVIEWBOX_NEEDS_REVIEW_BELOW": "0.70"}).digest
    assert len(Settings().digest) == 64


@given(
    st.dictionaries(
        st.sampled_from([f"REVIEWBOX_{name.upper()}" for name in CHANGES]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.integers().map(str),
    )
)
def test_any_environment_is_accepted_or_refused(environ: dict[str, str]) -> None:
    outcome = attempt(environ)

    if isinstance(outcome, Settings):
        assert min(outcome.threads, outcome.max_receives, outcome.max_object_bytes) >= 1
    else:
        assert any(name in str(outcome) for name in environ)


def attempt(environ: dict[str, str]) -> Settings | SettingsError:
    try:
        return Settings.from_environ(environ)
    except SettingsError as error:
        return error


def test_an_empty_number_means_the_default() -> None:
    assert Settings.from_environ({"REVIEWBOX_THREADS": ""}) == Settings()
