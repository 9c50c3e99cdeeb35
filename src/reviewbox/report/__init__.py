"""Summarizes results and renders them as one HTML page. The only I/O is reading the page's own parts."""

from reviewbox.report.options import Readers, ReportOptions
from reviewbox.report.page import render
from reviewbox.report.results import Failure, Result, Sentence
from reviewbox.report.summarize import report
from reviewbox.report.summary import Summary

__all__ = ["Failure", "Readers", "ReportOptions", "Result", "Sentence", "Summary", "render", "report"]
