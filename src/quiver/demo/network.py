"""The demo's network as running processes: started from nothing, ready when its buffers are, gone without a trace at the end."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from quiver.client import KmeClient
from quiver.demo.plan import Plan
from quiver.demo.processes import Children, Command, OnDeath, StartError, quiver_command
from quiver.demo.write import Installation, install, ports_needed
from quiver.domain.errors import QuiverError, UnavailableError
from quiver.net import tls
from quiver.net.ports import free_ports
from quiver.net.tls import PeerFacts, quiver_uri

__all__ = ["DemoNetwork", "running_network", "state_directory"]

Say = Callable[[str], None]

_TRIES: Final = 3  # with other ports each, where somebody else has taken one
_FILLED: Final = 0.85  # of a buffer's depth; blocks are quarters of it, and less than half of one is not filled up
_FILLING: Final = 60.0  # seconds for all buffers
_LOOK: Final = 0.15  # seconds between two looks


class DemoNetwork:
    """All processes run and listen.

    Attributes:
        plan: the network on paper.
        files: where its files are.
        agents: node → what its agent said when it was ready.
        links: link → what its devices said.
    """

    def __init__(
        self, plan: Plan, files: Installation, agents: dict[str, dict[str, Any]], links: dict[str, dict[str, Any]]
    ) -> None:
        self.plan: Final = plan
        self.files: Final = files
        self.agents: Final = agents
        self.links: Final = links

    @asynccontextmanager
    async def client(self, sae: str, *, post_quantum: bool) -> AsyncIterator[KmeClient]:
        """An SAE's client of its own KME."""
        files = self.files.saes[sae]
        credentials = files.post_quantum if post_quantum else files.classical
        async with KmeClient(self.kme_url(sae), credentials, [self.files.saes_bundle]) as client:
            yield client

    def kme_url(self, sae: str) -> str:
        """Where an SAE's KME is."""
        return str(self.agents[self.files.saes[sae].node]["sae_url"])

    async def peer_tls(self, one: str, other: str) -> PeerFacts:
        """What protects a connection from one agent to another: a real one is opened, with the first one's certificate.

        Raises:
            QuiverError: the handshake failed.
        """
        context = tls.peer_client(self.files.nodes[one], self.files.nodes_trust).expecting(quiver_uri("node", other))
        host, _, port = self.files.peers[other].rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=host)
        try:
            facts = tls.peer_facts(writer.transport)
            assert facts is not None
            return facts
        finally:
            writer.close()
            await writer.wait_closed()

    async def filled(self) -> None:
        """Until each buffer is filled, as far as its master SAE can see; the pair without one has delivered to nobody yet.

        Raises:
            UnavailableError: it takes too long; names what is missing.
        """
        directions = [
            (master, slave, depth)
            for pair in self.plan.pairs
            for master, slave, depth in (
                (pair.master, pair.slave, pair.depth),
                (pair.slave, pair.master, pair.depth_back),
            )
            if depth
        ]
        missing = await self._until(directions)
        if missing:
            raise UnavailableError(f"buffers were not filled within {_FILLING:.0f} s: {', '.join(missing)}")

    async def _until(self, directions: list[tuple[str, str, int]]) -> list[str]:
        """The directions whose buffers are not filled in time."""
        async with AsyncExitStack() as stack:
            clients = {
                master: await stack.enter_async_context(self.client(master, post_quantum=False))
                for master, _, _ in directions
            }
            missing = directions
            try:
                async with asyncio.timeout(_FILLING):
                    while missing:
                        found = [(await _level(clients[one[0]], one[1]), one) for one in missing]
                        missing = [one for level, one in found if level < _FILLED]
                        await asyncio.sleep(_LOOK if missing else 0)
            except TimeoutError:
                return [f"{master} to {slave}" for master, slave, _ in missing]
        return []


async def _level(client: KmeClient, slave: str) -> float:
    """Part of the buffer that is filled, 0 where the KME cannot say yet."""
    try:
        status = await client.status(slave)
    except QuiverError:
        return 0.0
    return status.stored_key_count / max(1, status.max_key_count)


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
        shutil.rmtree(left)


async def _start(plan: Plan, root: Path, children: Children, say: Say, log_level: str) -> DemoNetwork:
    """Everything once; whatever goes wrong, no child is left."""
    try:
        return await _start_all(plan, root, children, say, log_level)
    except BaseException:
        await children.stop()
        raise


async def _start_all(plan: Plan, root: Path, children: Children, say: Say, log_level: str) -> DemoNetwork:
    quiver = quiver_command()
    files = install(plan, root, free_ports(ports_needed(plan)), log_level=log_level)
    say(f"{len(plan.nodes)} nodes, {len(plan.links)} QKD links and {len(files.saes)} SAEs have certificates")
    links = await children.start_all(
        [
            Command(f"devices {link}", (quiver, "device", "run", str(path)), files.logs / f"devices-{link}.log")
            for link, path in files.links.items()
        ]
    )
    say(f"QKD devices of {len(plan.vendors)} vendors run: {', '.join(plan.vendors)}")
    agents = await children.start_all(
        [
            Command(f"agent {node}", (quiver, "agent", "run", str(path)), files.logs / f"agent-{node}.log")
            for node, path in files.agents.items()
        ]
    )
    say(f"agents run: {', '.join(plan.nodes)}")
    return DemoNetwork(
        plan, files, dict(zip(files.agents, agents, strict=True)), dict(zip(files.links, links, strict=True))
    )
