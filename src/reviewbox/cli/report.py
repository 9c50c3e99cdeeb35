"""`reviewbox report`: makes one HTML page from results."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal

from reviewbox.cli.loading import load_model
from reviewbox.cli.output import Format, complete_file, print_summary, terminal_beside
from reviewbox.cli.progress import progress_bar, track, track_results
from reviewbox.cli.render import print_line, rounded_bytes
from reviewbox.errors import ReviewboxError
from reviewbox.model.classifier import Classifier
from reviewbox.model.verdicts import Verdict, sentences
from reviewbox.report import Readers, ReportOptions, Result, Sentence, Summary, render, report
from reviewbox.settings import Settings
from reviewbox.stack import aws
from reviewbox.stack.stored_results import Place, StoredResults, find_place
from reviewbox.wording import number_of

_DIGEST_LENGTH = 12
_PAGE_SUFFIXES = (".html", ".htm")


def run_report(
    path: str,
    output: Path,
    options: ReportOptions,
    sources: Path | None,
    model: Path | None,
    settings: Settings,
    format_: Format,
) -> None:
    """Write the report on the results at a path or S3 URI, and print its main numbers.

    Raises:
        ReviewboxError: there are no results, a file cannot be read or written, the model cannot be loaded, or
        the name of the page does not end in `.html`.
    """
    if output.suffix.lower() not in _PAGE_SUFFIXES:
        raise ReviewboxError(f"{output}: the report is an HTML page; choose a name that ends in .html")
    with aws.errors_at(path):
        summary = make_report(find_place(path, sources), options, model, settings)
    content = write_report(summary, output, terminal_beside(format_))
    print_summary(content, format_)


def make_report(
    place: Place,
    options: ReportOptions,
    model: Path | Classifier | None,
    settings: Settings,
    *,
    quiet: bool = False,
) -> Summary:
    """Return the summary of all results in a place. The model may be loaded, or a folder.

    It shows its progress unless it is `quiet`.

    Raises:
        ReviewboxError: there are no results, or the model cannot be loaded.
    """
    results = StoredResults(place, settings)
    classifier = model if isinstance(model, Classifier) else None
    if options.scored_sentences and not isinstance(model, Classifier):
        classifier = load_model(model, os.cpu_count() or 1)

    def read_texts(found: Sequence[Result]) -> Iterator[str]:
        texts = results.read_texts(found)
        return texts if quiet else track(texts, "Reading texts", len(found))

    def score(texts: Sequence[str]) -> Iterator[Sequence[Sentence]]:
        if classifier is None:
            return iter(())
        return _score_sentences(classifier, texts, options.scored_sentences, quiet=quiet)

    def sentences_by() -> str:
        if classifier is None:
            return ""
        digest = classifier.bundle.digest
        by = f"The sentences were classified for this page by the model {digest[:_DIGEST_LENGTH]}"
        is_same = results.models == {digest}
        return (
            f"{by}, which also made the results."
            if is_same
            else f"{by}; some results may come from other models."
        )

    readers = Readers(read_texts, score, sentences_by, lambda: results.doubts)
    return report(results if quiet else track_results(results, results), options, readers)


def write_report(summary: Summary, output: Path, terminal: Terminal) -> dict[str, Any]:
    """Write the page atomically, print its name and size, and return its main numbers as JSON data.

    Raises:
        OSError: its folder cannot be created.
        ReviewboxError: it cannot be written.
    """
    page = render(summary).encode("utf-8", "replace")
    output.parent.mkdir(parents=True, exist_ok=True)
    with complete_file(output) as temporary:
        temporary.write_bytes(page)
    line = f"{output}: {number_of(summary.total, 'review')}, {rounded_bytes(len(page))}"
    print_line(terminal, f"{line}, {summary.failed:,} failed" if summary.failed else line)
    return {
        "report": str(output),
        "bytes": len(page),
        "files": summary.sources,
        "reviews": summary.total,
        "labels": dict(zip(summary.labels, summary.counts, strict=True)),
        "needs_review": summary.needs_review,
        "other_language": summary.other_language,
        "failed": summary.failed,
    }


def _score_sentences(
    classifier: Classifier, texts: Sequence[str], wanted: int, *, quiet: bool
) -> Iterator[Sequence[Sentence]]:
    """Yield the sentences of each text with the label of each sentence alone.

    The caller takes texts until they have the wanted number of sentences.
    """
    spans = [list(sentences(text)) for text in texts]
    alone = (text[start:end] for text, found in zip(texts, spans, strict=True) for start, end in found)
    total = min(wanted, sum(map(len, spans)))
    with progress_bar("Classifying sentences", total, disable=quiet) as update:
        outcomes = classifier.classify_each(
            alone, explain=False, before_run=lambda done: update(completed=done)
        )
        for found in spans:
            scored = zip(found, islice(outcomes, len(found)), strict=True)
            yield [
                Sentence(start, end, outcome.label, outcome.score)
                for (start, end), outcome in scored
                if isinstance(outcome, Verdict)
            ]
