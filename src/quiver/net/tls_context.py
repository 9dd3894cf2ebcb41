"""Contexts: a plane's policy, this side's certificates and the plane's trust bundle, as an `ssl.SSLContext`."""

import ssl
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from OpenSSL import SSL

from quiver.domain.errors import ConfigurationError
from quiver.net import tls_native
from quiver.net.tls_judge import Judgement, judge
from quiver.net.tls_object import TlsObject
from quiver.net.tls_policy import Credentials, TlsPolicy

__all__ = ["TlsContext", "make_context"]

_NO_AUTO_CHAIN: Final = 0x8  # SSL_MODE_NO_AUTO_CHAIN: the peer has our root, 5 KB of it need not travel
_RELEASE_BUFFERS: Final = 0x10  # SSL_MODE_RELEASE_BUFFERS: an idle connection holds no record buffers


class TlsContext(ssl.SSLContext):
    """One plane's side of TLS. Made by the functions below; two contexts of one origin that expect the same peer are equal."""

    _policy: TlsPolicy
    _native: SSL.Context
    _expected: str | None
    _quiet: bool

    def __new__(
        cls, policy: TlsPolicy, native: SSL.Context, expected: str | None = None, *, quiet: bool = False
    ) -> Self:
        """The standard library's part, of which nothing is used but the type."""
        self = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER if policy.server_side else ssl.PROTOCOL_TLS_CLIENT)
        self._policy, self._native, self._expected, self._quiet = policy, native, expected, quiet
        return self

    def __init__(
        self, policy: TlsPolicy, native: SSL.Context, expected: str | None = None, *, quiet: bool = False
    ) -> None:
        """All is done in `__new__`."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TlsContext) and self._native is other._native and self._expected == other._expected

    def __hash__(self) -> int:
        return hash((id(self._native), self._expected))

    @property
    def policy(self) -> TlsPolicy:
        """What this context demands."""
        return self._policy

    def expecting(self, name: str) -> "TlsContext":
        """A client context for one peer: `name` is its `quiver_uri`, or a DNS name or address. Connection pools keep them apart.

        Raises:
            ConfigurationError: this is a server's context.
        """
        if self._policy.server_side:
            raise ConfigurationError("a server expects no one peer")
        return TlsContext(self._policy, self._native, name, quiet=self._quiet)

    def watch(self, seen: list[int]) -> object:
        """Append the type of each handshake message of later connections to `seen`; keep what is returned as long as that."""
        return tls_native.watch_handshake(self._native, seen)

    def wrap_bio(  # type: ignore[override]
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> TlsObject:
        """What asyncio and uvloop call for each connection.

        Raises:
            ssl.SSLError: a session is to be resumed, or the side is wrong.
        """
        if session is not None or server_side != self._policy.server_side:
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"not possible on the {self._policy.plane} plane with this context")
        host = server_hostname.decode() if isinstance(server_hostname, bytes) else server_hostname
        expected = None if server_side else self._expected or host
        return TlsObject(self, self._native, Judgement(self._policy, expected, quiet=self._quiet), incoming, outgoing)

    def wrap_socket(self, *_arguments: object, **_named: object) -> ssl.SSLSocket:
        """Not there: blocking sockets would use the standard library's OpenSSL.

        Raises:
            ssl.SSLError: always.
        """
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, "this context serves asyncio only")


def make_context(
    policy: TlsPolicy, credentials: Sequence[Credentials], trust: Sequence[Path], *, quiet: bool = False
) -> TlsContext:
    """A context from PEM files.

    Args:
        policy: what the plane demands.
        credentials: one or two certificates, of different kinds of key, best first.
        trust: bundles of the authorities that may issue the peers' certificates on this plane, and on no other.
        quiet: log no refusal; for the self-test, which provokes one.

    Raises:
        ConfigurationError: a file is missing or wrong, a key may be read by everyone or does not fit its certificate.
    """
    native = SSL.Context(SSL.TLS_SERVER_METHOD if policy.server_side else SSL.TLS_CLIENT_METHOD)
    native.set_min_proto_version(SSL.TLS1_2_VERSION if policy.tls12 else SSL.TLS1_3_VERSION)
    native.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    native.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    native.set_mode(_NO_AUTO_CHAIN | _RELEASE_BUFFERS)
    if policy.server_side:
        tls_native.forbid_tickets(native)
        native.set_session_id(b"quiver " + policy.plane.encode())
    else:
        native.set_options(SSL.OP_NO_TICKET)
    native.set_cipher_list(b"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK")
    native.set_tls13_ciphersuites(policy.suites.encode())
    if not tls_native.set_groups(native, policy.groups) or not tls_native.set_signatures(native, policy.schemes):
        raise ConfigurationError(f"the linked OpenSSL lacks one of {policy.groups} or {policy.schemes}")
    for pair in credentials:
        _present(native, pair)
    native.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, judge)
    native.set_verify_depth(4)
    for bundle in trust:
        _trust(native, bundle, announce=policy.server_side)
    return TlsContext(policy, native, quiet=quiet)


def _present(native: SSL.Context, pair: Credentials) -> None:
    try:
        if stat.S_IMODE(pair.private_key.stat().st_mode) & 0o007:
            raise ConfigurationError(f"{pair.private_key}: a private key that everyone may read; chmod 600 it")
        if b"ENCRYPTED" in pair.private_key.read_bytes():  # OpenSSL would ask for the password on the terminal
            raise ConfigurationError(
                f"{pair.private_key}: an encrypted private key; nobody is there to type its password"
            )
        native.use_certificate_chain_file(str(pair.certificate))
        native.use_privatekey_file(str(pair.private_key))
        native.check_privatekey()
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from None
    except SSL.Error:
        raise ConfigurationError(
            f"{pair.certificate} and {pair.private_key}: not a PEM certificate and its unencrypted PEM key"
        ) from None


def _trust(native: SSL.Context, bundle: Path, *, announce: bool) -> None:
    try:
        authorities = x509.load_pem_x509_certificates(bundle.read_bytes())
        native.load_verify_locations(str(bundle))
        if announce:
            for authority in authorities:
                native.add_client_ca(authority)
    except OSError as error:
        raise ConfigurationError(f"{bundle}: {error.strerror}") from None
    except (ValueError, SSL.Error):
        raise ConfigurationError(f"{bundle}: not a PEM bundle of CA certificates") from None
