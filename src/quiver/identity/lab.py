"""All certificates of a small network in one process: for the demo and for tests, where nobody carries requests about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from quiver.identity.pki import (
    CERTIFICATE_DAYS,
    CertificationAuthority,
    Request,
    make_authority,
    make_key,
    make_request,
    write_certificate,
    write_key,
)
from quiver.identity.profiles import AUTHORITIES, profile_named
from quiver.net.tls_policy import Credentials

__all__ = ["LOOPBACK", "Lab"]

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Lab:
    """A network's authorities, their keys in memory only, and the files of the certificates that they issue.

    Args:
        directory: where files go; made with mode 0700 if it is not there.
        network: the network's name, part of the authorities' names.
    """

    def __init__(self, directory: Path, network: str = "lab") -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory: Final = directory
        self._authorities: Final[dict[str, CertificationAuthority]] = {}
        for group in AUTHORITIES.values():
            for authority in group:
                self._authorities[authority.stem] = make_authority(authority, network=network)
                write_certificate(directory / f"{authority.stem}.pem", self._authorities[authority.stem].certificate)
        both = (self._authorities[one.stem].certificate for one in AUTHORITIES["saes"])
        write_certificate(self.saes_bundle, *both)

    @property
    def nodes_trust(self) -> Path:
        """Bundle of the peer plane."""
        return self.directory / "nodes-ca.pem"

    @property
    def saes_trust(self) -> tuple[Path, Path]:
        """Bundles of the SAE plane, classical and post-quantum."""
        return self.directory / "saes-ca.pem", self.directory / "saes-pq-ca.pem"

    @property
    def saes_bundle(self) -> Path:
        """Both in one file, for programs that take one: a KME shows whichever of its certificates fits the client."""
        return self.directory / "saes-ca-bundle.pem"

    @property
    def devices_trust(self) -> Path:
        """Bundle of the device plane."""
        return self.directory / "devices-ca.pem"

    @property
    def management_trust(self) -> tuple[Path, Path]:
        """Bundles of the management plane, post-quantum and classical."""
        return self.directory / "management-ca.pem", self.directory / "management-classical-ca.pem"

    def issue(
        self, profile_name: str, identity: str, *, hosts: Sequence[str] = LOOPBACK, days: float = CERTIFICATE_DAYS
    ) -> Credentials:
        """A fresh key and its certificate, written as `<profile>-<id>.pem` and `.key`.

        Characters of the id that a file name dislikes become _.

        Args:
            profile_name: a name of `PROFILES`.
            identity: the id.
            hosts: DNS names and IP addresses under which it is reached.
            days: how long it is valid; negative for a certificate that has expired.

        Raises:
            ConfigurationError: the profile, the id or a host is not allowed, or the file exists.
        """
        profile = profile_named(profile_name)
        key = make_key(profile.kind)
        request = Request.check(make_request(key, profile, identity, hosts), profile)
        certificate = self._authorities[profile.authority].sign(request, days=days)
        stem = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in f"{profile.name}-{identity}")
        credentials = Credentials(self.directory / f"{stem}.pem", self.directory / f"{stem}.key")
        write_key(credentials.private_key, key)
        write_certificate(credentials.certificate, certificate)
        return credentials
