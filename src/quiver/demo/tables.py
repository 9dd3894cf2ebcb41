"""The configurations of the demo's devices, agents and controller, as tables of TOML."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from quiver.demo.places import AUDITOR, CONTROLLER, OPERATOR, Identities, Places, kme_id
from quiver.demo.plan import DELIVERY_WAIT, LinkPlan, Plan
from quiver.net.ports import HOST
from quiver.net.tls import Credentials

__all__ = ["agent_tables", "controller_tables", "link_tables", "to_toml"]

Tables = dict[str, Any]


def link_tables(link: LinkPlan, places: Places, files: Identities, state: Path) -> Tables:
    """Both devices of a QKD link, with a classical channel beside the quantum one."""
    return {
        "name": link.id,
        "profile": link.vendor,
        "length_km": link.length_km,
        "seed": link.seed,
        "state": str(state),
        "ends": [_end(link, node, places, files) for node in link.ends],
    }


def _end(link: LinkPlan, node: str, places: Places, files: Identities) -> Tables:
    credentials = files.devices[link.id, node]
    far_host, _, far_port = places.planes[_across(link, node)]["peer"].rpartition(":")
    return {
        "kme_id": kme_id(link.vendor, link.id, node),
        "sae_id": node,
        "host": HOST,
        "port": places.devices[link.id, node],
        **_pair(credentials),
        "clients_ca": str(files.devices_trust),
        "channel": {"port": places.channels[link.id, node], "far_host": far_host, "far_port": int(far_port)},
    }


def _across(link: LinkPlan, node: str) -> str:
    return link.ends[1 - link.ends.index(node)]


def agent_tables(
    plan: Plan, node: str, links: Sequence[LinkPlan], places: Places, files: Identities, *, log_level: str
) -> Tables:
    """An agent. It knows its neighbours; what else it has to know of nodes and paths comes from the controller.

    Args:
        plan: the network.
        node: whose agent.
        links: that end there.
        places: addresses.
        files: certificates and keys.
        log_level: of the agent.
    """
    own, planes = files.nodes[node], places.planes[node]
    return {
        "node": {"id": node, "state": node},
        "peer": {"listen": planes["peer"], **_pair(own.peer), "trust": str(files.nodes_trust)},
        "sae": {
            "listen": planes["sae"],
            **_pair(own.kme),
            **{f"pq_{name}": path for name, path in _pair(own.kme_pq).items()},
            "trust": [str(path) for path in files.saes_trust],
        },
        "device": {**_pair(own.device), "trust": str(files.devices_trust)},
        "metrics": {"listen": planes["metrics"]},
        "management": {
            "ssh_listen": planes["ssh"],
            "tls_listen": planes["tls"],
            **_pair(own.management),
            "trust": [str(files.management_trust)],
            "users": [
                {"name": CONTROLLER, "role": "controller"},
                {"name": OPERATOR, "role": "operator", "ssh_keys": [files.operator_line]},
                {"name": AUDITOR, "role": "auditor"},
            ],
        },
        "delivery": {"wait": DELIVERY_WAIT},
        "log": {"level": log_level},
        "links": [_agents_link(link, node, places) for link in links],
        "directory": {
            "nodes": {
                other: places.planes[other]["peer"] for other in dict.fromkeys(_across(one, node) for one in links)
            },
            "saes": plan.homes,
            "permitted": [[pair.master, pair.slave] for pair in plan.pairs],
        },
    }


def _agents_link(link: LinkPlan, node: str, places: Places) -> Tables:
    neighbour = _across(link, node)
    return {
        "id": link.id,
        "neighbour": neighbour,
        "channel": f"{HOST}:{places.channels[link.id, node]}",
        "level": link.level,
        "device": {
            "url": f"https://{HOST}:{places.devices[link.id, node]}",
            "peer_sae_id": neighbour,
            "profile": link.vendor,
        },
    }


def controller_tables(plan: Plan, places: Places, files: Identities) -> Tables:
    """The controller: the agents that are there from the beginning, and a demand for each virtual link."""
    trust = [str(files.management_trust)]
    return {
        "controller": {"id": CONTROLLER, "state": "state"},
        "management": {**_pair(files.controller), "trust": trust},
        "northbound": {"listen": places.controller["northbound"], **_pair(files.northbound), "trust": trust},
        "metrics": {"listen": places.controller["metrics"]},
        "log": {"level": "INFO"},
        "agents": [
            {"id": node, "tls": places.planes[node]["tls"], "peer": places.planes[node]["peer"]} for node in plan.nodes
        ],
        "demands": [
            {
                "name": demand.name,
                "source": demand.source,
                "destination": demand.destination,
                "depth": demand.depth,
            }
            for demand in plan.demands
        ],
    }


def _pair(credentials: Credentials) -> dict[str, str]:
    return {"certificate": str(credentials.certificate), "private_key": str(credentials.private_key)}


# --- TOML ---------------------------------------------------------------------------------------------------------


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
