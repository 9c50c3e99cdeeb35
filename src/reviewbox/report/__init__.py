"""The report: results -> summary -> one HTML page. Does no I/O except reading the page's own parts."""

from reviewbox.report.options import Readers, ReportOptions
from reviewbox.report.page import render
from reviewbox.report.results import Failure, Result, Sentence
from reviewbox.report.summarize import report
from reviewbox.report.summary import Summary

__all__ = ["Failure", "Readers", "ReportOptions", "Result", "Sentence", "Summary", "render", "report"]
