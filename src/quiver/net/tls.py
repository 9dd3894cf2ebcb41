"""The one way into TLS: contexts for each plane, that asyncio, uvloop and aiohttp take for an `ssl.SSLContext`.

CPython's `ssl` on an OpenSSL below 3.5 knows neither ML-DSA nor ML-KEM. `cryptography` brings an OpenSSL that does,
pyOpenSSL reaches it, and `TlsContext` makes it look like the standard library. Each context has its own trust bundle: planes
never share one by accident.

Rules that hold on every plane: both sides show a certificate; no session ticket is issued and no session is resumed, so that
a certificate is checked on every connection; no renegotiation, no compression, no early data. A refused handshake is logged
with its reason.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from quiver.domain.errors import ConfigurationError
from quiver.net import tls_policy
from quiver.net.tls_context import TlsContext, make_context
from quiver.net.tls_names import PeerFacts, PeerNames, key_name, names_of, quiver_uri
from quiver.net.tls_object import TlsObject
from quiver.net.tls_policy import Credentials, TlsPolicy
from quiver.net.tls_refusal import TlsRefusedError, refusal_in
from quiver.net.tls_selftest import self_test

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
    "management_client",
    "management_server",
    "names_of",
    "northbound_client",
    "northbound_server",
    "partner_client",
    "partner_server",
    "peer_client",
    "peer_facts",
    "peer_server",
    "quiver_uri",
    "refusal_in",
    "sae_client",
    "sae_server",
    "self_test",
]


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


def management_server(
    post_quantum: Credentials, trust: Sequence[Path], *, classical: Credentials | None = None
) -> TlsContext:
    """The listener for controllers, operators and auditors.

    Args:
        post_quantum: ML-DSA-65.
        trust: bundles of the management plane's authorities.
        classical: ECDSA P-256, for clients that know no ML-DSA, which are refused without it.
    """
    if classical is None:
        return make_context(tls_policy.MANAGEMENT_SERVER, [post_quantum], trust)
    return make_context(tls_policy.MANAGEMENT_SERVER_CLASSICAL, [post_quantum, classical], trust)


def management_client(credentials: Credentials, trust: Sequence[Path]) -> TlsContext:
    """Towards an agent's NETCONF server. Use `.expecting(quiver_uri("node", id))`, as on the peer plane."""
    return make_context(tls_policy.MANAGEMENT_CLIENT, [credentials], trust)


def northbound_server(
    post_quantum: Credentials, trust: Sequence[Path], *, classical: Credentials | None = None
) -> TlsContext:
    """The controller's listener for operators and auditors. The arguments are those of `management_server`."""
    if classical is None:
        return make_context(tls_policy.NORTHBOUND_SERVER, [post_quantum], trust)
    return make_context(tls_policy.NORTHBOUND_SERVER_CLASSICAL, [post_quantum, classical], trust)


def northbound_client(credentials: Credentials, trust: Sequence[Path]) -> TlsContext:
    """An operator or auditor, post-quantum or classical by the kind of certificate. The controller is who the URL's host says."""
    pq = _is_post_quantum(credentials)
    policy = tls_policy.NORTHBOUND_CLIENT if pq else tls_policy.NORTHBOUND_CLIENT_CLASSICAL
    return make_context(policy, [credentials], trust)


def partner_server(credentials: Credentials, trust: Sequence[Path]) -> TlsContext:
    """The listener of a tunnel's end for the other end: clients must be SAEs of the SAEs' post-quantum CA."""
    return make_context(tls_policy.PARTNER_SERVER, [credentials], trust)


def partner_client(credentials: Credentials, trust: Sequence[Path]) -> TlsContext:
    """Towards the other end of a tunnel. Use `.expecting(quiver_uri("sae", id))`, as on the peer plane."""
    return make_context(tls_policy.PARTNER_CLIENT, [credentials], trust)


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
