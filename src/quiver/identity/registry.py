"""The registration phase on disk: a directory of authorities, and request and certificate files that travel by hand."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from quiver.domain.errors import ConfigurationError
from quiver.identity.pki import (
    CertificationAuthority,
    Request,
    make_authority,
    make_key,
    make_request,
    write_certificate,
    write_key,
    write_new,
)
from quiver.identity.profiles import AUTHORITIES, Authority, Profile
from quiver.net.tls_names import key_name, names_of

__all__ = ["describe", "init_authorities", "load_authority", "read_request", "write_request"]

# What the library raises for documents that are broken, or made to confuse their readers.
_UNREADABLE: Final = (
    ValueError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
    UnsupportedAlgorithm,
)
_USAGES: Final = {ExtendedKeyUsageOID.CLIENT_AUTH: "client", ExtendedKeyUsageOID.SERVER_AUTH: "server"}


def init_authorities(directory: Path, groups: Sequence[str], *, network: str = "") -> list[Path]:
    """Make authorities in a directory (0700), a key (0600) and a certificate each; the certificates' paths.

    Args:
        directory: where; different groups belong on different machines.
        groups: names of `AUTHORITIES`.
        network: the network's name, to be part of the authorities' names.

    Raises:
        ConfigurationError: a group is unknown or a file exists; then none is made.
    """
    wanted: list[Authority] = []
    for group in dict.fromkeys(groups):
        if group not in AUTHORITIES:
            raise ConfigurationError(f"authority {group!r}: allowed are {', '.join(AUTHORITIES)}")
        wanted.extend(AUTHORITIES[group])
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{directory}: {error.strerror}") from None
    for authority in wanted:
        for suffix in (".pem", ".key"):
            if (path := directory / f"{authority.stem}{suffix}").exists():
                raise ConfigurationError(f"{path}: exists already; nothing is overwritten")
    made = []
    for authority in wanted:
        fresh = make_authority(authority, network=network)
        write_key(directory / f"{authority.stem}.key", fresh.key)
        made.append(directory / f"{authority.stem}.pem")
        write_certificate(made[-1], fresh.certificate)
    return made


def load_authority(directory: Path, profile: Profile) -> CertificationAuthority:
    """The authority that issues certificates of a profile.

    Raises:
        ConfigurationError: it is not in the directory, or its files are wrong.
    """
    return CertificationAuthority.load(directory / f"{profile.authority}.pem", directory / f"{profile.authority}.key")


def write_request(stem: Path, profile: Profile, identity: str, hosts: Sequence[str]) -> tuple[Path, Path]:
    """Make a private key, `<stem>.key` (0600), and the request for its certificate, `<stem>.csr`.

    Raises:
        ConfigurationError: the id or a host is not allowed, or a file exists.
    """
    key_path, request_path = stem.with_name(f"{stem.name}.key"), stem.with_name(f"{stem.name}.csr")
    for path in (key_path, request_path):
        if path.exists():
            raise ConfigurationError(f"{path}: exists already; nothing is overwritten")
    key = make_key(profile.kind)
    request = make_request(key, profile, identity, hosts)
    write_key(key_path, key)
    try:
        write_new(request_path, request.public_bytes(serialization.Encoding.PEM), 0o644)
    except ConfigurationError:
        key_path.unlink()  # so that it can be tried again
        raise
    return key_path, request_path


def read_request(path: Path, profile: Profile) -> Request:
    """Read a request and check it against a profile.

    Raises:
        ConfigurationError: the file is missing, is no request, or does not fit the profile.
    """
    return Request.check(_request_in(path, _read(path)), profile)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None


def _request_in(path: Path, content: bytes) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(content)
        names_of(csr), csr.public_key(), csr.is_signature_valid  # these are read only when they are asked for
    except _UNREADABLE:
        raise ConfigurationError(f"{path}: not a PEM signing request") from None
    return csr


def describe(path: Path, *, now: datetime.datetime | None = None) -> list[dict[str, Any]]:
    """What the certificates or the request in a PEM file say, for people and for JSON.

    Raises:
        ConfigurationError: the file is missing or holds neither. A private key is never shown.
    """
    content = _read(path)
    if b"CERTIFICATE REQUEST-----" in content:
        return [describe_request(_request_in(path, content))]
    try:
        moment = now or datetime.datetime.now(datetime.UTC)
        return [describe_certificate(one, moment) for one in x509.load_pem_x509_certificates(content)]
    except _UNREADABLE:
        raise ConfigurationError(f"{path}: neither PEM certificates nor a signing request") from None


def describe_request(csr: x509.CertificateSigningRequest) -> dict[str, Any]:
    """What a request asks for."""
    return {"what": "signing request", "signature_valid": csr.is_signature_valid, **_parties(csr)}


def describe_certificate(certificate: x509.Certificate, now: datetime.datetime) -> dict[str, Any]:
    """What a certificate says, and how it stands at a moment (UTC)."""
    authority, usages = False, list[str]()
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            authority = extension.value.ca
        elif isinstance(extension.value, x509.ExtendedKeyUsage):
            usages = [_USAGES.get(usage, usage.dotted_string) for usage in extension.value]
    ended, started = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    state = "expired" if now > ended else "not valid yet" if now < started else "valid"
    return {
        "what": "authority" if authority else "certificate",
        **_parties(certificate),
        "issuer": certificate.issuer.rfc4514_string(),
        "usages": usages,
        "not_before": started.isoformat(timespec="seconds"),
        "not_after": ended.isoformat(timespec="seconds"),
        "state": state,
        "serial": f"{certificate.serial_number:x}",
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def _parties(document: x509.Certificate | x509.CertificateSigningRequest) -> dict[str, Any]:
    names = names_of(document)
    return {
        "subject": document.subject.rfc4514_string(),
        "role": names.role,
        "id": names.identity,
        "dns": list(names.dns),
        "addresses": list(names.addresses),
        "uris": list(names.uris),
        "key": key_name(document.public_key()),
    }
