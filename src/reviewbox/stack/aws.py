"""AWS clients for the command line, and one-line explanations of AWS errors.

Endpoint, region, profile and credentials are resolved as the AWS CLI resolves them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's base class for endpoints that cannot be reached
    NoCredentialsError,
    NoRegionError,
)
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from reviewbox.errors import ReviewboxError

# There is no answer, or it does not come from AWS: a proxy or another website may answer with a page.
ENDPOINT_ERRORS = (ConnectionError, ResponseParserError)
AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)

# The number of threads that can use one client at the same time.
MAX_CONNECTIONS = 16

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=MAX_CONNECTIONS)


def connect(service: Any) -> Any:
    """Return a client for an AWS service, configured by the environment.

    Raises:
        ReviewboxError: the environment sets an endpoint that is not a URL.
    """
    try:
        return boto3.client(service, config=_CONFIG)
    except BotoCoreError:  # some of its subclasses are also ValueErrors
        raise
    except ValueError as error:
        raise ReviewboxError(
            f"{error}: set AWS_ENDPOINT_URL to a URL such as http://127.0.0.1:5000"
        ) from None


def has_credentials() -> bool:
    """Return whether there are credentials in the environment, a profile or the machine's role."""
    return boto3.Session().get_credentials() is not None


def is_aws(endpoint_url: str) -> bool:
    """Return whether an endpoint belongs to AWS rather than to a local cloud or another S3 implementation."""
    host = urlsplit(endpoint_url).hostname or ""
    partitions: Any = create_loader().load_data("partitions")
    return any(
        host.endswith(f".{partition['outputs'][name]}")
        for partition in partitions["partitions"]
        for name in ("dnsSuffix", "dualStackDnsSuffix")
    )


@contextmanager
def errors_at(place: str) -> Iterator[None]:
    """Raise AWS errors as `ReviewboxError`, with `place` at the start of the message."""
    try:
        yield
    except AWS_ERRORS as error:
        raise ReviewboxError(f"{place}: {explain(error)}") from None


def explain(error: Exception) -> str | None:
    """Return one line that explains an AWS or connection error, or None for any other error."""
    match error:
        case NoCredentialsError():
            return (
                "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "(`reviewbox local` accepts any values)"
            )
        case NoRegionError():
            return "no AWS region: set AWS_DEFAULT_REGION, or set a region in the profile"
        case ConnectionError() | ResponseParserError():
            is_silent = isinstance(error, ConnectionError)
            problem = error if is_silent else "the endpoint does not answer as AWS does"
            return f"{problem} (AWS_ENDPOINT_URL selects the endpoint)"
        case ClientError():
            details = error.response.get("Error", {})
            line = f"AWS returned {details.get('Code', 'an error')} for {error.operation_name}"
            message = details.get("Message")
            return " ".join(f"{line}: {message}".split()) if message else line
        case BotoCoreError():
            return " ".join(str(error).split())
    return None
