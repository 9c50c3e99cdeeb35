"""Reads what a report's page holds."""

import base64
import gzip
import json
import re
from typing import Any


def data_of(page: str) -> dict[str, Any]:
    """Return the data of a page, which is compressed."""
    (encoded,) = re.findall(r'<script type="text/plain" id="data">([^<]*)</script>', page)
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(encoded)))
    return data


def texts_of(page: str) -> list[str]:
    """Return the texts of the reviews on a page."""
    reviews = data_of(page)["reviews"]
    return ["".join(segment[0] for segment in review["segments"]) for review in reviews]
