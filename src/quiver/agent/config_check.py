"""What is wrong with an agent's configuration and its files, found before the agent starts."""

import datetime
import ipaddress
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from quiver.agent.config import AgentConfig
from quiver.agent.randomness import fault_of
from quiver.domain.errors import ConfigurationError
from quiver.identity.needs import Need
from quiver.net import tls
from quiver.net.addresses import ListenAddress

__all__ = ["check"]


def check(config: AgentConfig, *, now: datetime.datetime | None = None) -> list[str]:
    """Everything that would keep an agent from doing its work, one line each; empty where nothing was found.

    Reads files and changes none; calls nobody.

    Args:
        config: of the agent.
        now: the moment (UTC) at which certificates have to be valid; None for the present.
    """
    moment = now or datetime.datetime.now(datetime.UTC)
    parts = (
        _state(config),
        _planes(config),
        _certificates(config, moment),
        _trust(config),
        _users(config),
        _directory(config),
        _randomness(config),
    )
    return [finding for part in parts for finding in part]


def _state(config: AgentConfig) -> Iterator[str]:
    private = (config.database, config.mac_key, config.provision_database, config.ssh_host_key)
    for path, allowed in ((config.node.state, 0o700), *((file, 0o600) for file in private)):
        if path.exists() and path.stat().st_mode & 0o077:
            yield f"[node] state: others may use {path}; chmod {allowed:o} it"
    if config.node.state.exists() and not config.node.state.is_dir():
        yield f"[node] state: {config.node.state} is no directory"


def _randomness(config: AgentConfig) -> Iterator[str]:
    if config.randomness is not None and (fault := fault_of(config.randomness.generator)) is not None:
        yield f"[randomness] generator: {fault}"


# --- planes -------------------------------------------------------------------------------------------------------


def _planes(config: AgentConfig) -> Iterator[str]:
    """Each plane's TLS files load, and no two planes listen on one address."""
    contexts: Final[dict[str, Callable[[], object]]] = {
        "peer": lambda: tls.peer_server(config.peer.credentials, config.peer.trust),
        "sae": lambda: tls.sae_server(
            config.sae.classical, config.sae.post_quantum, config.sae.trust, require_pq=config.sae.require_pq
        ),
        "device": lambda: tls.device_client(config.device.credentials, config.device.trust),
    }
    management = config.management
    if management is not None and management.tls_listen is not None:
        contexts["management"] = lambda: tls.management_server(
            management.credentials, management.trust, classical=management.classical
        )
    for plane, make in contexts.items():
        try:
            make()
        except ConfigurationError as error:
            yield f"[{plane}] {error.message}"
    for (one, _, here), (other, field, there) in combinations(_places(config), 2):
        if _collide(here, there):
            yield f"[{other}] {field}: {there} is [{one}]'s already; each plane needs an address of its own"


def _places(config: AgentConfig) -> Iterator[tuple[str, str, ListenAddress]]:
    """Plane, field and address of all that listens."""
    yield "peer", "listen", config.peer.listen
    yield "sae", "listen", config.sae.listen
    if config.metrics is not None:
        yield "metrics", "listen", config.metrics.listen
    if config.management is not None:
        for field in ("ssh_listen", "tls_listen"):
            if (address := getattr(config.management, field)) is not None:
                yield "management", field, address


def _collide(one: ListenAddress, other: ListenAddress) -> bool:
    if one.port != other.port or one.port == 0:
        return False
    first, second = ipaddress.ip_address(one.host), ipaddress.ip_address(other.host)
    return first == second or first.is_unspecified or second.is_unspecified


# --- certificates -------------------------------------------------------------------------------------------------


def _certificates(config: AgentConfig, now: datetime.datetime) -> Iterator[str]:
    """Each certificate names this node in its role, is of the right kind and valid."""
    node, kme = tls.quiver_uri("node", config.node.id), tls.quiver_uri("kme", config.node.id)
    yield from Need("[peer] certificate", config.peer.certificate, node, ("client", "server")).findings(now)
    yield from Need("[sae] pq_certificate", config.sae.pq_certificate, kme, ("server",)).findings(now)
    if config.sae.classical is not None:
        path = config.sae.classical.certificate
        yield from Need("[sae] certificate", path, kme, ("server",), classical=True).findings(now)
    path = config.device.certificate
    yield from Need("[device] certificate", path, node, ("client",), classical=True).findings(now)
    management = config.management
    if management is not None and management.tls_listen is not None:
        path = management.credentials.certificate
        yield from Need("[management] certificate", path, node, ("server",)).findings(now)
        if management.classical is not None:
            where, path = "[management] classical_certificate", management.classical.certificate
            yield from Need(where, path, node, ("server",), classical=True).findings(now)


def _trust(config: AgentConfig) -> Iterator[str]:
    """This node's own certificate is of the authority that it asks others for; no two planes trust the same authority."""
    planes = {"peer": [config.peer.trust], "sae": list(config.sae.trust), "device": [config.device.trust]}
    if config.management is not None:
        planes["management"] = list(config.management.trust)
    bundles = {plane: [one for path in paths for one in _authorities(path)] for plane, paths in planes.items()}
    own = _authorities(config.peer.certificate)[:1]
    if own and bundles["peer"] and not any(_issued(own[0], authority) for authority in bundles["peer"]):
        yield f"[peer] trust: no authority in {config.peer.trust} has issued {config.peer.certificate}"
    for (one, here), (other, there) in combinations(bundles.items(), 2):
        for shared in here:
            if shared in there:
                name = shared.subject.rfc4514_string()
                yield f"[{other}] trust: {name} is trusted on [{one}] too; each plane needs an authority of its own"


def _authorities(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []  # its plane could not load it and has said so


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


# --- users --------------------------------------------------------------------------------------------------------


def _users(config: AgentConfig) -> Iterator[str]:
    """Each user can come by one way at least, and no key opens two users' doors."""
    if config.management is None:
        return
    owners: dict[bytes, str] = {}
    for user in config.management.users:
        if not user.ssh_keys and config.management.tls_listen is None:
            yield f"[management] users: {user.name} has no SSH key, and there is no TLS"
        for key in user.keys:
            owner = owners.setdefault(key.public_data, user.name)
            if owner != user.name:
                yield f"[management] users: {user.name} and {owner} have one SSH key; who holds it would be both"


# --- directory ----------------------------------------------------------------------------------------------------


def _directory(config: AgentConfig) -> Iterator[str]:
    """Every node that this one speaks with has an address, every SAE of a permitted pair has a home."""
    directory: Final = config.directory
    known: Final = {config.node.id, *directory.nodes}
    reasons: dict[str, str] = {}  # node without an address → who needs it
    for link in config.links:
        reasons.setdefault(link.neighbour, f"link {link.id}")
    for entry in config.paths:
        for node in entry.nodes:
            reasons.setdefault(node, f"path {entry.key}")
    if config.management is None:  # else the controller tells the addresses that its paths need
        for sae, node in directory.saes.items():
            reasons.setdefault(node, f"SAE {sae}")
    for node, reason in reasons.items():
        if node not in known:
            yield f"[directory] nodes: {node} has no peer address; {reason} needs it"
    homeless = dict.fromkeys(sae for pair in directory.permitted for sae in pair if sae not in directory.saes)
    for sae in homeless:
        yield f"[directory] saes: {sae} has no home node, but stands in permitted"
