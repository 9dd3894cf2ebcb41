"""The few calls into OpenSSL that pyOpenSSL has no public name for. Nothing else of Quiver touches the cffi layer.

They are private API of pyOpenSSL and may move; `quiver.net.tls.self_test` makes a handshake with all of them when a process
starts, so that a release of pyOpenSSL or OpenSSL that behaves otherwise stops Quiver instead of weakening it.
"""

from typing import Any, Final, TypeAlias

from OpenSSL import SSL

__all__ = ["Outbox", "forbid_tickets", "resumed", "set_groups", "set_signatures", "verify_text", "watch_handshake"]

_Pointer: TypeAlias = Any  # a pointer of cffi

_lib: Final[Any] = SSL._lib  # type: ignore[attr-defined]  # noqa: SLF001
_ffi: Final[Any] = SSL._ffi  # type: ignore[attr-defined]  # noqa: SLF001

_SERVERNAME_OK: Final = 0  # SSL_TLSEXT_ERR_OK
_SERVERNAME_FATAL: Final = 2  # SSL_TLSEXT_ERR_ALERT_FATAL
_ALERT_HANDSHAKE_FAILURE: Final = 40  # RFC 9846 section 6.2
_CHUNK: Final = 16_896  # bytes; one TLS record with its header and tag

_kept: Final[list[Any]] = []  # callbacks that serve every context live as long as the process


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Offer and accept exactly these key exchange groups (colon-separated, best first). False: OpenSSL does not know one."""
    done = bool(_lib.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1)  # noqa: SLF001
    _lib.ERR_clear_error()
    return done


def set_signatures(context: SSL.Context, schemes: str) -> bool:
    """Offer and accept exactly these signature schemes (colon-separated, best first). False: OpenSSL does not know one."""
    done = bool(_lib.SSL_CTX_set1_sigalgs_list(context._context, schemes.encode()) == 1)  # noqa: SLF001
    _lib.ERR_clear_error()
    return done


def _no_ticket(ssl: _Pointer, alert: _Pointer, _argument: _Pointer) -> int:
    if _lib.SSL_get_options(ssl) & SSL.OP_NO_TICKET:  # the second ClientHello, after a HelloRetryRequest
        alert[0] = _ALERT_HANDSHAKE_FAILURE
        return _SERVERNAME_FATAL
    _lib.SSL_set_options(ssl, SSL.OP_NO_TICKET)
    return _SERVERNAME_OK


_kept.append(_ffi.callback("int (*)(SSL *, int *, void *)", _no_ticket))


def forbid_tickets(context: SSL.Context) -> None:
    """Make a server context never send a NewSessionTicket, in TLS 1.2 and in TLS 1.3.

    In TLS 1.3 `SSL_OP_NO_TICKET` only makes OpenSSL's tickets stateful, they are sent all the same, and
    `SSL_CTX_set_num_tickets` is out of reach. But OpenSSL takes a ticket off its list when the server name callback, which
    runs on every ClientHello, turns the option *on* (it serves servers that differ by name). After a HelloRetryRequest that
    happens no second time, so such a handshake is refused: it needs a client that sends no key share for any of the server's
    groups, although it supports one.
    """
    _lib.SSL_CTX_set_tlsext_servername_callback(context._context, _kept[0])  # noqa: SLF001


def resumed(connection: SSL.Connection) -> bool:
    """Whether the handshake continued an earlier session instead of checking a certificate."""
    return bool(_lib.SSL_session_reused(connection._ssl))  # noqa: SLF001


def verify_text(code: int) -> str:
    """OpenSSL's own words for an X.509 verification error."""
    return str(_ffi.string(_lib.X509_verify_cert_error_string(code)).decode())


def watch_handshake(context: SSL.Context, seen: list[int]) -> object:
    """Append the type of each handshake message that connections of this context see to `seen` (RFC 9846 section 4).

    Returns:
        What must be kept alive as long as the context is used.
    """

    def note(
        _write: int, _version: int, content: int, message: _Pointer, length: int, _ssl: _Pointer, _argument: _Pointer
    ) -> None:
        if content == 22 and length:  # handshake
            seen.append(_ffi.buffer(message, 1)[0][0])

    callback = _ffi.callback("void (*)(int, int, int, const void *, size_t, SSL *, void *)", note)
    _lib.SSL_CTX_set_msg_callback(context._context, callback)  # noqa: SLF001
    kept: object = callback
    return kept


class Outbox:
    """What OpenSSL wants sent on one connection, taken without an exception where there is nothing."""

    __slots__ = ("_bio", "_buffer")

    def __init__(self, connection: SSL.Connection) -> None:
        self._bio: Any = connection._from_ssl  # noqa: SLF001
        self._buffer: Any = _ffi.new("char[]", _CHUNK)

    def take(self) -> bytes:
        """Up to one record's bytes; empty when there are none."""
        length = _lib.BIO_read(self._bio, self._buffer, _CHUNK)
        if length <= 0:
            return b""
        return bytes(_ffi.buffer(self._buffer, length))
