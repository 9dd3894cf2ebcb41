"""An emulated network that runs: processes of light agents and one real controller, started, asked and broken from here."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from quiver.bench.emulated.host import Order, Seen
from quiver.bench.emulated.plan import AUDITOR, CONTROLLER, OPERATOR, EmulatedLink, EmulationPlan
from quiver.bench.processes import Child, Children
from quiver.bench.tables import table
from quiver.client.operator import Access, OperatorClient
from quiver.domain.errors import RemoteError, UnavailableError
from quiver.domain.sdn.live import PathLive
from quiver.identity.lab import Lab
from quiver.net.ports import HOST
from quiver.net.tls import Credentials

__all__ = ["EmulatedDemand", "EmulatedNetwork"]

_LOOK: Final = 0.25  # seconds between two looks at the controller's paths
_KEPT: Final = 100_000  # events that are kept; a link that goes takes some hundred with it

_seen: Final = msgspec.json.Decoder(Seen)
_paths: Final = list[PathLive]


class EmulatedDemand(msgspec.Struct, frozen=True):
    """A virtual link that the controller is to serve; `depth` in bytes."""

    source: str
    destination: str
    depth: int

    @property
    def name(self) -> str:
        """Of the virtual link."""
        return f"{self.source}:{self.destination}"


class EmulatedNetwork:
    """A running network, as an asynchronous context manager.

    Args:
        plan: what is emulated; its directory is empty.
        demands: what the controller is asked for.

    Attributes:
        controller: its process.
        operator: a client of its northbound interface.
        addresses: node → address of its NETCONF server over TLS.
        seen: what has happened at the nodes, in no strict order.
    """

    controller: Child
    operator: OperatorClient

    def __init__(self, plan: EmulationPlan, demands: Sequence[EmulatedDemand]) -> None:
        self.plan: Final = plan
        self.demands: Final = tuple(demands)
        self.root: Final = Path(plan.root)
        self.seen: Final[list[Seen]] = []
        self.addresses: Final[dict[str, str]] = {}
        self._stack: Final = AsyncExitStack()
        self._news = asyncio.Event()
        self._writers: Final[list[asyncio.StreamWriter]] = []
        self._lab: Final = Lab(plan.pki)

    async def __aenter__(self) -> Self:
        try:
            return await self._started()
        except BaseException:
            await self._stack.aclose()
            raise

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _started(self) -> Self:
        for node in self.plan.hosts:
            self._lab.issue("management", node)
        self.plan.seed.touch(0o600)
        self.plan.seed.write_bytes(os.urandom(32))
        children = await self._stack.enter_async_context(Children(self.root))
        hosts = await asyncio.gather(*(children.start("emulated", path) for path in self.plan.write()))
        for number in range(len(hosts)):
            await self._listen(number)
        self.addresses.update({node: f"{HOST}:{port}" for host in hosts for node, port in host.ready.items()})
        self.controller = await children.start("controller", self._configure())
        self.operator = await self._stack.enter_async_context(OperatorClient(self._access()))
        return self

    # --- certificates and configuration ---------------------------------------------------------------------------

    def auditor(self) -> Credentials:
        """Somebody who may read every agent."""
        return self._lab.issue("auditor", AUDITOR)

    def _access(self) -> Access:
        own = self._lab.issue("operator", OPERATOR)
        trust = str(self._lab.management_trust[0])
        return Access(
            url=str(self.controller.ready["url"]),
            certificate=str(own.certificate),
            private_key=str(own.private_key),
            ca=trust,
        )

    def _configure(self) -> Path:
        """The controller's configuration file."""
        trust = [self._lab.management_trust[0]]
        own, north = self._lab.issue("controller", CONTROLLER), self._lab.issue("northbound", CONTROLLER)
        text = table("[controller]", {"id": CONTROLLER, "state": self.root / "controller"})
        text += table("[management]", {**_files(own), "trust": trust})
        text += table("[northbound]", {"listen": f"{HOST}:0", **_files(north), "trust": trust})
        text += table("[log]", {"level": "ERROR"})
        for node, address in self.addresses.items():
            text += table("[[agents]]", {"id": node, "tls": address})
        for demand in self.demands:
            text += table("[[demands]]", {"name": demand.name, **msgspec.structs.asdict(demand)})
        path = self.root / "controller.toml"
        path.write_text(text, encoding="utf-8")
        return path

    # --- what happens ---------------------------------------------------------------------------------------------

    async def _listen(self, number: int) -> None:
        reader, writer = await asyncio.open_unix_connection(self.plan.control(number))
        self._writers.append(writer)
        self._stack.callback(writer.close)
        listening = asyncio.create_task(self._hear(reader))
        self._stack.callback(listening.cancel)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.seen.append(_seen.decode(line))
            del self.seen[:-_KEPT]
            self._news.set()

    async def until(self, holds: Callable[[], bool], seconds: float, what: Callable[[], str]) -> None:
        """Wait for something that only news from the nodes can bring about.

        Raises:
            UnavailableError: it did not come; says `what`.
        """
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise UnavailableError(f"{what()}: not within {seconds:.0f} seconds") from None

    # --- links ----------------------------------------------------------------------------------------------------

    def cut(self, link: EmulatedLink) -> float:
        """Cut a link, its quantum channel and everything that concerns it between its nodes; when, by the machine's clock."""
        at = time.monotonic()
        self._order(Order(link.id, cut=True))
        return at

    def repair(self, link: EmulatedLink) -> None:
        """Let it work again."""
        self._order(Order(link.id, cut=False))

    def _order(self, order: Order) -> None:
        for writer in self._writers:
            writer.write(msgspec.json.encode(order) + b"\n")

    # --- the controller -------------------------------------------------------------------------------------------

    async def paths(self) -> list[PathLive]:
        """All paths, as the controller knows them."""
        return msgspec.convert([_plain(path) for path in await self.operator.all("paths")], _paths)

    async def steady(self, seconds: float) -> list[PathLive]:
        """Wait until every demand has a path with credit and nothing is under way; the paths.

        Raises:
            UnavailableError: some have none in time; names them.
        """
        end = time.monotonic() + seconds
        while True:
            paths = await self.paths()
            lacking = [path.virtual_link for path in paths if not path.credit or path.coming or path.trouble]
            if paths and not lacking:
                return paths
            if time.monotonic() > end:
                raise UnavailableError(f"no credit within {seconds:.0f} seconds: {', '.join(lacking) or 'any path'}")
            await asyncio.sleep(_LOOK)

    async def sessions(self) -> int:
        """Management sessions that are up."""
        try:
            return int((await self.operator.get("network"))["sessions"])
        except (KeyError, TypeError):
            raise RemoteError("the controller does not tell its sessions") from None


def _files(credentials: Credentials) -> dict[str, object]:
    return {"certificate": credentials.certificate, "private_key": credentials.private_key}


def _plain(path: Any) -> Any:  # noqa: ANN401  # JSON
    """A path without what the northbound interface adds to it."""
    return {name: value for name, value in path.items() if name in PathLive.__struct_fields__}
