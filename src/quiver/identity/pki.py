"""The registration phase: authorities, requests and certificates of nodes, SAEs and devices.

A private key is made where it is used and never leaves there: what travels to the authority is a signing request (PKCS #10,
RFC 2986). Certificates follow RFC 5280, with ML-DSA as in RFC 9881; the names in them follow `quiver.net.tls_names`.
"""

import datetime
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from quiver.domain.errors import ConfigurationError
from quiver.identity.profiles import Authority, Kind, Profile
from quiver.net.tls_names import PeerNames, key_name, names_of, quiver_uri

__all__ = ["CertificationAuthority", "PrivateKey", "Request", "make_authority", "make_key", "make_request", "write_key"]

PrivateKey = mldsa.MLDSA65PrivateKey | ec.EllipticCurvePrivateKey

AUTHORITY_DAYS: Final = 3650
CERTIFICATE_DAYS: Final = 365
_SKEW: Final = datetime.timedelta(minutes=5)  # clocks of two sites differ
_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_COMMON_NAME_LENGTH: Final = 64  # characters, RFC 5280 appendix A.1 (ub-common-name)


def make_key(kind: Kind) -> PrivateKey:
    """A fresh private key."""
    if kind == "ML-DSA-65":
        return mldsa.MLDSA65PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def _hash_for(key: PrivateKey) -> hashes.SHA256 | None:
    return hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, durably, with these permission bits from the first moment on.

    Raises:
        ConfigurationError: the file exists or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        raise ConfigurationError(f"{path}: exists already; nothing is overwritten") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigurationError(f"{path}: {error.strerror}") from None


def write_key(path: Path, key: PrivateKey) -> None:
    """Write a private key as unencrypted PKCS #8, for its owner's eyes only (mode 0600). A file that exists is left alone.

    Raises:
        ConfigurationError: the file exists or cannot be written.
    """
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_new(path, encoded, 0o600)


def write_certificate(path: Path, *certificates: x509.Certificate) -> None:
    """Write certificates, the owner's first, as PEM.

    Raises:
        ConfigurationError: the file exists or cannot be written.
    """
    write_new(path, b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates), 0o644)


def _subject(common_name: str) -> x509.Name:
    if len(common_name.encode()) > _COMMON_NAME_LENGTH:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _dns_name(host: str) -> str:
    try:
        encoded = host.encode("idna").decode("ascii")
    except ValueError:
        encoded = ""
    if not _DNS_NAME.fullmatch(encoded):
        raise ConfigurationError(f"host {host!r}: neither an IP address nor a DNS name without wildcards")
    return encoded


def _alternative_names(profile: Profile, identity: str, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    try:
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(quiver_uri(profile.role, identity))]
    except ValueError as error:
        raise ConfigurationError(f"id {identity!r}: {error}") from None
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(_dns_name(host)))
    return x509.SubjectAlternativeName(names)


@dataclass(frozen=True, slots=True)
class Request:
    """A signing request that was checked: its maker holds the key, and it names one party as the profile wants."""

    csr: x509.CertificateSigningRequest
    profile: Profile
    names: PeerNames

    @classmethod
    def check(cls, csr: x509.CertificateSigningRequest, profile: Profile) -> "Request":
        """Check a request against a profile.

        Raises:
            ConfigurationError: the proof of possession, the kind of key or the name is wrong.
        """
        if not csr.is_signature_valid:
            raise ConfigurationError("request: its signature is wrong, so nobody proved to hold the key")
        kind = key_name(csr.public_key())
        if kind != profile.kind:
            raise ConfigurationError(f"request: its key is {kind}; profile {profile.name} wants {profile.kind}")
        names = names_of(csr)
        if names.role != profile.role or names.identity is None:
            raise ConfigurationError(f"request: it names no {profile.role} (one URI urn:quiver:{profile.role}:ID)")
        return cls(csr, profile, names)


def make_request(
    key: PrivateKey, profile: Profile, identity: str, hosts: Sequence[str] = ()
) -> x509.CertificateSigningRequest:
    """A signing request for an id, with the DNS names and IP addresses under which it will be reached.

    Raises:
        ConfigurationError: the id or a host is not allowed.
    """
    alternative = _alternative_names(profile, identity, hosts)
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(identity))
    builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key, _hash_for(key))


@dataclass(frozen=True, slots=True)
class CertificationAuthority:
    """An authority with its private key: whoever holds this can make identities."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def kind(self) -> str:
        """The kind of its key, which is that of the certificates' signatures."""
        return key_name(self.key)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> "CertificationAuthority":
        """Read an authority from its PEM files.

        Raises:
            ConfigurationError: a file is missing or wrong, they do not belong together, or the certificate is no authority's
                or has expired: what it signed would be refused everywhere.
        """
        try:
            own = x509.load_pem_x509_certificate(certificate.read_bytes())
            secret = serialization.load_pem_private_key(key.read_bytes(), None)
        except OSError as error:
            raise ConfigurationError(f"{error.filename}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise ConfigurationError(f"{certificate}, {key}: not a PEM certificate and its unencrypted key") from None
        if not isinstance(secret, mldsa.MLDSA65PrivateKey | ec.EllipticCurvePrivateKey):
            raise ConfigurationError(f"{key}: allowed are ML-DSA-65 and ECDSA P-256 keys")
        if own.public_key() != secret.public_key():
            raise ConfigurationError(f"{key}: not the key of {certificate}")
        constraints = [one.value for one in own.extensions if isinstance(one.value, x509.BasicConstraints)]
        if not any(one.ca for one in constraints):
            raise ConfigurationError(f"{certificate}: its owner is no certification authority")
        if own.not_valid_after_utc < _now():
            raise ConfigurationError(f"{certificate}: expired on {own.not_valid_after_utc:%Y-%m-%d}")
        return cls(own, secret)

    def sign(
        self, request: Request, *, days: float = CERTIFICATE_DAYS, now: datetime.datetime | None = None
    ) -> x509.Certificate:
        """Issue a certificate for what was checked and for nothing else: of the request only key, id and host names are copied.

        Args:
            request: what `Request.check` gave.
            days: how long it is valid, from now on; negative in tests of expiry.
            now: the time to start from, default the clock's.

        Raises:
            ConfigurationError: the authority's kind of key is not the profile's.
        """
        profile = request.profile
        if self.kind != profile.kind:
            raise ConfigurationError(
                f"profile {profile.name} is issued by a {profile.kind} authority, this is {self.kind}"
            )
        start = (now or _now()) - _SKEW
        end = start + _SKEW + datetime.timedelta(days=days)
        start = min(start, end - _SKEW)
        identity = request.names.identity or ""
        alternative = _alternative_names(profile, identity, request.names.dns + request.names.addresses)
        subject = _subject(identity)
        builder = (
            _builder(subject, self.certificate.subject, request.csr.public_key(), start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signing_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(profile.usages), critical=False)
            .add_extension(alternative, critical=not list(subject))
            .add_extension(_issuer_id(self.certificate), critical=False)
        )
        return builder.sign(self.key, _hash_for(self.key))


def _usage(*, signing_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing_certificates,
        crl_sign=signing_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _issuer_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: CertificatePublicKeyTypes,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def make_authority(authority: Authority, *, network: str = "", days: float = AUTHORITY_DAYS) -> CertificationAuthority:
    """A fresh self-signed authority, which may issue certificates but no further authorities.

    Args:
        authority: which one.
        network: the network's name, to tell two networks' authorities apart.
        days: how long it is valid.

    Raises:
        ConfigurationError: the network's name is too long.
    """
    key = make_key(authority.kind)
    name = _subject(f"{authority.title} {network}".strip())
    if not list(name):  # an issuer has a name (RFC 5280 section 4.1.2.4)
        most = _COMMON_NAME_LENGTH - len(authority.title) - 1
        raise ConfigurationError(f"network: at most {most} bytes of name are allowed")
    start = _now() - _SKEW
    builder = _builder(name, name, key.public_key(), start, start + datetime.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signing_certificates=True), critical=True)
    return CertificationAuthority(builder.sign(key, _hash_for(key)), key)
