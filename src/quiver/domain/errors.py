"""The one tree of exceptions.

    QuiverError
    ├── ConfigurationError          a file or option is wrong; says which field and what is allowed
    ├── RequestError                400: the caller's request is wrong
    │   ├── KeyNotFoundError        400: at least one of the named keys is not here
    │   ├── NotFoundError           404: there is nothing of this name
    │   ├── ConflictError           409: it contradicts what is there
    │   ├── PreconditionError       412: what is there has changed since the caller looked
    │   └── TooLargeError           413: the body is longer than the limit
    ├── UnauthorizedError           401: the caller may not do this
    │   └── ForbiddenError          403: the caller's role may not do this
    ├── UnavailableError            503: nothing was promised, the caller may try again
    │   ├── ExhaustedError          503: no key could be made within the time to wait
    │   ├── StorageError            503: the key database cannot write
    │   └── LimitError              503: a bounded table is full
    ├── HandshakeError              a TLS peer was refused, or refused us
    ├── NetconfError                a NETCONF session cannot go on: framing, XML or the order of messages is broken
    │   └── (RpcError)              one rpc is refused, as RFC 6241 appendix A says; `protocols/netconf/errors.py`
    └── RemoteError                 a peer or a device answered something wrong or nothing at all

Each carries a *public message*, which may be shown to the other side, and an HTTP status. Neither ever holds
key material: messages are built from names, sizes and counts only.
"""

from collections.abc import Mapping

__all__ = [
    "ConfigurationError",
    "ConflictError",
    "ExhaustedError",
    "ForbiddenError",
    "HandshakeError",
    "KeyNotFoundError",
    "LimitError",
    "NetconfError",
    "NotFoundError",
    "PreconditionError",
    "QuiverError",
    "RemoteError",
    "RequestError",
    "StorageError",
    "TooLargeError",
    "UnauthorizedError",
    "UnavailableError",
]


class QuiverError(Exception):
    """Base of all errors that Quiver raises on purpose.

    Args:
        message: what went wrong and what to do, fit to be shown to the other side.
        details: the `details` of an ETSI GS QKD 014 Error, a list of name and value pairs.
    """

    status = 500

    def __init__(self, message: str, *, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})


class ConfigurationError(QuiverError):
    """A configuration file, an option or a certificate on disk is wrong."""


class RequestError(QuiverError):
    """The request is wrong: nothing was consumed, nothing was changed."""

    status = 400


class KeyNotFoundError(RequestError):
    """At least one of the named keys is not here, or no longer (ETSI GS QKD 014 clause 6.3)."""

    def __init__(self, details: Mapping[str, str] | None = None) -> None:
        super().__init__("one or more keys specified are not found on KME", details=details)


class NotFoundError(RequestError):
    """There is nothing of the name that the request gives."""

    status = 404


class ConflictError(RequestError):
    """The request contradicts what is there."""

    status = 409


class PreconditionError(RequestError):
    """What is there has changed since the caller looked (RFC 9110 section 13.1.1)."""

    status = 412


class TooLargeError(RequestError):
    """The body of the request is longer than its limit."""

    status = 413


class UnauthorizedError(QuiverError):
    """The caller, whom its certificate names, may not do this."""

    status = 401


class ForbiddenError(UnauthorizedError):
    """The caller's role may not do this."""

    status = 403


class UnavailableError(QuiverError):
    """The server cannot do this now; nothing was promised."""

    status = 503


class ExhaustedError(UnavailableError):
    """No key could be made within the time to wait."""


class StorageError(UnavailableError):
    """The key database could not be written; nothing of the transaction holds."""


class LimitError(UnavailableError):
    """A bounded table is full; the new is refused, nothing old is dropped."""


class HandshakeError(QuiverError):
    """A TLS handshake failed or was refused."""

    status = 495


class NetconfError(QuiverError):
    """A NETCONF session cannot go on, or one of its rpcs is refused (RFC 6241)."""


class RemoteError(QuiverError):
    """A peer or a device answered something wrong, or did not answer.

    Args:
        message: what was asked and what came back.
        status: the HTTP status of the answer, or 0 where none came.
    """

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
