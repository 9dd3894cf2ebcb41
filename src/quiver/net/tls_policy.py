"""What each plane demands of a TLS connection, as data."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from quiver.net.tls_names import Role

__all__ = [
    "DEVICE_CLIENT",
    "DEVICE_SERVER",
    "MANAGEMENT_CLIENT",
    "MANAGEMENT_SERVER",
    "MANAGEMENT_SERVER_CLASSICAL",
    "NORTHBOUND_CLIENT",
    "NORTHBOUND_CLIENT_CLASSICAL",
    "NORTHBOUND_SERVER",
    "NORTHBOUND_SERVER_CLASSICAL",
    "PARTNER_CLIENT",
    "PARTNER_SERVER",
    "PEER_CLIENT",
    "PEER_SERVER",
    "SAE_CLIENT_CLASSICAL",
    "SAE_CLIENT_PQ",
    "SAE_SERVER",
    "SAE_SERVER_PQ",
    "Credentials",
    "TlsPolicy",
]

HYBRID: Final = "X25519MLKEM768"  # RFC 10024, codepoint 4588
MLDSA65: Final = "mldsa65"  # draft-ietf-tls-mldsa, scheme 0x0905
ANY_GROUP: Final = f"{HYBRID}:X25519:P-256"
CLASSICAL_SCHEMES: Final = (
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ed25519:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384"
    ":rsa_pss_pss_sha256:RSA+SHA256:RSA+SHA384"
)
STRONG_SUITES: Final = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
ANY_SUITES: Final = f"{STRONG_SUITES}:TLS_AES_128_GCM_SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate chain and its private key, as PEM files. The key may not be readable by everyone."""

    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What a plane demands. Every connection is mutual: both sides show a certificate."""

    plane: str
    server_side: bool
    groups: str  # key exchange groups, best first
    schemes: str  # signature schemes, best first
    suites: str  # of TLS 1.3
    tls12: bool = False  # whether TLS 1.2 is allowed beside 1.3
    roles: tuple[Role, ...] = ()  # whom the peer's certificate may name; empty: it is for the caller to judge
    foreign: bool = True  # whether certificates without a name of Quiver's own are allowed
    by_identity: bool = (
        False  # whether a client must say which `urn:quiver:` name it expects: a host name is not enough
    )
    explicit_usage: bool = False  # whether the extended key usage must be there (RFC 5280 section 4.2.1.12)


PEER_SERVER: Final = TlsPolicy(
    "peer", True, HYBRID, MLDSA65, STRONG_SUITES, roles=("node",), foreign=False, explicit_usage=True
)
PEER_CLIENT: Final = replace(PEER_SERVER, server_side=False, by_identity=True)

SAE_SERVER: Final = TlsPolicy(
    "SAE", True, ANY_GROUP, f"{MLDSA65}:{CLASSICAL_SCHEMES}", ANY_SUITES, tls12=True, roles=("sae",)
)
SAE_SERVER_PQ: Final = replace(SAE_SERVER, groups=HYBRID, schemes=MLDSA65, suites=STRONG_SUITES, tls12=False)
# Another maker's KME may have any name; of Quiver's own certificates only a KME's is one: an SAE's never stands for it.
SAE_CLIENT_CLASSICAL: Final = TlsPolicy(
    "SAE", False, ANY_GROUP, CLASSICAL_SCHEMES, ANY_SUITES, tls12=True, roles=("kme",)
)
SAE_CLIENT_PQ: Final = TlsPolicy("SAE", False, HYBRID, MLDSA65, STRONG_SUITES, roles=("kme",))

# Between the two SAEs of a tunnel, both of which are Quiver's own programs.
PARTNER_SERVER: Final = replace(PEER_SERVER, plane="partner", roles=("sae",))
PARTNER_CLIENT: Final = replace(PARTNER_SERVER, server_side=False, by_identity=True)

DEVICE_SERVER: Final = TlsPolicy("device", True, "X25519:P-256", CLASSICAL_SCHEMES, ANY_SUITES, tls12=True)
DEVICE_CLIENT: Final = replace(DEVICE_SERVER, server_side=False)

# RFC 7589 with post-quantum certificates only, and with leave for classical ones beside them.
MANAGEMENT_SERVER: Final = replace(PEER_SERVER, plane="management", roles=("controller", "operator", "auditor"))
MANAGEMENT_SERVER_CLASSICAL: Final = replace(
    MANAGEMENT_SERVER, groups=ANY_GROUP, schemes=f"{MLDSA65}:{CLASSICAL_SCHEMES}", suites=ANY_SUITES
)
MANAGEMENT_CLIENT: Final = replace(PEER_CLIENT, plane="management")

# The controller towards those who operate it. It is reached under a host name, as web servers are.
NORTHBOUND_SERVER: Final = replace(MANAGEMENT_SERVER, plane="northbound", roles=("operator", "auditor"))
NORTHBOUND_SERVER_CLASSICAL: Final = replace(
    MANAGEMENT_SERVER_CLASSICAL, plane="northbound", roles=("operator", "auditor")
)
NORTHBOUND_CLIENT: Final = replace(NORTHBOUND_SERVER, server_side=False, roles=("controller",))
NORTHBOUND_CLIENT_CLASSICAL: Final = replace(
    NORTHBOUND_CLIENT, groups=ANY_GROUP, schemes=CLASSICAL_SCHEMES, suites=ANY_SUITES
)
