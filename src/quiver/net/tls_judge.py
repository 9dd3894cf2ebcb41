"""The verdict on a peer's certificate, reached inside the handshake."""

import datetime
import ipaddress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, DNSPattern, IPAddress_ID, IPAddressPattern, verify_service_identity

from quiver.net.tls_names import PeerNames, is_address, names_of
from quiver.net.tls_policy import TlsPolicy
from quiver.net.tls_refusal import words_for_certificate

__all__ = ["Judgement", "judge"]


class Judgement:
    """What one handshake has found out about its peer.

    Args:
        policy: what the plane demands.
        expected: whom a client wants to reach: a `urn:quiver:` URI, a DNS name or an address; None at a server.
        quiet: a refusal is not to be logged.
    """

    __slots__ = ("_seen", "certificate", "expected", "names", "policy", "quiet", "reason")

    def __init__(self, policy: TlsPolicy, expected: str | None, *, quiet: bool = False) -> None:
        self.policy: Final = policy
        self.expected: Final = expected
        self.quiet: Final = quiet
        self.reason: str | None = None  # why the certificate was refused
        self.certificate: x509.Certificate | None = None  # only once it is verified and accepted
        self.names: PeerNames | None = None
        self._seen = ""  # the refused certificate's names, for the log only

    @property
    def server_name(self) -> str | None:
        """The name that a client announces (RFC 6066 section 3: host names only)."""
        if self.expected is None or self.expected.startswith("urn:") or is_address(self.expected):
            return None
        return self.expected

    @property
    def peer_words(self) -> str:
        """The peer for a log line; where it was refused, this is only what it claims to be."""
        return str(self.names) if self.names is not None else self._seen

    def der(self) -> bytes:
        """The accepted certificate; empty before."""
        return self.certificate.public_bytes(Encoding.DER) if self.certificate is not None else b""

    def refuse(self, reason: str) -> bool:
        """Keep the first reason; always False, which is OpenSSL's word for a refused certificate."""
        if self.reason is None:
            self.reason = reason
        return False

    def weigh(self, certificate: crypto.X509, code: int, depth: int, trusted: bool) -> bool:
        """OpenSSL's question about one certificate of the chain; depth 0 is the peer's own, asked last."""
        if not trusted:
            return self._distrust(certificate, code, depth)
        if depth > 0:
            return True
        leaf = certificate.to_cryptography()
        names = names_of(leaf)
        self._seen = str(names)
        if not self._admits(names) or not self._usable(leaf) or not self._matches(names):
            return False
        self.certificate, self.names = leaf, names
        return True

    def _distrust(self, certificate: crypto.X509, code: int, depth: int) -> bool:
        words = words_for_certificate(code)
        leaf = certificate.to_cryptography()
        if depth == 0:
            self._seen = str(names_of(leaf))
        if code == 10:  # X509_V_ERR_CERT_HAS_EXPIRED
            ended = leaf.not_valid_after_utc.astimezone(datetime.UTC).isoformat(timespec="seconds")
            words = f"{words}, since {ended}" + (f" (issuer {leaf.subject.rfc4514_string()})" if depth else "")
        return self.refuse(words)

    def _admits(self, names: PeerNames) -> bool:
        policy = self.policy
        if names.foreign and not policy.foreign:
            return self.refuse("wrong name: the certificate has no urn:quiver: name")
        if not names.foreign and names.identity is None:
            return self.refuse("wrong name: the certificate has several urn:quiver: names, or a misspelt one")
        if not names.foreign and policy.roles and names.role not in policy.roles:
            wanted = "'s, ".join(policy.roles)
            return self.refuse(f"wrong name: the certificate is a {names.role}'s, not a {wanted}'s")
        if policy.roles == ("sae",) and names.sae is None:
            return self.refuse("wrong name: the certificate names no SAE (URI urn:quiver:sae:ID, or one common name)")
        return True

    def _usable(self, leaf: x509.Certificate) -> bool:
        if not self.policy.explicit_usage:
            return True  # OpenSSL has checked the usage where the certificate states one
        wanted = ExtendedKeyUsageOID.CLIENT_AUTH if self.policy.server_side else ExtendedKeyUsageOID.SERVER_AUTH
        try:
            if wanted in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value:
                return True
        except x509.ExtensionNotFound:
            pass
        return self.refuse("wrong purpose: the certificate does not state its extended key usage")

    def _matches(self, names: PeerNames) -> bool:
        if self.policy.server_side:
            return True
        wanted = self.expected
        if wanted is None or (self.policy.by_identity and not wanted.startswith("urn:quiver:")):
            return self.refuse(f"wrong name: nobody said whom to expect; the certificate is for {names}")
        if wanted in names.uris if wanted.startswith("urn:") else _is_host(wanted, names):
            return True
        return self.refuse(f"wrong name: expected {wanted}, the certificate is for {names}")


def _is_host(host: str, names: PeerNames) -> bool:
    """Whether a DNS name or an address is among a certificate's (RFC 9525; the common name does not count).

    service-identity's own reading of a certificate stumbles over URIs with two colons, so that the names come from ours.
    """
    try:
        if is_address(host):
            addresses = [IPAddressPattern(ipaddress.ip_address(one)) for one in names.addresses]
            verify_service_identity(addresses, [IPAddress_ID(host)], [])
        else:
            verify_service_identity([DNSPattern.from_bytes(one.encode()) for one in names.dns], [DNS_ID(host)], [])
    except (VerificationError, CertificateError, ValueError):
        return False
    return True


def judge(connection: SSL.Connection, certificate: crypto.X509, code: int, depth: int, trusted: int) -> bool:
    """The verification callback of every context. It never raises: an exception here would surface in another connection."""
    judgement = connection.get_app_data()
    if not isinstance(judgement, Judgement):
        return False
    try:
        return judgement.weigh(certificate, code, depth, bool(trusted))
    except Exception as error:  # noqa: BLE001
        return judgement.refuse(f"bad certificate: {type(error).__name__} while reading it")
