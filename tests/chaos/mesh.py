"""A small mesh of real processes: agents, devices and the controller, as `quiver agent|device|controller run` starts them.

    ulm ─── linz ─── wien
     │       │        │
    graz ── prag ─────┘

From ulm to wien there are two ways that share no node, and a third one across. Where and how processes run, and where everything
listens, is the demo's; only the network is another one.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from quiver.client.operator import OperatorClient
from quiver.demo.network import DemoNetwork, running_network
from quiver.demo.observer import Observer
from quiver.demo.plan import DemandPlan, LinkPlan, NodePlan, PairPlan, Plan
from quiver.demo.processes import Children, Command
from quiver.domain.limits import KIB
from quiver.qkd.simulator import Fault

NODES = ("ulm", "linz", "wien", "graz", "prag")
ENDS = (("ulm", "linz"), ("linz", "wien"), ("ulm", "graz"), ("graz", "prag"), ("linz", "prag"), ("prag", "wien"))
VENDORS = ("alder", "cedar", "elm")
LEVEL = 64 * KIB  # bytes per direction of a link
DEPTH = 16 * KIB  # bytes of a path's buffer


def link(number: int, ends: tuple[str, str]) -> LinkPlan:
    vendor = VENDORS[number % len(VENDORS)]
    return LinkPlan(id="-".join(ends), ends=ends, vendor=vendor, length_km=10.0, seed=number, level=LEVEL)


def pair(name: str, source: str, destination: str, hops: int) -> PairPlan:
    return PairPlan(
        name=name,
        master=f"sae-{source}",
        slave=f"sae-{destination}",
        source=source,
        destination=destination,
        hops=hops,
        post_quantum=True,
    )


PAIRS = (pair("long", "ulm", "wien", 2), pair("across", "graz", "linz", 2))
JOINING = NodePlan(id="bern", links=(link(9, ("bern", "ulm")),), pair=pair("joined", "bern", "wien", 3))
"""A plan has one; it never joins."""

PLAN = Plan(
    seed=0,
    nodes=NODES,
    links=tuple(link(number, ends) for number, ends in enumerate(ENDS)),
    pairs=PAIRS,
    demands=tuple(
        DemandPlan(source=source, destination=destination, depth=depth)
        for one in PAIRS
        for source, destination, depth in (
            (one.source, one.destination, DEPTH),
            (one.destination, one.source, 0),  # the way back has no buffer
        )
    ),
    joining=JOINING,
)


class Mesh:
    """The running mesh.

    Attributes:
        dead: nodes whose agent was killed.
        stopped: nodes whose agent was stopped: it is there, and does nothing.
        cut: links that are cut.
        leads: whether there is a controller.
        surprises: processes that ended by themselves.
    """

    def __init__(self, network: DemoNetwork, surprises: list[str]) -> None:
        self.network, self.surprises = network, surprises
        self.dead: set[str] = set()
        self.stopped: set[str] = set()
        self.cut: set[str] = set()
        self.leads = True

    @property
    def alive(self) -> set[str]:
        return set(NODES) - self.dead - self.stopped

    async def kill(self, node: str) -> None:
        """SIGKILL for an agent, and wait until it is gone."""
        await self._kill(f"agent {node}")
        self.dead.add(node)

    async def start(self, node: str) -> None:
        """Start an agent again, and wait until it listens."""
        await self.network.start_agents([node])
        self.dead.discard(node)

    def stop(self, node: str) -> None:
        """SIGSTOP for an agent: its connections stay, and nothing comes over them any more."""
        self._children._running[f"agent {node}"].send_signal(signal.SIGSTOP)
        self.stopped.add(node)

    def resume(self, node: str) -> None:
        """SIGCONT: it goes on where it was, with all that was sent to it meanwhile."""
        self._children._running[f"agent {node}"].send_signal(signal.SIGCONT)
        self.stopped.discard(node)

    async def kill_controller(self) -> None:
        await self._kill("controller")
        self.leads = False

    async def start_controller(self) -> None:
        await self.network._start_controller()
        self.leads = True

    async def _kill(self, name: str) -> None:
        process = self._children._running[name]
        self._children.kill(name)
        await process.wait()

    @property
    def _children(self) -> Children:
        return self.network._children

    async def fault(self, link: str) -> None:
        await self.network.fault(link, Fault.CUT)
        self.cut.add(link)

    async def repair(self, link: str) -> None:
        await self.network.fault(link, Fault.REPAIR)
        self.cut.discard(link)

    async def heal(self) -> None:
        """End all faults."""
        for node in sorted(self.stopped):
            self.resume(node)
        for one in sorted(self.cut):
            await self.repair(one)
        await asyncio.gather(*(self.start(node) for node in sorted(self.dead)))
        if not self.leads:
            await self.start_controller()

    def operator(self) -> OperatorClient:
        return OperatorClient(self.network.files.operator)

    @asynccontextmanager
    async def auditor(self) -> AsyncIterator[Observer]:
        """Sessions with all agents, by one who may read them."""
        async with Observer(self.network.files.identities) as observer:
            await observer.watch({node: self.network.files.places.planes[node]["tls"] for node in NODES})
            yield observer


@asynccontextmanager
async def running_mesh(root: Path, say: Callable[[str], None]) -> AsyncIterator[Mesh]:
    """The mesh, its buffers filled; every process is ended at the end."""
    surprises: list[str] = []

    def died(command: Command, code: int) -> None:
        surprises.append(f"{command.name} ended with exit code {code}; {command.last_words}")

    async with running_network(PLAN, root, say=say, on_death=died) as network:
        await network.filled()
        yield Mesh(network, surprises)
