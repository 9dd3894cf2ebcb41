"""What is wrong with a consumer's configuration and its files, found before it starts."""

import datetime
import shutil
from collections.abc import Callable, Iterator
from typing import Final

from quiver.consume.config import ConsumerConfig
from quiver.domain.errors import ConfigurationError
from quiver.identity.needs import Need
from quiver.identity.registry import describe
from quiver.net import tls

__all__ = ["check"]


def check(config: ConsumerConfig, *, now: datetime.datetime | None = None) -> list[str]:
    """Everything that would keep a consumer from doing its work, one line each; empty where nothing was found.

    Reads files and changes none; calls nobody.

    Args:
        config: of the consumer.
        now: the moment (UTC) at which certificates have to be valid; None for the present.
    """
    moment = now or datetime.datetime.now(datetime.UTC)
    parts = (_files(config), _certificates(config, moment), _programs(config))
    return [finding for part in parts for finding in part]


def _files(config: ConsumerConfig) -> Iterator[str]:
    """Certificates, keys and bundles load."""
    partner = config.partner
    make = tls.partner_client if config.consumer.role == "initiator" else tls.partner_server
    loads: Final[dict[str, Callable[[], object]]] = {
        "kme": lambda: tls.sae_client(config.kme.credentials, config.kme.trust),
        "partner": lambda: make(partner.credentials, partner.trust),
    }
    for table, load in loads.items():
        try:
            load()
        except ConfigurationError as error:
            yield f"[{table}] {error.message}"


def _certificates(config: ConsumerConfig, now: datetime.datetime) -> Iterator[str]:
    """Both certificates name one SAE, which is not the partner, and the partner's channel's is post-quantum."""
    try:
        uris = describe(config.partner.certificate, now=now)[0]["uris"]
    except ConfigurationError:
        return  # `_files` has said so
    own = next((uri for uri in uris if uri.startswith("urn:quiver:sae:")), "urn:quiver:sae:...")
    usages = ("client",) if config.consumer.role == "initiator" else ("client", "server")
    yield from Need("[partner] certificate", config.partner.certificate, own, usages).findings(now)
    if own == tls.quiver_uri("sae", config.partner.sae):
        yield f"[partner] sae: {config.partner.sae} is this end itself, as [partner] certificate says"
    try:
        at_node = describe(config.kme.certificate, now=now)[0]
    except ConfigurationError:
        return
    classical = not at_node["key"].startswith("ML-DSA")
    yield from Need("[kme] certificate", config.kme.certificate, own, ("client",), classical).findings(now)


def _programs(config: ConsumerConfig) -> Iterator[str]:
    """What is called is there, a program or a socket."""
    if config.wireguard is not None and shutil.which(config.wireguard.program) is None:
        yield f"[wireguard] program: {config.wireguard.program} is not installed (Debian: wireguard-tools)"
    if config.strongswan is not None and not config.strongswan.socket.is_socket():
        yield f"[strongswan] socket: {config.strongswan.socket} is no socket; charon has it while it runs, with its plug-in vici"
    if config.exec is not None and shutil.which(config.exec.command[0]) is None:
        yield f"[exec] command: {config.exec.command[0]} is no program"
