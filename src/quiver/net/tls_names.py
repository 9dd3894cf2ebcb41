"""Who a certificate names, and what is known of the peer of a live connection.

The rule is one: a certificate of Quiver's own authorities carries its role and id as a URI among its subject alternative names,

    urn:quiver:node:ID   an agent towards other agents and towards devices
    urn:quiver:kme:ID    an agent towards SAEs
    urn:quiver:sae:ID    an SAE
    urn:quiver:device:ID a QKD device
    urn:quiver:controller:ID, urn:quiver:operator:ID, urn:quiver:auditor:ID
                         who may speak NETCONF with an agent, and in which role

with ID percent-encoded (RFC 3986 section 2.1) in the one form that `quiver_uri` writes. At most one such URI may stand in a
certificate; one with several, or with one that is spelt otherwise, names nobody. Only where a certificate has *no* such URI,
as those of a foreign authority, its SAE id is the subject's common name, which must be there exactly once (ETSI GS QKD 014
clause 5.1 leaves open where the id stands).
"""

import datetime
import ipaddress
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa

from quiver.domain import limits

__all__ = ["PeerFacts", "PeerNames", "Role", "key_name", "names_of", "quiver_uri"]

Role = Literal["node", "kme", "sae", "device", "controller", "operator", "auditor"]
ROLES: Final[tuple[Role, ...]] = ("node", "kme", "sae", "device", "controller", "operator", "auditor")
_PREFIX: Final = "urn:quiver:"


def quiver_uri(role: Role, identity: str) -> str:
    """The URI that stands for an id of a role in a certificate.

    Raises:
        ValueError: the id is empty, too long or has a character that cannot be printed.
    """
    if not 0 < len(identity) <= limits.SAE_ID_LENGTH or not identity.isprintable():
        message = f"an id has 1 to {limits.SAE_ID_LENGTH} printable characters"
        raise ValueError(message)
    return f"{_PREFIX}{role}:{quote(identity, safe='')}"


@dataclass(frozen=True, slots=True)
class PeerNames:
    """The names in a certificate. `role` and `identity` are None where it names nobody in Quiver's own way."""

    role: Role | None
    identity: str | None
    common_name: str | None
    dns: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    foreign: bool = True  # has no URI of Quiver's at all

    @property
    def node(self) -> str | None:
        """The node's id, or None where the certificate is no node's."""
        return self.identity if self.role == "node" else None

    @property
    def sae(self) -> str | None:
        """The SAE's id, or None where the certificate is no SAE's."""
        if self.foreign:
            return self.common_name
        return self.identity if self.role == "sae" else None

    def __str__(self) -> str:
        if self.identity is not None:
            return f"{self.role} {self.identity}"
        return self.common_name or ", ".join(self.dns + self.addresses) or "nobody"


def _parse(uri: str) -> tuple[Role, str] | None:
    role_text, _, encoded = uri.removeprefix(_PREFIX).partition(":")
    for role in ROLES:
        if role == role_text:
            identity = unquote(encoded)
            try:
                return (role, identity) if quiver_uri(role, identity) == uri else None
            except ValueError:
                return None
    return None


def names_of(certificate: x509.Certificate | x509.CertificateSigningRequest) -> PeerNames:
    """All names of a certificate or of a signing request, by the rule of this module."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = tuple(alternative.get_values_for_type(x509.UniformResourceIdentifier))
        dns = tuple(alternative.get_values_for_type(x509.DNSName))
        addresses = tuple(str(ip) for ip in alternative.get_values_for_type(x509.IPAddress))
    except x509.ExtensionNotFound:
        uris = dns = addresses = ()
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = str(common[0].value) if len(common) == 1 else None
    ours = [uri for uri in uris if uri.lower().startswith(_PREFIX)]
    found = _parse(ours[0]) if len(ours) == 1 else None
    role, identity = found if found is not None else (None, None)
    return PeerNames(role, identity, name, dns, uris, addresses, foreign=not ours)


def is_address(host: str) -> bool:
    """Whether a host is given as an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def key_name(key: object) -> str:
    """A short name for a public or private key's algorithm, as `ML-DSA-65` or `ECDSA P-256`."""
    match key:
        case mldsa.MLDSA65PublicKey() | mldsa.MLDSA65PrivateKey():
            return "ML-DSA-65"
        case mldsa.MLDSA44PublicKey() | mldsa.MLDSA44PrivateKey():
            return "ML-DSA-44"
        case mldsa.MLDSA87PublicKey() | mldsa.MLDSA87PrivateKey():
            return "ML-DSA-87"
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            return "ECDSA " + {"secp256r1": "P-256", "secp384r1": "P-384"}.get(key.curve.name, key.curve.name)
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            return f"RSA-{key.key_size}"
        case ed25519.Ed25519PublicKey() | ed25519.Ed25519PrivateKey():
            return "Ed25519"
        case ed448.Ed448PublicKey() | ed448.Ed448PrivateKey():
            return "Ed448"
    return type(key).__name__


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What one live connection is protected by, and whom the peer's certificate, which was verified, names."""

    names: PeerNames
    version: str  # "TLSv1.3"
    group: str  # key exchange, "X25519MLKEM768"
    cipher: str  # "TLS_AES_256_GCM_SHA384"
    signature: str  # the key that the peer signed with, "ML-DSA-65"
    own_signature: str  # the key that this side signed with
    expires: datetime.datetime  # end of the peer's certificate, UTC
    serial: int
    issuer: str  # RFC 4514 name of its authority
