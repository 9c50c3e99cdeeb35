"""Reads the files of a folder that an `expected.json` describes, and prints which are read correctly.

    python tests/read_cases.py tests/exports
    python tests/read_cases.py FOLDER --list
    python tests/read_cases.py FOLDER --judging

An entry of `expected.json` is one of these:

    "pn"                                  the sentiment of each row, in order: positive, negative
    "refused"                             the file is refused
    {"reviews": ["...", ""]}              the text of each row, in order
    {"refused": "no_text_field", ...}     the file is refused with this error code

`text_field` next to `reviews` or `refused` is a value of the setting TextField that finds the reviews.
`fallback_encoding` is the value of that setting.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reviewbox.documents import ReadOptions, read_document
from reviewbox.errors import SourceError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import NEUTRAL, Verdict

_TEXTS_TO_JUDGE = 60  # of a file


def main() -> int:
    """Print the wrong readings and how many are correct; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--list", action="store_true", help="also print correct readings")
    parser.add_argument(
        "--judging", action="store_true", help="print how many of the texts that are read praise or blame"
    )
    arguments = parser.parse_args()
    expectations = json.loads((arguments.folder / "expected.json").read_text(encoding="utf-8"))
    if arguments.judging:
        return _print_judging(arguments.folder, expectations)
    right = 0
    for name, expected in expectations.items():
        problems = list(check(arguments.folder / name, expected))
        right += not problems
        for problem in problems:
            print(f"{name}: {problem}")
        if arguments.list and not problems:
            print(f"{name}: right")
    print(f"{right} of {len(expectations)} files are read right")
    return 0 if right == len(expectations) else 1


def _print_judging(folder: Path, expectations: Mapping[str, Any]) -> int:
    """Print for each file that is read how many of its first texts, in known languages, praise or blame."""
    classifier = Classifier.load()
    for name, expected in expectations.items():
        texts = _texts(folder / name)
        if isinstance(texts, list):
            outcomes = classifier.classify_each(texts[:_TEXTS_TO_JUDGE], explain=False)
            verdicts = [outcome for outcome in outcomes if isinstance(outcome, Verdict)]
            judging = sum(verdict.label != NEUTRAL for verdict in verdicts)
            known = sum(not verdict.is_other_language for verdict in verdicts)
            reading = "wrong" if any(check(folder / name, expected)) else "right"
            print(f"{reading}\t{judging}\t{known}\t{name}", flush=True)
    return 0


def check(file: Path, expected: str | Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the reading of a file."""
    if expected == "refused" or (isinstance(expected, Mapping) and "refused" in expected):
        yield from _check_refusal(file, expected)
    elif isinstance(expected, str):
        texts = _texts(file)
        sentiments = _sentiments(texts) if isinstance(texts, list) else texts
        if sentiments != expected:
            yield f"expected {expected}, but got {sentiments}"
    else:
        encoding = expected.get("fallback_encoding", "windows-1252")
        yield from _compare(expected["reviews"], _texts(file, encoding=encoding), expected.get("titles", {}))
    if isinstance(expected, Mapping) and "text_field" in expected:
        yield from _compare(expected["reviews"], _texts(file, expected["text_field"]), {})


def _check_refusal(file: Path, expected: str | Mapping[str, Any]) -> Iterator[str]:
    texts = _texts(file)
    if isinstance(texts, list):
        yield f"expected a refusal, but got {len(texts)} rows, the first {texts[:1]}"
    elif isinstance(expected, Mapping):
        codes = [expected["refused"], *expected.get("refused_or", [])]
        code, _, message = texts.partition(": ")
        if code not in codes:
            yield f"expected {' or '.join(codes)}, but got {texts}"
        if "text_field" in expected:
            missing = [field for field in expected.get("candidates", []) if repr(field) not in message]
            if missing:
                yield f"the message does not list {', '.join(missing)}: {message}"


def _compare(expected: Sequence[str], texts: list[str] | str, titles: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(texts, list):
        yield f"expected {len(expected)} reviews, but got {texts}"
        return
    wanted = [text or titles.get(str(index), "") for index, text in enumerate(expected)]
    pairs = enumerate(zip(wanted, texts, strict=False))
    wrong = [index for index, (one, other) in pairs if one.strip() != other.strip()]
    if len(texts) != len(wanted):
        yield f"expected {len(wanted)} rows, but got {len(texts)}"
    elif wrong:
        yield f"rows {wrong[:5]} differ: expected {wanted[wrong[0]]!r}, but got {texts[wrong[0]]!r}"


def _texts(file: Path, text_field: str = "", encoding: str = "windows-1252") -> list[str] | str:
    """Return the text of each row of a file, or its error code and message."""
    options = ReadOptions(text_field, encoding)
    try:
        document = read_document(file.name, "", file.read_bytes(), options)
        rows = [row for row in document.rows if not getattr(row, "is_passthrough", False)]
    except SourceError as error:
        return f"{error.problem.code}: {error.problem.message}"
    return [row.text for row in rows]


def _sentiments(texts: Sequence[str]) -> str:
    """Return the first letter of the sentiment that the shipped model gives each text."""
    outcomes = Classifier.load(two_labels=True).classify_each(texts, explain=False)
    return "".join(outcome.label[0] if isinstance(outcome, Verdict) else "-" for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
