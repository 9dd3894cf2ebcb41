"""The demo's network on disk: certificates and configurations in one state directory.

pki/            the authorities' certificates, each party's certificate and key; the authorities' own keys are nowhere
agents/ID.toml  and agents/ID/, the agent's own state
controller/     controller.toml, the controller's own state, and operator.json: how an operator reaches it
devices/        ID.toml of each link; its control socket and ready file while it runs
logs/           what each process wrote to stderr
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from quiver.client.operator import Access
from quiver.demo.places import Identities, Places
from quiver.demo.plan import LinkPlan, Plan
from quiver.demo.tables import agent_tables, controller_tables, link_tables, to_toml

__all__ = ["Installation"]


class Installation:
    """All files of one network, written when it is made.

    Args:
        plan: the network.
        root: an empty directory that only its owner may enter.
        ports: as many as `Places.needed` says.
        log_level: of the agents.

    Attributes:
        agents: node → configuration.
        links: link → configuration.
        controller: the controller's.
    """

    def __init__(self, plan: Plan, root: Path, ports: Sequence[int], *, log_level: str = "INFO") -> None:
        self._plan: Final = plan
        self._log_level: Final = log_level
        self.root: Final = root
        self.logs: Final = root / "logs"
        self.places: Final = Places.of(plan, ports)
        self.identities: Final = Identities.issue(plan, root / "pki")
        for name in ("agents", "controller", "devices", "logs"):
            (root / name).mkdir(mode=0o700)
        self.agents: Final[dict[str, Path]] = {}
        self.links: Final[dict[str, Path]] = {}
        self._write_links(plan.links)
        for node in plan.nodes:
            self._write_agent(node, plan.links_at(node))
        self.controller: Final = root / "controller" / "controller.toml"
        _write(self.controller, to_toml(controller_tables(plan, self.places, self.identities)))
        _write(root / "controller" / "operator.json", msgspec.json.encode(self.operator).decode())

    def join(self) -> None:
        """Write what the node that joins needs, and its links into its neighbours' files."""
        joining = self._plan.joining
        self._write_links(joining.links)
        self._write_agent(joining.id, joining.links)
        for link in joining.links:
            for node in link.ends:
                if node != joining.id:
                    self._write_agent(node, (*self._plan.links_at(node), link))

    def _write_links(self, links: Iterable[LinkPlan]) -> None:
        state = self.root / "devices"
        for link in links:
            self.links[link.id] = state / f"{link.id}.toml"
            _write(self.links[link.id], to_toml(link_tables(link, self.places, self.identities, state)))

    def _write_agent(self, node: str, links: Sequence[LinkPlan]) -> None:
        self.agents[node] = self.root / "agents" / f"{node}.toml"
        tables = agent_tables(self._plan, node, links, self.places, self.identities, log_level=self._log_level)
        _write(self.agents[node], to_toml(tables))

    @property
    def operator(self) -> Access:
        """How an operator reaches the controller."""
        credentials = self.identities.operator
        return Access(
            url=f"https://{self.places.controller['northbound']}",
            certificate=str(credentials.certificate),
            private_key=str(credentials.private_key),
            ca=str(self.identities.management_trust),
        )


def _write(path: Path, text: str) -> None:
    """A whole file at once: an agent may read it at any moment."""
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
