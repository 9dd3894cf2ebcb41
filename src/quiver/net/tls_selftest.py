"""The check at the start of a process that the linked OpenSSL and pyOpenSSL do what Quiver relies on."""

import datetime
import os
import ssl
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from quiver.domain.errors import ConfigurationError, HandshakeError
from quiver.net import tls_policy
from quiver.net.tls_context import make_context
from quiver.net.tls_names import quiver_uri
from quiver.net.tls_object import TlsObject
from quiver.net.tls_policy import Credentials

__all__ = ["exchange", "self_test"]

_URI: Final = quiver_uri("node", "self-test")
_NEW_SESSION_TICKET: Final = 4  # RFC 9846 section 4
_ENOUGH: Final = 40_000  # bytes; more than two records


def self_test() -> None:
    """Make a handshake as between nodes, in memory, and check everything that is promised of it; takes a few milliseconds.

    Raises:
        ConfigurationError: this installation cannot keep the promise; says which part is missing.
    """
    linked = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    try:
        with tempfile.TemporaryDirectory(prefix="quiver-self-test-") as directory:
            _check(_self_signed(Path(directory)))
    except (UnsupportedAlgorithm, SSL.Error, ssl.SSLError, AttributeError, TypeError, ConfigurationError) as error:
        raise ConfigurationError(
            f"TLS self-test failed with {linked}: {error}. Quiver needs OpenSSL 3.5 or later with ML-DSA-65 and X25519MLKEM768, "
            "as the wheels of cryptography 50 bring it; a cryptography built from source may lack them"
        ) from error


def _self_signed(directory: Path) -> Credentials:
    key = mldsa.MLDSA65PrivateKey.generate()
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "self-test")])
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(_URI)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usages, critical=False)
        .sign(key, None)
    )
    made = Credentials(directory / "certificate.pem", directory / "key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with os.fdopen(os.open(made.private_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return made


def _check(own: Credentials) -> None:
    server = make_context(tls_policy.PEER_SERVER, [own], [own.certificate], quiet=True)
    client = make_context(tls_policy.PEER_CLIENT, [own], [own.certificate], quiet=True)
    seen: list[int] = []
    kept = client.watch(seen)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    left, right = client.expecting(_URI).wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)
    exchange(left, right)
    for one, other in ((left, right), (right, left)):
        content = os.urandom(_ENOUGH)
        one.write(content)
        if b"".join(_read_all(other)) != content:
            raise ConfigurationError("what was sent is not what was received")
    facts = right.facts
    if (facts.version, facts.group, facts.signature) != ("TLSv1.3", tls_policy.HYBRID, "ML-DSA-65"):
        raise ConfigurationError(f"agreed on {facts.version}, {facts.group}, {facts.signature}")
    if _NEW_SESSION_TICKET in seen or not seen:
        raise ConfigurationError("a session ticket was issued")
    del kept
    _check_refusal(own)


def _check_refusal(own: Credentials) -> None:
    """A peer without the hybrid group does not get in."""
    server = make_context(tls_policy.PEER_SERVER, [own], [own.certificate], quiet=True)
    weak = make_context(replace(tls_policy.PEER_CLIENT, groups="X25519"), [own], [own.certificate], quiet=True)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    left, right = weak.expecting(_URI).wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)
    try:
        exchange(left, right)
    except HandshakeError:
        return
    raise ConfigurationError("a peer that offers only X25519 was let in")


def _read_all(connection: TlsObject) -> list[bytes]:
    parts = []
    try:
        while part := connection.read():
            parts.append(bytes(part) if not isinstance(part, int) else b"")
    except ssl.SSLWantReadError:
        pass
    return parts


def exchange(left: TlsObject, right: TlsObject) -> None:
    """Make the handshake between two ends whose BIOs are crossed.

    Raises:
        TlsRefusedError: one of them refused.
    """
    done = {left: False, right: False}
    for _ in range(8):
        for end in (left, right):
            if not done[end]:
                try:
                    end.do_handshake()
                    done[end] = True
                except ssl.SSLWantReadError:
                    pass
    if not all(done.values()):
        raise ConfigurationError("the handshake came to no end")
