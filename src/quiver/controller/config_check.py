"""What is wrong with a controller's configuration and its files, found before the controller starts."""

import datetime
from collections.abc import Callable, Iterator
from typing import Final

from quiver.controller.config import ControllerConfig
from quiver.domain.errors import ConfigurationError
from quiver.identity.needs import Need
from quiver.net import tls
from quiver.net.ssh_policy import read_private_key

__all__ = ["check"]


def check(config: ControllerConfig, *, now: datetime.datetime | None = None) -> list[str]:
    """Everything that would keep a controller from doing its work, one line each; empty where nothing was found.

    Reads files and changes none; calls nobody.

    Args:
        config: of the controller.
        now: the moment (UTC) at which certificates have to be valid; None for the present.
    """
    moment = now or datetime.datetime.now(datetime.UTC)
    parts = (_state(config), _planes(config), _certificates(config, moment), _network(config))
    return [finding for part in parts for finding in part]


def _state(config: ControllerConfig) -> Iterator[str]:
    state = config.controller.state
    for path, allowed in ((state, 0o700), (config.database, 0o600)):
        if path.exists() and path.stat().st_mode & 0o077:
            yield f"[controller] state: others may use {path}; chmod {allowed:o} it"
    if state.exists() and not state.is_dir():
        yield f"[controller] state: {state} is no directory"


def _planes(config: ControllerConfig) -> Iterator[str]:
    """The files of each plane load, and northbound and metrics do not listen on one address."""
    management, northbound, metrics = config.management, config.northbound, config.metrics
    loads: list[tuple[str, Callable[[], object]]] = [
        (
            "northbound",
            lambda: tls.northbound_server(northbound.credentials, northbound.trust, classical=northbound.classical),
        )
    ]
    credentials, key = management.credentials, management.ssh_key
    if credentials is not None:
        loads.append(("management", lambda: tls.management_client(credentials, management.trust)))
    if key is not None:
        loads.append(("management", lambda: read_private_key(key)))
    for plane, load in loads:
        try:
            load()
        except ConfigurationError as error:
            yield f"[{plane}] {error.message}"
    if metrics is not None and metrics.listen == northbound.listen and metrics.listen.port:
        yield f"[metrics] listen: {metrics.listen} is [northbound]'s already; each plane needs an address of its own"


def _certificates(config: ControllerConfig, now: datetime.datetime) -> Iterator[str]:
    name: Final = tls.quiver_uri("controller", config.controller.id)
    needs = [Need("[northbound] certificate", config.northbound.certificate, name, ("server",))]
    if config.northbound.classical is not None:
        path = config.northbound.classical.certificate
        needs.append(Need("[northbound] classical_certificate", path, name, ("server",), classical=True))
    if config.management.credentials is not None:
        path = config.management.credentials.certificate
        needs.append(Need("[management] certificate", path, name, ("client",)))
    for need in needs:
        yield from need.findings(now)


def _network(config: ControllerConfig) -> Iterator[str]:
    """Demands name nodes of the file, where it lists any: else operators make them known. No two agents share an address.

    A node that only operators know cannot be told from a wrong name here; a controller that runs knows, and raises an alarm.
    """
    known = {agent.id for agent in config.agents}
    for i, demand in enumerate(config.demands):
        excluded = [("excluded", node) for node in demand.excluded]
        for field, node in (("source", demand.source), ("destination", demand.destination), *excluded):
            if known and node not in known:
                yield f"demands[{i}].{field}: no agent {node} stands in the file"
    for agent in config.agents:
        if agent.peer is None:
            continue
        shared = [other.id for other in config.agents if other.peer == agent.peer and other.id < agent.id]
        if shared:
            yield f"agents: {agent.id} and {shared[0]} have one peer address, {agent.peer}"
