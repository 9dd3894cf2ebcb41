"""What SSH connections may use, and the keys of their two sides."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh

from quiver.domain.errors import ConfigurationError

__all__ = [
    "POST_QUANTUM",
    "WITH_CLASSICAL",
    "SshPolicy",
    "fingerprint",
    "make_host_key",
    "public_key",
    "read_private_key",
]

# RSA is not among them: its signature's hash is negotiated, down to SHA-1 with old programs.
SIGNATURES: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


@dataclass(frozen=True, slots=True)
class SshPolicy:
    """Algorithms by their names on the wire, best first."""

    key_exchanges: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]  # for ciphers that do not authenticate by themselves

    def options(self) -> dict[str, object]:
        """As asyncssh's options; with none of its defaults left and no configuration file of the user's read."""
        return {
            "config": None,
            "kex_algs": self.key_exchanges,
            "encryption_algs": self.ciphers,
            "mac_algs": self.macs,
            "signature_algs": SIGNATURES,
            "compression_algs": ("none",),  # lengths of compressed secrets tell of them
            "public_key_auth": True,
            "password_auth": False,
            "kbdint_auth": False,
            "host_based_auth": False,
            "gss_host": None,
            "gss_kex": False,
            "gss_auth": False,
            "agent_forwarding": False,
            "x11_forwarding": False,
            "x509_trusted_certs": None,
            "x509_trusted_cert_paths": (),
            "encoding": None,
        }


_HYBRID: Final = ("mlkem768x25519-sha256", "mlkem1024nistp384-sha384", "mlkem768nistp256-sha256")
_AUTHENTICATED: Final = ("aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
_ETM: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")

POST_QUANTUM: Final = SshPolicy(_HYBRID, _AUTHENTICATED, _ETM)
"""Key exchange with ML-KEM only (draft-ietf-sshm-mlkem-hybrid-kex), authenticated encryption only."""

WITH_CLASSICAL: Final = SshPolicy(
    (*_HYBRID, "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp384", "ecdh-sha2-nistp256"),
    (*_AUTHENTICATED, "aes256-ctr"),
    (*_ETM, "hmac-sha2-256", "hmac-sha2-512"),
)
"""ML-KEM preferred; elliptic curves alone where the other side knows no better, as libssh2 and OpenSSH before 9.9."""


def public_key(line: str) -> asyncssh.SSHKey:
    """A public key from a line as OpenSSH writes them: algorithm, base64, and a comment that may be left out.

    Raises:
        ConfigurationError: it is none, or of an algorithm that is not allowed.
    """
    try:
        key = asyncssh.import_public_key(line.strip())
    except (asyncssh.KeyImportError, ValueError):
        raise ConfigurationError("not a public key as OpenSSH writes them: 'ssh-ed25519 AAAA… comment'") from None
    if key.get_algorithm() not in SIGNATURES:
        raise ConfigurationError(f"a key of {key.get_algorithm()}; allowed are {', '.join(SIGNATURES)}")
    return key


def fingerprint(key: asyncssh.SSHKey) -> str:
    """`SHA256:…`, as OpenSSH shows it."""
    return key.get_fingerprint("sha256")


def public_line(key: asyncssh.SSHKey) -> str:
    """A key's public part as one line, algorithm and base64."""
    algorithm, encoded = key.export_public_key().decode().split()[:2]
    return f"{algorithm} {encoded}"


def make_host_key(comment: str) -> tuple[bytes, str]:
    """A fresh Ed25519 key: OpenSSH's private form, and the public line."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment)
    return key.export_private_key("openssh"), public_line(key)


def read_private_key(path: Path) -> asyncssh.SSHKey:
    """A private key, OpenSSH's form or PKCS #8, unencrypted, for its owner's eyes only.

    Raises:
        ConfigurationError: it cannot be read, others may read it, it is encrypted, or of an algorithm that is not allowed.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"{path}: a private key that others may use; chmod 600 it")
        key = asyncssh.import_private_key(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        if "assphrase" in str(error):
            reason = "an encrypted private key; nobody is there to type its password"
            raise ConfigurationError(f"{path}: {reason}") from None
        raise ConfigurationError(f"{path}: not an SSH private key") from None
    if key.get_algorithm() not in SIGNATURES:
        raise ConfigurationError(f"{path}: a key of {key.get_algorithm()}; allowed are {', '.join(SIGNATURES)}")
    return key


def public_keys(lines: Iterable[str]) -> tuple[asyncssh.SSHKey, ...]:
    """The keys of several lines, as `public_key`.

    Raises:
        ConfigurationError: as `public_key`.
    """
    return tuple(public_key(line) for line in lines)
