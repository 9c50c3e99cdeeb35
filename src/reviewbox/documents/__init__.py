"""Bytes -> reviews, one module per format."""

from reviewbox.documents.detection import read_document
from reviewbox.documents.document import Document, ReadOptions, Row, Table, Value

__all__ = ["Document", "ReadOptions", "Row", "Table", "Value", "read_document"]
