"""TLS as QKD products have it: classical X.509 certificates, TLS 1.2 or higher, both sides authenticated.

ETSI GS QKD 014 clause 5.1. These contexts are the standard library's, on purpose: post-quantum TLS is for the planes
that are ours. No session tickets, so that no connection goes without its certificate.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quiver.domain.errors import ConfigurationError

__all__ = ["client_context", "names_in", "server_context"]


def _loaded(context: ssl.SSLContext, certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigurationError(f"certificate {certificate} with key {key}: {_reason(error)}") from None
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"CA {ca}: {_reason(error)}") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; an unencrypted one, readable by its owner only, is needed")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no PEM file, or they do not belong together ({error.reason or error.__class__.__name__})"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def server_context(certificate: Path, key: Path, clients_ca: Path) -> ssl.SSLContext:
    """A device's side: asks for and verifies the caller's certificate.

    Raises:
        ConfigurationError: a file cannot be read or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    return _loaded(context, certificate, key, clients_ca)


def client_context(certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """An agent's side: shows our certificate, verifies the device's and its host name.

    Raises:
        ConfigurationError: a file cannot be read or does not fit.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key, ca)


def names_in(certificate: Mapping[str, Any] | None) -> set[str]:
    """The names in a verified peer certificate (`getpeercert()`): common name, DNS and URI alternative names."""
    if not certificate:
        return set()
    names = {value for kind, value in certificate.get("subjectAltName", ()) if kind in {"DNS", "URI"}}
    for pairs in certificate.get("subject", ()):
        names |= {value for name, value in pairs if name == "commonName"}
    return names
