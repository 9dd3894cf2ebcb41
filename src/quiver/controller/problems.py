"""Errors of the northbound interface: problem details (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from quiver.net.http_exchange import HttpAnswer

__all__ = ["PROBLEM_JSON", "Problem", "problem"]

PROBLEM_JSON: Final = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Section 3.1. The type is always `about:blank`, which stands for the status alone (section 4.2.1).

    Attributes:
        title: the status in words.
        status: HTTP status.
        detail: what is wrong and what is allowed.
        details: names of what it is about, if any.
    """

    title: str
    status: int
    detail: str
    details: dict[str, str] = {}


def problem(
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    last: bool = False,
    details: Mapping[str, str] | None = None,
) -> HttpAnswer:
    """An `ErrorForm`."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=message, details=dict(details or {}))
    return HttpAnswer(status, msgspec.json.encode(body), PROBLEM_JSON, headers=headers or {}, last=last)
