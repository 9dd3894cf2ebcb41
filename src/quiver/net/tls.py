"""The one way into TLS: contexts for each plane, that asyncio, uvloop and aiohttp take for an `ssl.SSLContext`.

CPython's `ssl` on an OpenSSL below 3.5 knows neither ML-DSA nor ML-KEM. `cryptography` brings an OpenSSL that does,
pyOpenSSL reaches it, and `TlsContext` makes it look like the standard library. Each context has its own trust bundle: planes
never share one by accident.

Rules that hold on every plane: both sides show a certificate; no session ticket is issued and no session is resumed, so that
a certificate is checked on every connection; no renegotiation, no compression, no early data. A refused handshake is logged
with its reason.
"""

import asyncio
import ssl
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography import x509
from OpenSSL import SSL

from quiver.domain.errors import ConfigurationError
from quiver.net import tls_native, tls_policy
from quiver.net.tls_judge import Judgement, judge
from quiver.net.tls_names import PeerFacts, PeerNames, key_name, names_of, quiver_uri
from quiver.net.tls_object import TlsObject
from quiver.net.tls_policy import Credentials, TlsPolicy
from quiver.net.tls_refusal import TlsRefusedError, refusal_in

__all__ = [
    "Credentials",
    "PeerFacts",
    "PeerNames",
    "TlsContext",
    "TlsObject",
    "TlsPolicy",
    "TlsRefusedError",
    "device_client",
    "device_server",
    "make_context",
    "names_of",
    "peer_client",
    "peer_facts",
    "peer_server",
    "quiver_uri",
    "refusal_in",
    "sae_client",
    "sae_server",
]


class TlsContext(ssl.SSLContext):
    """One plane's side of TLS. Made by the functions below; two contexts of one origin that expect the same peer are equal."""

    _policy: TlsPolicy
    _native: SSL.Context
    _expected: str | None

    def __new__(cls, policy: TlsPolicy, native: SSL.Context, expected: str | None = None) -> Self:
        """The standard library's part, of which nothing is used but the type."""
        self = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER if policy.server_side else ssl.PROTOCOL_TLS_CLIENT)
        self._policy, self._native, self._expected = policy, native, expected
        return self

    def __init__(self, policy: TlsPolicy, native: SSL.Context, expected: str | None = None) -> None:
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
        return TlsContext(self._policy, self._native, name)

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
        return TlsObject(self, self._native, Judgement(self._policy, expected), incoming, outgoing)

    def wrap_socket(self, *_arguments: object, **_named: object) -> ssl.SSLSocket:
        """Not there: blocking sockets would use the standard library's OpenSSL.

        Raises:
            ssl.SSLError: always.
        """
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, "this context serves asyncio only")


def make_context(policy: TlsPolicy, credentials: Sequence[Credentials], trust: Sequence[Path]) -> TlsContext:
    """A context from PEM files.

    Args:
        policy: what the plane demands.
        credentials: one or two certificates, of different kinds of key, best first.
        trust: bundles of the authorities that may issue the peers' certificates on this plane, and on no other.

    Raises:
        ConfigurationError: a file is missing or wrong, a key may be read by everyone or does not fit its certificate.
    """
    native = SSL.Context(SSL.TLS_SERVER_METHOD if policy.server_side else SSL.TLS_CLIENT_METHOD)
    native.set_min_proto_version(SSL.TLS1_2_VERSION if policy.tls12 else SSL.TLS1_3_VERSION)
    native.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    native.set_session_cache_mode(SSL.SESS_CACHE_OFF)
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
    return TlsContext(policy, native)


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


def peer_server(credentials: Credentials, trust: Path) -> TlsContext:
    """The listener for other nodes: TLS 1.3, X25519MLKEM768, ML-DSA-65; clients must be nodes of the nodes' CA."""
    return make_context(tls_policy.PEER_SERVER, [credentials], [trust])


def peer_client(credentials: Credentials, trust: Path) -> TlsContext:
    """Towards other nodes. Use `.expecting(quiver_uri("node", id))`: without it no server's name matches."""
    return make_context(tls_policy.PEER_CLIENT, [credentials], [trust])


def sae_server(
    classical: Credentials | None, post_quantum: Credentials, trust: Sequence[Path], *, require_pq: bool = False
) -> TlsContext:
    """The listener for SAEs, with both certificates; OpenSSL shows the one that fits what the client offers.

    Args:
        classical: ECDSA P-256; None with `require_pq`.
        post_quantum: ML-DSA-65.
        trust: bundles of the SAEs' CA, classical and post-quantum.
        require_pq: refuse every SAE without TLS 1.3, X25519MLKEM768 and ML-DSA-65.
    """
    both = [pair for pair in (post_quantum, classical) if pair is not None]
    if require_pq:
        return make_context(tls_policy.SAE_SERVER_PQ, [post_quantum], trust)
    return make_context(tls_policy.SAE_SERVER, both, trust)


def sae_client(credentials: Credentials, trust: Sequence[Path]) -> TlsContext:
    """An SAE, classical or post-quantum by the kind of its certificate. The KME's name is the host of the URL."""
    policy = tls_policy.SAE_CLIENT_PQ if _is_post_quantum(credentials) else tls_policy.SAE_CLIENT_CLASSICAL
    return make_context(policy, [credentials], trust)


def device_server(credentials: Credentials, trust: Path) -> TlsContext:
    """A QKD device's KME, classical as products are."""
    return make_context(tls_policy.DEVICE_SERVER, [credentials], [trust])


def device_client(credentials: Credentials, trust: Path) -> TlsContext:
    """Towards a QKD device. The device's name is the host of the URL, or `.expecting(name)`."""
    return make_context(tls_policy.DEVICE_CLIENT, [credentials], [trust])


def _is_post_quantum(credentials: Credentials) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(credentials.certificate.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{credentials.certificate}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{credentials.certificate}: not a PEM certificate") from None
    return key_name(certificate.public_key()).startswith("ML-DSA")


def peer_facts(transport: asyncio.BaseTransport | None) -> PeerFacts | None:
    """The facts of a live connection, from its asyncio transport (`request.transport`, `response.connection.transport`)."""
    if transport is None:
        return None
    found = transport.get_extra_info("ssl_object")
    return found.facts if isinstance(found, TlsObject) else None
