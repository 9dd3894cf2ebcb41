"""Where everything of the demo listens, and the files by which each party knows the others."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from quiver.demo.plan import Plan
from quiver.identity.lab import Lab
from quiver.identity.pki import write_new
from quiver.net.ports import HOST
from quiver.net.ssh_policy import make_host_key
from quiver.net.tls import Credentials

__all__ = ["AUDITOR", "CONTROLLER", "OPERATOR", "Identities", "NodeFiles", "Places", "SaeFiles"]

CONTROLLER: Final = "controller-1"
OPERATOR: Final = "operator-1"
AUDITOR: Final = "auditor-1"  # the demo's own eyes

_PLANES: Final = ("peer", "sae", "metrics", "ssh", "tls")  # of an agent; the last two are NETCONF's
_NORTHBOUND: Final = ("northbound", "metrics")  # of the controller


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses, all on the loopback.

    Attributes:
        devices: link and node → port of the device.
        channels: link and node → port of that node's end of the classical channel.
        planes: node → plane → "host:port".
        controller: plane → "host:port".
    """

    devices: dict[tuple[str, str], int]
    channels: dict[tuple[str, str], int]
    planes: dict[str, dict[str, str]]
    controller: dict[str, str]

    @staticmethod
    def needed(plan: Plan) -> int:
        """Number of ports: those of the node that joins are held from the beginning."""
        return len(_PLANES) * (len(plan.nodes) + 1) + 4 * len(plan.all_links) + len(_NORTHBOUND)

    @classmethod
    def of(cls, plan: Plan, ports: Sequence[int]) -> Self:
        """Give them out.

        Args:
            plan: the network.
            ports: as many as `needed` says.
        """
        left = iter(ports)
        ends = [(link.id, node) for link in plan.all_links for node in link.ends]
        return cls(
            devices={end: next(left) for end in ends},
            channels={end: next(left) for end in ends},
            planes={node: _addresses(_PLANES, left) for node in (*plan.nodes, plan.joining.id)},
            controller=_addresses(_NORTHBOUND, left),
        )


def _addresses(planes: Sequence[str], ports: Iterator[int]) -> dict[str, str]:
    return {plane: f"{HOST}:{next(ports)}" for plane in planes}


class SaeFiles(msgspec.Struct, frozen=True, kw_only=True):
    """An SAE's certificates; all name the same SAE. The last one is good for a tunnel's partner, too."""

    node: str
    classical: Credentials
    post_quantum: Credentials
    partner: Credentials


class NodeFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A node's certificates, one for each plane, two towards SAEs."""

    peer: Credentials
    device: Credentials
    kme: Credentials
    kme_pq: Credentials
    management: Credentials


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """All parties' certificates and keys; the authorities' own keys are nowhere.

    Attributes:
        nodes: node → its files.
        devices: link and node → the device's.
        saes: SAE ID → its files.
        controller: towards agents.
        northbound: the controller's towards operators.
        operator: an operator, towards the controller.
        auditor: somebody who reads.
        operator_ssh: private key of the operator over SSH.
        operator_line: its public part, as OpenSSH writes it.
        nodes_trust: bundle of the peer plane.
        saes_trust: bundles of the SAE plane.
        saes_bundle: both in one file.
        devices_trust: bundle of the device plane.
        management_trust: bundle of the management plane and of the northbound interface.
    """

    nodes: dict[str, NodeFiles]
    devices: dict[tuple[str, str], Credentials]
    saes: dict[str, SaeFiles]
    controller: Credentials
    northbound: Credentials
    operator: Credentials
    auditor: Credentials
    operator_ssh: Path
    operator_line: str
    nodes_trust: Path
    saes_trust: tuple[Path, Path]
    saes_bundle: Path
    devices_trust: Path
    management_trust: Path

    @classmethod
    def issue(cls, plan: Plan, directory: Path) -> Self:
        """Make authorities in memory, and everybody's certificates in a directory."""
        lab = Lab(directory, network="demo")
        private, line = make_host_key(OPERATOR)
        operator_ssh = directory / f"ssh-{OPERATOR}.key"
        write_new(operator_ssh, private, 0o600)
        homes = plan.joining.pair.homes | plan.homes
        return cls(
            nodes={node: _node(lab, node) for node in (*plan.nodes, plan.joining.id)},
            devices={
                (link.id, node): lab.issue("device", kme_id(link.vendor, link.id, node))
                for link in plan.all_links
                for node in link.ends
            },
            saes={sae: _sae(lab, sae, homes[sae]) for sae in dict.fromkeys((*plan.homes, *homes))},
            controller=lab.issue("controller", CONTROLLER),
            northbound=lab.issue("northbound", CONTROLLER),
            operator=lab.issue("operator", OPERATOR),
            auditor=lab.issue("auditor", AUDITOR),
            operator_ssh=operator_ssh,
            operator_line=line,
            nodes_trust=lab.nodes_trust,
            saes_trust=lab.saes_trust,
            saes_bundle=lab.saes_bundle,
            devices_trust=lab.devices_trust,
            management_trust=lab.management_trust[0],
        )


def _node(lab: Lab, node: str) -> NodeFiles:
    return NodeFiles(
        peer=lab.issue("node", node),
        device=lab.issue("device-client", node),
        kme=lab.issue("kme", node),
        kme_pq=lab.issue("kme-pq", node),
        management=lab.issue("management", node),
    )


def _sae(lab: Lab, sae: str, node: str) -> SaeFiles:
    return SaeFiles(
        node=node,
        classical=lab.issue("sae", sae),
        post_quantum=lab.issue("sae-pq", sae),
        partner=lab.issue("sae-partner", sae),
    )


def kme_id(vendor: str, link: str, node: str) -> str:
    """KME ID of a device."""
    return f"{vendor}-{link}-{node}"
