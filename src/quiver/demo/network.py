"""The demo's network as running processes: started from nothing, ready when its buffers are, gone without a trace at the end."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from quiver.client import KmeClient
from quiver.demo.pad import Sample, read_samples
from quiver.demo.places import Places
from quiver.demo.plan import DemandPlan, Plan
from quiver.demo.processes import Children, Command, OnDeath, StartError, quiver_command
from quiver.demo.write import Installation
from quiver.domain.errors import UnavailableError
from quiver.net import tls
from quiver.net.ports import free_ports
from quiver.net.tls import PeerFacts, quiver_uri
from quiver.qkd.control import find_socket, order_fault
from quiver.qkd.simulator import Fault

__all__ = ["DemoNetwork", "running_network", "state_directory"]

Say = Callable[[str], None]
Ready = dict[str, Any]

_TRIES: Final = 3  # with other ports each, where somebody else has taken one
_FILLED: Final = 0.85  # of a buffer's depth; blocks are quarters of it, and less than half of one is not filled up
_FILLING: Final = 120.0  # seconds for all buffers; some 5 where nothing else runs
_LOOK: Final = 0.15  # seconds between two looks


class DemoNetwork:
    """The processes of a network.

    Args:
        plan: the network on paper.
        files: where its files are.
        children: its processes.

    Attributes:
        agents: node → what its agent said when it was ready.
        links: link → what its devices said.
        controller: what the controller said.
    """

    def __init__(self, plan: Plan, files: Installation, children: Children) -> None:
        self.plan: Final = plan
        self.files: Final = files
        self._children: Final = children
        self._quiver: Final = quiver_command()
        self.agents: Final[dict[str, Ready]] = {}
        self.links: Final[dict[str, Ready]] = {}
        self.controller: Ready = {}

    # --- processes ------------------------------------------------------------------------------------------------

    async def start(self, say: Say) -> None:
        """Start everything.

        Raises:
            StartError: a process does not come up; others may run.
        """
        plan = self.plan
        say(f"{len(plan.nodes)} nodes, {len(plan.links)} QKD links and {len(plan.homes)} SAEs have certificates")
        await self.start_links(link.id for link in plan.links)
        say(f"QKD devices of {len(plan.vendors)} vendors run: {', '.join(plan.vendors)}")
        await asyncio.gather(self.start_agents(plan.nodes), self._start_controller())
        say(f"agents run: {', '.join(plan.nodes)}, and the SDN controller")

    async def start_links(self, links: Iterable[str]) -> None:
        """Start the devices of some links."""
        commands = {link: self._command(f"devices {link}", "device", self.files.links[link]) for link in links}
        ready = await self._children.start_all(list(commands.values()))
        self.links.update(zip(commands, ready, strict=True))

    async def start_agents(self, nodes: Iterable[str]) -> None:
        """Start the agents of some nodes."""
        commands = {node: self._command(f"agent {node}", "agent", self.files.agents[node]) for node in nodes}
        ready = await self._children.start_all(list(commands.values()))
        self.agents.update(zip(commands, ready, strict=True))

    async def _start_controller(self) -> None:
        self.controller = await self._children.start(self._command("controller", "controller", self.files.controller))

    def _command(self, name: str, kind: str, config: Path) -> Command:
        return Command(
            name, (self._quiver, kind, "run", str(config)), self.files.logs / f"{name.replace(' ', '-')}.log"
        )

    async def start_consumer(self, kind: str, config: Path) -> Ready:
        """Start one end of a tunnel; what it says when it is ready.

        Raises:
            StartError: it does not come up.
        """
        command = Command(
            config.stem, (self._quiver, "consume", kind, str(config)), self.files.logs / f"{config.stem}.log"
        )
        return await self._children.start(command)

    def kill(self, node: str) -> None:
        """SIGKILL for a node's agent."""
        self._children.kill(f"agent {node}")
        del self.agents[node]

    def hang_up(self, node: str) -> None:
        """SIGHUP for a node's agent: it takes over its file as it is now."""
        self._children.hang_up(f"agent {node}")

    async def fault(self, link: str, fault: Fault) -> dict[str, Any]:
        """Break a link or repair it; what it says of itself then.

        Raises:
            RemoteError: its devices do not obey.
        """
        socket = find_socket(link, self.files.root)
        return await asyncio.to_thread(order_fault, socket, fault)

    # --- SAEs and nodes -------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def client(self, sae: str, *, post_quantum: bool) -> AsyncIterator[KmeClient]:
        """An SAE's client of its own KME."""
        identities = self.files.identities
        files = identities.saes[sae]
        credentials = files.post_quantum if post_quantum else files.classical
        async with KmeClient(self.kme_url(sae), credentials, [identities.saes_bundle]) as client:
            yield client

    def kme_url(self, sae: str) -> str:
        """Where an SAE's KME is."""
        return str(self.agents[self.files.identities.saes[sae].node]["sae_url"])

    @property
    def metrics(self) -> dict[str, str]:
        """Node → URL of its agent's metrics plane."""
        return {node: str(ready["metrics_url"]) for node, ready in self.agents.items()}

    async def peer_tls(self, one: str, other: str) -> PeerFacts:
        """What protects a connection from one agent to another: a real one is opened, with the first one's certificate.

        Raises:
            QuiverError: the handshake failed.
        """
        identities = self.files.identities
        context = tls.peer_client(identities.nodes[one].peer, identities.nodes_trust)
        host, _, port = self.files.places.planes[other]["peer"].rpartition(":")
        _, writer = await asyncio.open_connection(
            host, int(port), ssl=context.expecting(quiver_uri("node", other)), server_hostname=host
        )
        try:
            facts = tls.peer_facts(writer.transport)
            assert facts is not None
            return facts
        finally:
            writer.close()
            await writer.wait_closed()

    async def filled(self) -> None:
        """Until each demand has a path with credit, and its buffer is filled.

        Raises:
            UnavailableError: it takes too long; names what is missing.
        """
        missing = list(self.plan.demands)
        try:
            async with asyncio.timeout(_FILLING):
                while missing:
                    samples = await read_samples(self.metrics)
                    missing = [demand for demand in missing if not _served(demand, samples[demand.source])]
                    await asyncio.sleep(_LOOK if missing else 0)
        except TimeoutError:
            names = ", ".join(demand.name for demand in missing)
            raise UnavailableError(f"buffers were not filled within {_FILLING:.0f} s: {names}") from None


def _served(demand: DemandPlan, samples: Iterable[Sample]) -> bool:
    """Whether a demand's source has credit and a filled buffer."""
    credit, ready = 0.0, 0.0
    for name, labels, value in samples:
        if labels.get("path", "").startswith(f"{demand.name}/"):
            credit += value if name == "quiver_path_credit_bytes" else 0.0
            ready += value if name == "quiver_block_ready_bytes" else 0.0
    return credit > 0 and ready >= _FILLED * demand.depth


@asynccontextmanager
async def state_directory() -> AsyncIterator[Path]:
    """A directory that only its owner may enter; gone at the end, whatever happens."""
    root = Path(tempfile.mkdtemp(prefix="quiver-demo-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@asynccontextmanager
async def running_network(
    plan: Plan, root: Path, *, say: Say, log_level: str = "INFO", on_death: OnDeath | None = None
) -> AsyncIterator[DemoNetwork]:
    """A network of this plan, with its state in `root`; every process is ended at the end.

    Args:
        plan: the network on paper.
        root: an empty directory.
        say: gets a line about each step.
        log_level: of the agents.
        on_death: is told of a child that dies; without it the body is cancelled.

    Raises:
        StartError: a process does not come up.
        UnavailableError: a process died meanwhile.
    """
    body = asyncio.current_task()
    assert body is not None
    dead: list[str] = []

    def died(command: Command, code: int) -> None:
        if on_death is not None:
            on_death(command, code)
        elif not body.cancelling():  # while all ends, nothing may disturb that
            dead.append(f"{command.name} ended with exit code {code}; {command.last_words}")
            body.cancel()

    try:
        async with AsyncExitStack() as stack:
            children, network = await _started(plan, root, died, say, log_level)
            stack.push_async_callback(children.stop)
            yield network
    except asyncio.CancelledError:
        if not dead:
            raise
        body.uncancel()
        raise UnavailableError(dead[0]) from None


async def _started(plan: Plan, root: Path, died: OnDeath, say: Say, log_level: str) -> tuple[Children, DemoNetwork]:
    """The network, started with other ports where somebody else has taken one of ours."""
    for _ in range(_TRIES - 1):
        children = Children(died)
        try:
            return children, await _start(plan, root, children, say, log_level)
        except StartError as error:
            if not error.port_taken:
                raise
        say("another process has taken one of our ports; once more with others")
        _clear(root)
    children = Children(died)
    return children, await _start(plan, root, children, say, log_level)


def _clear(root: Path) -> None:
    for left in root.iterdir():
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


async def _start(plan: Plan, root: Path, children: Children, say: Say, log_level: str) -> DemoNetwork:
    """Everything once; whatever goes wrong, no child is left."""
    try:
        files = Installation(plan, root, free_ports(Places.needed(plan)), log_level=log_level)
        network = DemoNetwork(plan, files, children)
        await network.start(say)
    except BaseException:
        await children.stop()
        raise
    return network
