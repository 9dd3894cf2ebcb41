"""The demo's network on disk: certificates and configurations in one state directory.

pki/            the authorities' certificates, each party's certificate and key; the authorities' own keys are nowhere
agents/ID.toml  and agents/ID/, the agent's own state
devices/        ID.toml of each link; its control socket and ready file while it runs
logs/           what each process wrote to stderr
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from quiver.demo.plan import LinkPlan, Plan
from quiver.identity.lab import Lab
from quiver.net.ports import HOST
from quiver.net.tls import Credentials

__all__ = ["Installation", "SaeFiles", "install", "ports_needed", "to_toml"]


class SaeFiles(msgspec.Struct, frozen=True, kw_only=True):
    """An SAE's certificates; both name the same SAE."""

    node: str
    classical: Credentials
    post_quantum: Credentials


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is.

    Attributes:
        root: the state directory.
        agents: node → configuration.
        links: link → configuration.
        peers: node → "host:port" of its peer plane.
        saes: SAE ID → its files.
        nodes: node → its certificate of the peer plane.
        nodes_trust: bundle of the peer plane.
        saes_bundle: bundle of the SAE plane, classical and post-quantum authority.
    """

    root: Path
    agents: dict[str, Path]
    links: dict[str, Path]
    peers: dict[str, str]
    saes: dict[str, SaeFiles]
    nodes: dict[str, Credentials]
    nodes_trust: Path
    saes_bundle: Path

    @property
    def logs(self) -> Path:
        """Directory of the logs."""
        return self.root / "logs"


def ports_needed(plan: Plan) -> int:
    """Three planes of each agent, two devices of each link."""
    return 3 * len(plan.nodes) + 2 * len(plan.links)


def install(plan: Plan, root: Path, ports: Sequence[int], *, log_level: str = "INFO") -> Installation:
    """Issue all certificates and write all configurations.

    Args:
        plan: the network.
        root: an empty directory that only its owner may enter.
        ports: as many as `ports_needed` says.
        log_level: of the agents.
    """
    left = iter(ports)
    lab = Lab(root / "pki", network="demo")
    for name in ("agents", "devices", "logs"):
        (root / name).mkdir(mode=0o700)
    devices = {(link.id, node): next(left) for link in plan.links for node in link.ends}
    planes = {node: {plane: f"{HOST}:{next(left)}" for plane in ("peer", "sae", "metrics")} for node in plan.nodes}
    nodes = {node: lab.issue("node", node) for node in plan.nodes}
    links = {link.id: _write_link(link, root / "devices", lab, devices) for link in plan.links}
    agents = {}
    for node in plan.nodes:
        tables = _agent(plan, node, lab, nodes[node], planes, devices)
        tables["node"] = {"id": node, "state": node}
        tables["log"] = {"level": log_level}
        agents[node] = root / "agents" / f"{node}.toml"
        agents[node].write_text(to_toml(tables), encoding="utf-8")
    saes = {
        sae: SaeFiles(node=node, classical=lab.issue("sae", sae), post_quantum=lab.issue("sae-pq", sae))
        for sae, node in plan.homes.items()
    }
    return Installation(
        root=root,
        agents=agents,
        links=links,
        peers={node: planes[node]["peer"] for node in plan.nodes},
        saes=saes,
        nodes=nodes,
        nodes_trust=lab.nodes_trust,
        saes_bundle=lab.saes_bundle,
    )


def _write_link(link: LinkPlan, directory: Path, lab: Lab, ports: Mapping[tuple[str, str], int]) -> Path:
    ends = []
    for node in link.ends:
        kme = f"{link.vendor}-{link.id}-{node}"
        credentials = lab.issue("device", kme)
        ends.append(
            {
                "kme_id": kme,
                "sae_id": node,
                "host": HOST,
                "port": ports[link.id, node],
                "certificate": str(credentials.certificate),
                "private_key": str(credentials.private_key),
                "clients_ca": str(lab.devices_trust),
            }
        )
    tables = {
        "name": link.id,
        "profile": link.vendor,
        "length_km": link.length_km,
        "seed": link.seed,
        "state": str(directory),
        "ends": ends,
    }
    path = directory / f"{link.id}.toml"
    path.write_text(to_toml(tables), encoding="utf-8")
    return path


def _agent(
    plan: Plan,
    node: str,
    lab: Lab,
    peer: Credentials,
    planes: Mapping[str, Mapping[str, str]],
    devices: Mapping[tuple[str, str], int],
) -> dict[str, Any]:
    device, kme, kme_pq = (lab.issue(profile, node) for profile in ("device-client", "kme", "kme-pq"))
    return {
        "peer": {"listen": planes[node]["peer"], **_files(peer), "trust": str(lab.nodes_trust)},
        "sae": {
            "listen": planes[node]["sae"],
            **_files(kme),
            **{f"pq_{name}": path for name, path in _files(kme_pq).items()},
            "trust": [str(path) for path in lab.saes_trust],
        },
        "device": {**_files(device), "trust": str(lab.devices_trust)},
        "metrics": {"listen": planes[node]["metrics"]},
        "links": [_agents_link(link, node, devices[link.id, node]) for link in plan.links_at(node)],
        "paths": [
            {
                "virtual_link": entry.virtual_link,
                "path": entry.path,
                "version": entry.version,
                "nodes": list(entry.nodes),
                "depth": entry.depth,
            }
            for entry in plan.paths
            if node in entry.nodes
        ],
        "directory": {
            "nodes": {other: planes[other]["peer"] for other in plan.nodes if other != node},
            "saes": plan.homes,
            "permitted": [[pair.master, pair.slave] for pair in plan.pairs],
        },
    }


def _agents_link(link: LinkPlan, node: str, port: int) -> dict[str, Any]:
    neighbour = link.ends[1 - link.ends.index(node)]
    device = {"url": f"https://{HOST}:{port}", "peer_sae_id": neighbour, "profile": link.vendor}
    return {"id": link.id, "neighbour": neighbour, "level": link.level, "device": device}


def _files(credentials: Credentials) -> dict[str, str]:
    return {"certificate": str(credentials.certificate), "private_key": str(credentials.private_key)}


def to_toml(tables: Mapping[str, Any]) -> str:
    """TOML of plain values, tables and arrays of tables; what is nested deeper is written inline."""
    plain: Final[list[str]] = []
    rest: Final[list[str]] = []
    for name, value in tables.items():
        if isinstance(value, Mapping):
            rest.append(f"\n[{_key(name)}]\n" + "".join(f"{_key(key)} = {_value(one)}\n" for key, one in value.items()))
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for table in value:
                rest.append(f"\n[[{_key(name)}]]\n")
                rest.extend(f"{_key(key)} = {_value(one)}\n" for key, one in table.items())
        else:
            plain.append(f"{_key(name)} = {_value(value)}\n")
    return "".join((*plain, *rest))


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _value(name)


def _value(value: object) -> str:
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case Mapping():
            return "{ " + ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case bool() | int() | float():
            return json.dumps(value)
    raise TypeError(type(value).__name__)
