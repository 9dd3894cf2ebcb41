"""Requests of the northbound interface, read and checked before anything is done about them."""

from collections.abc import Collection
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from quiver.controller.desk import Expected
from quiver.domain import limits
from quiver.domain.errors import ForbiddenError, RequestError, UnauthorizedError
from quiver.net.config_file import path_hook
from quiver.net.http_exchange import JSON, HttpRequest

__all__ = ["PREFIX", "Call"]

T = TypeVar("T")
NorthboundRole = Literal["operator", "auditor"]

PREFIX: Final = "/api/v1/"
_READING: Final = frozenset({"GET"})
_DIGITS: Final = 16  # of a number at most
_SEGMENTS: Final = 8  # of a path at most
_PARAMETERS: Final = 8  # of a query at most


class Call:
    """One request of somebody whom the certificate names.

    Args:
        request: as it came.

    Raises:
        UnauthorizedError: the certificate names nobody with a role here.
        ForbiddenError: the role may only read.
        RequestError: path or query cannot be read.
    """

    def __init__(self, request: HttpRequest) -> None:
        names = request.facts.names if request.facts is not None else None
        if names is None or names.identity is None or names.role not in ("operator", "auditor"):
            raise UnauthorizedError("the certificate names neither an operator nor an auditor")
        self.role: Final[NorthboundRole] = names.role
        self.who: Final = f"{names.role} {names.identity}"
        self.verb: Final = request.verb
        if self.role != "operator" and self.verb not in _READING:
            raise ForbiddenError(f"an {self.role} may read and nothing else; only operators write")
        self.segments: Final = _segments(request.path)
        self.query: Final = _query(request.query)
        self._request: Final = request

    @property
    def expected(self) -> Expected:
        """What the caller takes for granted of the resource."""
        headers = self._request.headers
        return Expected(match=headers.get("If-Match", ""), none_match=headers.get("If-None-Match", ""))

    @property
    def last_event(self) -> int | None:
        """`Last-Event-ID`, or the query parameter `after`, which programs can set on the first connection too.

        Raises:
            RequestError: it is no number.
        """
        said = self._request.headers.get("Last-Event-ID")
        if said is None:
            return self.number("after")
        if not said.isascii() or not said.isdigit() or len(said) > _DIGITS:
            raise RequestError("Last-Event-ID: the id of an event of this interface is needed")
        return int(said)

    def number(self, name: str, least: int = 0, most: int = limits.MARK_MAX) -> int | None:
        """A whole number in the query; None where it is not there.

        Raises:
            RequestError: it is none, or out of range.
        """
        said = self.query.get(name)
        if said is None:
            return None
        if not said.isascii() or not said.isdigit() or len(said) > _DIGITS or not least <= int(said) <= most:
            raise RequestError(f"{name}: a whole number of {least} to {most} is allowed")
        return int(said)

    def only(self, allowed: Collection[str]) -> None:
        """No other parameters are in the query.

        Raises:
            RequestError: some are.
        """
        if unknown := sorted(self.query.keys() - set(allowed)):
            there = f"; allowed are {', '.join(sorted(allowed))}" if allowed else "; there are none"
            raise RequestError(f"{unknown[0][:64]}: an unknown parameter{there}")

    def body(self, kind: type[T], **given: str) -> T:
        """The body as a struct.

        Args:
            kind: of the struct.
            given: members that the path names; the body may leave them out, or has to say the same.

        Raises:
            RequestError: it is no JSON, or a member is unknown, missing or out of range.
        """
        if self._request.content_type.partition(";")[0].strip().lower() != JSON:
            raise RequestError(f"Content-Type shall be {JSON}")
        try:
            value = msgspec.json.decode(self._request.body)
            if isinstance(value, dict):
                for name, known in given.items():
                    if value.setdefault(name, known) != known:
                        raise RequestError(f"{name}: the path names another one")
            return msgspec.convert(value, kind, dec_hook=path_hook(Path()))
        except msgspec.ValidationError as error:
            raise RequestError(f"body: {error}") from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise RequestError("body: no JSON") from None


def _segments(path: str) -> tuple[str, ...]:
    if not path.startswith(PREFIX):
        return ()
    parts = path.removeprefix(PREFIX).split("/")
    if len(parts) > _SEGMENTS:
        return ()
    try:
        return tuple(unquote(part, errors="strict") for part in parts)
    except UnicodeDecodeError:
        raise RequestError("the path is no UTF-8") from None


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=_PARAMETERS
        )
    except (ValueError, UnicodeDecodeError):
        raise RequestError("the query cannot be read; name=value, joined by '&', is needed") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RequestError("the query names a parameter twice")
    return found
