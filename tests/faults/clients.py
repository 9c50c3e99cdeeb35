"""What the fakes of S3 and SQS have in common: a clock, atomic operations, and clients like botocore's."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

# How a client performs a request: it gets the operation's name, its parameters, and what to do.
Gate = Callable[[str, dict[str, Any], Callable[[], Any]], Any]


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now  # seconds since 1970


@dataclass(slots=True)
class Service:
    """A service with a method for each operation."""

    clock: Clock
    lock: threading.RLock = field(default_factory=threading.RLock, kw_only=True)

    def perform(self, operation: str, params: dict[str, Any]) -> Any:
        """Perform one request.

        Raises:
            ClientError: as botocore raises it.
        """
        with self.lock:
            return getattr(self, xform_name(operation))(**params)


class Client:
    """A client with the methods of botocore's; each request passes the gate."""

    def __init__(self, service: Service, gate: Gate = lambda _operation, _params, perform: perform()) -> None:
        self.service = service
        self._gate = gate

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = "".join(word.capitalize() for word in name.split("_"))

        def request(**params: Any) -> Any:
            return self._gate(operation, params, lambda: self.service.perform(operation, params))

        return request

    def behind(self, gate: Gate) -> "Client":
        """Return a client whose requests pass this gate first, and then the gates of this client."""
        return Client(
            self.service,
            lambda operation, params, perform: gate(
                operation, params, lambda: self._gate(operation, params, perform)
            ),
        )

    def get_paginator(self, operation: str) -> "Paginator":
        return Paginator(getattr(self, operation))


@dataclass(frozen=True, slots=True)
class Paginator:
    """Follows the pages of a listing."""

    request: Callable[..., Any]

    def paginate(self, **params: Any) -> Iterator[Any]:
        page = self.request(**params)
        yield page
        while page["IsTruncated"]:
            page = self.request(**params, ContinuationToken=page["NextContinuationToken"])
            yield page


def client_error(operation: str, code: str, status: int) -> ClientError:
    """Return the error that botocore raises for an answer of AWS."""
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)
