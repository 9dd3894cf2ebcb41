"""What each kind of certificate may be used for, and which authority issues it."""

from dataclasses import dataclass
from typing import Final, Literal

from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from quiver.domain.errors import ConfigurationError
from quiver.net.tls_names import Role

__all__ = ["AUTHORITIES", "PROFILES", "Authority", "Kind", "Profile", "profile_named"]

Kind = Literal["ML-DSA-65", "ECDSA P-256"]
PQ: Final[Kind] = "ML-DSA-65"
CLASSICAL: Final[Kind] = "ECDSA P-256"

_CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
_SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True)
class Authority:
    """A certification authority of the network; the files are `<stem>.pem` and `<stem>.key`."""

    stem: str
    kind: Kind
    title: str  # its common name


# One group is made together. Nodes' and SAEs' authorities are separate: who can admit SAEs cannot make nodes.
AUTHORITIES: Final[dict[str, tuple[Authority, ...]]] = {
    "nodes": (Authority("nodes-ca", PQ, "Quiver nodes CA"),),
    "saes": (
        Authority("saes-ca", CLASSICAL, "Quiver SAEs CA"),
        Authority("saes-pq-ca", PQ, "Quiver SAEs PQ CA"),
    ),
    "devices": (Authority("devices-ca", CLASSICAL, "Quiver devices CA"),),
    # Who may configure nodes is not who may admit them. The second one is trusted where `allow_classical` is set, if at all.
    "management": (
        Authority("management-ca", PQ, "Quiver management CA"),
        Authority("management-classical-ca", CLASSICAL, "Quiver classical management CA"),
    ),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of certificate."""

    name: str
    role: Role
    kind: Kind
    authority: str  # stem of the authority that issues it
    usages: tuple[ObjectIdentifier, ...]  # extended key usage, RFC 5280 section 4.2.1.12
    for_what: str


def _users(role: Role, for_what: str) -> tuple[Profile, Profile]:
    """Both profiles of a role on the management plane."""
    return (
        Profile(role, role, PQ, "management-ca", (_CLIENT,), for_what),
        Profile(f"{role}-classical", role, CLASSICAL, "management-classical-ca", (_CLIENT,), f"{for_what}, classical"),
    )


PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("node", "node", PQ, "nodes-ca", (_CLIENT, _SERVER), "an agent towards other agents"),
        Profile("kme", "kme", CLASSICAL, "saes-ca", (_SERVER,), "an agent towards SAEs, classical"),
        Profile("kme-pq", "kme", PQ, "saes-pq-ca", (_SERVER,), "an agent towards SAEs, post-quantum"),
        Profile("sae", "sae", CLASSICAL, "saes-ca", (_CLIENT,), "an SAE, classical"),
        Profile("sae-pq", "sae", PQ, "saes-pq-ca", (_CLIENT,), "an SAE, post-quantum"),
        Profile("sae-partner", "sae", PQ, "saes-pq-ca", (_CLIENT, _SERVER), "an SAE towards its partner and its KME"),
        Profile("device", "device", CLASSICAL, "devices-ca", (_SERVER,), "a QKD device's KME"),
        Profile("device-client", "node", CLASSICAL, "devices-ca", (_CLIENT,), "an agent towards its devices"),
        Profile("management", "node", PQ, "management-ca", (_SERVER,), "an agent's NETCONF server"),
        Profile(
            "management-classical", "node", CLASSICAL, "management-classical-ca", (_SERVER,), "the same, classical"
        ),
        *_users("controller", "the SDN controller towards agents"),
        Profile("northbound", "controller", PQ, "management-ca", (_SERVER,), "the SDN controller towards operators"),
        Profile(
            "northbound-classical",
            "controller",
            CLASSICAL,
            "management-classical-ca",
            (_SERVER,),
            "the same, classical",
        ),
        *_users("operator", "an operator"),
        *_users("auditor", "somebody who may read and nothing else"),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of this name.

    Raises:
        ConfigurationError: there is none; the message lists those that there are.
    """
    try:
        return PROFILES[name]
    except KeyError:
        raise ConfigurationError(f"profile {name!r}: allowed are {', '.join(PROFILES)}") from None
