"""Bytes -> reviews, one module per format."""

from reviewbox.documents.document import Document, ReadOptions, Row, Table, Value
from reviewbox.documents.formats import read_document

__all__ = ["Document", "ReadOptions", "Row", "Table", "Value", "read_document"]
