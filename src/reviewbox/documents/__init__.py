"""Turns the bytes of a file into reviews. Each format has its own module or package."""

from reviewbox.documents.detection import read_document
from reviewbox.documents.document import BinaryTable, Document, ReadOptions, Row, Step, Table, Value

__all__ = ["BinaryTable", "Document", "ReadOptions", "Row", "Step", "Table", "Value", "read_document"]
