"""Requests and answers of a plane: what is left of HTTP/1.1 once the listener has read a request within its limits."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from quiver.domain import limits
from quiver.domain.errors import (
    QuiverError,
    RequestError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from quiver.net.tls_names import PeerFacts
from quiver.protocols.etsi014 import Error, encode

__all__ = [
    "JSON",
    "ErrorForm",
    "HttpAnswer",
    "HttpRequest",
    "HttpStream",
    "answer_for",
    "headers_of",
    "read_body",
    "refusal",
    "response_of",
    "unexpected",
]

JSON: Final = "application/json"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_SERVER: Final = "Quiver"  # what we say we are: no versions
UNEXPECTED: Final = "the server failed; nothing was promised"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request whose body is here.

    Attributes:
        verb: GET, POST and so on.
        path: the raw path, percent-encoded, without query.
        query: the raw query; empty where there is none.
        content_type: the whole field value, empty where it is missing.
        body: at most as long as the listener allows.
        facts: whom the peer's certificate names; None on a listener without TLS.
        headers: all field values; names are found in any case.
    """

    verb: str
    path: str
    query: str = field(default="", repr=False)
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    facts: PeerFacts | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer; `last` closes the connection after it."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    last: bool = False


@dataclass(frozen=True, slots=True)
class HttpStream:
    """An answer without a known end: its parts are sent as they come, until they or the connection's time end."""

    parts: AsyncGenerator[bytes, None] = field(repr=False)
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ErrorForm(Protocol):
    """How a plane writes errors."""

    def __call__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        last: bool = False,
        details: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """The answer with this status and public message; `details` name what the message is about."""
        ...


def refusal(
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    last: bool = False,
    details: Mapping[str, str] | None = None,
) -> HttpAnswer:
    """The form of ETSI GS QKD 014 clause 6.5: an Error body, each detail an object of one name and value."""
    error = Error(message=message, details=tuple({name: value} for name, value in (details or {}).items()))
    return HttpAnswer(status, encode(error), headers=headers or {}, last=last)


def answer_for(error: QuiverError, form: ErrorForm = refusal) -> HttpAnswer:
    """The answer that an exception stands for: 400 to 413 or 503 with its public message.

    Only errors about *this* request are passed on. A wrong configuration or a third party's failure is the server's own
    trouble: 503 with a fixed text.
    """
    match error:
        case RequestError() | UnauthorizedError():
            headers = {}
        case UnavailableError():
            headers = {"Retry-After": str(limits.RETRY_AFTER)}
        case _:
            return unexpected(form)
    last = isinstance(error, TooLargeError)
    return form(error.status, error.message, headers, last=last, details=error.details)


def unexpected(form: ErrorForm = refusal) -> HttpAnswer:
    """The answer to a request that failed in a way that nobody foresaw."""
    return form(503, UNEXPECTED, {"Retry-After": str(limits.RETRY_AFTER)})


def headers_of(answer: HttpAnswer | HttpStream) -> dict[str, str]:
    """Header fields of an answer. None is ever kept by a cache: it may hold keys."""
    return {"Server": _SERVER, "Content-Type": answer.content_type, "Cache-Control": "no-store", **answer.headers}


def response_of(answer: HttpAnswer) -> web.Response:
    """What aiohttp sends for an answer."""
    response = web.Response(status=answer.status, body=answer.body, headers=headers_of(answer))
    if answer.last:
        response.force_close()
    return response


async def read_body(request: web.BaseRequest, most: int) -> bytes:
    """The body of a request, of at most `most` bytes.

    Raises:
        TooLargeError: it is longer; where its length was announced, nothing of it was read.
        RequestError: it is compressed, or expects something else than 100-continue (RFC 9110 section 10.1.1).
        TimeoutError: it did not come within `limits.BODY_TIME`.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError("Content-Encoding: a compressed body is not allowed")
    if request.content_length is not None and request.content_length > most:
        raise TooLargeError(f"the body shall have at most {most} bytes, not {request.content_length}")
    if (expected := request.headers.get("Expect")) is not None:
        if expected.lower() != "100-continue":
            raise RequestError("Expect: only 100-continue is allowed")
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0
    received = bytearray()
    async with asyncio.timeout(limits.BODY_TIME):
        async for chunk in request.content.iter_any():
            received += chunk
            if len(received) > most:
                raise TooLargeError(f"the body shall have at most {most} bytes")
    return bytes(received)
