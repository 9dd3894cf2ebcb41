"""What happens while the network works: a link is cut, a relay dies, a quantum channel fails alone. One clock for all times.

Each time runs from the fault to the first block at the source whose path avoids it, as the source's agent tells it: before that
block is there, buffered keys come from blocks of the old path, and requests without a buffer wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Final

import msgspec

from quiver.demo.load import Tally
from quiver.demo.network import DemoNetwork
from quiver.demo.observer import Observer, Seen
from quiver.demo.plan import LinkPlan, PairPlan
from quiver.demo.steady import SteadyLoad
from quiver.demo.victims import Nodes, avoids, link_to_cut, link_to_drain, relay_to_kill
from quiver.domain.errors import UnavailableError
from quiver.domain.events import CreditGained, DeviceFault, LinkDown, PathPrimed
from quiver.domain.network import PathEntry
from quiver.domain.report import PathRole
from quiver.qkd.profiles import profile_named
from quiver.qkd.simulator import Fault

__all__ = ["FaultResult", "Faults", "Meanwhile", "Move"]

_PATIENCE: Final = 15.0  # seconds until a path that has not moved counts as one that does not
_CALM: Final = 0.3  # seconds of load after the last path has moved
_LOOK: Final = 0.1  # seconds between two looks at paths


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault did to one pair's path; seconds since the fault.

    Attributes:
        before: the route at the fault.
        after: the route of the first block that avoids it; None where none came in time.
        noticed: until the first agent told that a link is down, or that a device is; None where none did.
        credit: until credit came to the source over the new route.
        ready: until the first block over it was ready there.
    """

    before: Nodes
    after: Nodes | None = None
    noticed: float | None = None
    credit: float | None = None
    ready: float | None = None


class FaultResult(msgspec.Struct, frozen=True, kw_only=True):
    """One fault.

    Attributes:
        what: the link or the node.
        moves: pair → what became of its path; only pairs whose path passed what broke.
        tallies: pair → its load from the fault until all was calm again.
        stored: bytes of key that the link's devices and its two agents held for it when it broke.
    """

    what: str
    moves: dict[str, Move]
    tallies: dict[str, Tally]
    stored: int = 0

    @property
    def moved(self) -> bool:
        """Whether every path that had to move did."""
        return bool(self.moves) and all(move.ready is not None for move in self.moves.values())


Meanwhile = Callable[[FaultResult], Awaitable[None]]


class Faults:
    """Breaks things under load.

    Args:
        network: that runs.
        observer: that hears all its agents.
        pairs: those whose paths are watched, the busiest one first.
        loads: pair → its load, under way.
    """

    def __init__(
        self,
        network: DemoNetwork,
        observer: Observer,
        pairs: tuple[PairPlan, ...],
        loads: Mapping[str, SteadyLoad],
    ) -> None:
        self._network: Final = network
        self._plan: Final = network.plan
        self._observer: Final = observer
        self._pairs: Final = pairs
        self._loads: Final = loads

    # --- the three faults -----------------------------------------------------------------------------------------

    async def cut(self, meanwhile: Meanwhile | None = None) -> FaultResult:
        """Cut a link of the busiest path, both channels, without telling anybody; repair it in the end.

        Args:
            meanwhile: what is to happen between: it is given the result so far.
        """
        routes = await self._routes()
        link = link_to_cut(self._plan, list(routes.values()))
        tallies, at = self._turn(), perf_counter()
        await self._network.fault(link.id, Fault.CUT)
        result = FaultResult(what=link.id, moves=await self._moves(at, routes, link), tallies=tallies)
        if meanwhile is not None:
            await meanwhile(result)
        await self._network.fault(link.id, Fault.REPAIR)
        await self._observer.links_up([link.id])
        return result

    async def kill(self, meanwhile: Meanwhile | None = None) -> FaultResult:
        """SIGKILL for the agent of a relay of the busiest path; start it again in the end.

        Args:
            meanwhile: as of `cut`.
        """
        routes = await self._routes()
        node = relay_to_kill(self._plan, list(routes.values()))
        await self._observer.leave(node)
        tallies, at = self._turn(), perf_counter()
        self._network.kill(node)
        result = FaultResult(what=node, moves=await self._moves(at, routes, node), tallies=tallies)
        if meanwhile is not None:
            await meanwhile(result)
        await self._network.start_agents([node])
        await self._observer.watch({node: self._network.files.places.planes[node]["tls"]})
        await self._observer.links_up(link.id for link in self._plan.links_at(node))
        return result

    async def darken(self, drain: SteadyLoad) -> FaultResult:
        """Cut a quantum channel alone, while more is asked for in one direction; repair it in the end.

        Args:
            drain: another load of the busiest pair, until its path has moved. What goes the other way uses other pad.
        """
        busiest = self._pairs[0]
        routes = await self._routes()
        link = link_to_drain(self._plan, list(routes.values()))
        tallies, at = self._turn(), perf_counter()
        state = await self._network.fault(link.id, Fault.DOWN)
        stored = await self._stored(link, state["stored_keys"])
        async with drain:
            further = drain.turn()
            moves = await self._moves(at, {busiest.name: routes[busiest.name]}, link)
        tallies[busiest.name].add(further)
        await self._network.fault(link.id, Fault.REPAIR)
        return FaultResult(what=link.id, moves=moves, tallies=tallies, stored=stored)

    # --- what comes of them ---------------------------------------------------------------------------------------

    def _turn(self) -> dict[str, Tally]:
        return {name: load.turn() for name, load in self._loads.items()}

    async def _stored(self, link: LinkPlan, keys: int) -> int:
        """Bytes of key that there are for a link, in its devices and at its two agents."""
        one, _ = link.ends
        report = await self._observer.report(one)
        pads = sum(told.own + told.theirs for told in report.links if told.id == link.id)
        return keys * profile_named(link.vendor).key_size // 8 + pads

    async def _routes(self) -> dict[str, Nodes]:
        """Pair → the route that its keys take now.

        Raises:
            UnavailableError: one has none.
        """
        return {pair.name: (await self._entry(pair)).nodes for pair in self._pairs}

    async def _entry(self, pair: PairPlan) -> PathEntry:
        """The path version of a pair over which keys come, once there is no other: a move under way is not what is measured.

        Raises:
            UnavailableError: there is none.
        """
        until = perf_counter() + _PATIENCE
        while True:
            report = await self._observer.report(pair.source)
            held = [entry for entry in report.configured if entry.virtual_link == pair.virtual_link]
            primed = {path.key for path in report.paths if path.role is PathRole.SOURCE and path.primed}
            working = [entry for entry in held if entry.key in primed]
            if working and (len(held) == 1 or perf_counter() > until):
                return max(working, key=lambda entry: entry.version)
            if perf_counter() > until:
                raise UnavailableError(f"no path leads from {pair.source} to {pair.destination}")
            await asyncio.sleep(_LOOK)

    async def _moves(self, at: float, routes: Mapping[str, Nodes], what: LinkPlan | str) -> dict[str, Move]:
        """Wait until the paths that passed what broke have moved, then a moment more."""
        hit = [pair for pair in self._pairs if pair.name in routes and not avoids(routes[pair.name], what)]
        moves = await asyncio.gather(*(self._move(at, pair, routes[pair.name], what) for pair in hit))
        await asyncio.sleep(_CALM)
        return {pair.name: move for pair, move in zip(hit, moves, strict=True)}

    async def _move(self, at: float, pair: PairPlan, before: Nodes, what: LinkPlan | str) -> Move:
        try:
            async with asyncio.timeout(_PATIENCE):
                primed, entry = await self._primed(at, pair, what)
        except TimeoutError:
            return Move(before=before)
        credit = self._since(at, lambda seen: isinstance(seen.body, CreditGained) and seen.body.path == entry.key)
        noticed = self._since(at, lambda seen: isinstance(seen.body, LinkDown | DeviceFault))
        return Move(before=before, after=entry.nodes, noticed=noticed, credit=credit, ready=primed.at - at)

    async def _primed(self, at: float, pair: PairPlan, what: LinkPlan | str) -> tuple[Seen, PathEntry]:
        """The first block at a pair's source whose path avoids what broke."""
        known: set[str] = set()
        while True:
            for seen in self._observer.events:
                if seen.at < at or seen.node != pair.source or not isinstance(seen.body, PathPrimed):
                    continue
                key = seen.body.path
                if key in known or not key.startswith(f"{pair.virtual_link}/"):
                    continue
                known.add(key)
                entry = await self._observer.entry(key, pair.source)
                if entry is not None and avoids(entry.nodes, what):
                    return seen, entry
            await self._observer.news()

    def _since(self, at: float, wanted: Callable[[Seen], bool]) -> float | None:
        seen = self._observer.first(at, wanted)
        return seen.at - at if seen is not None else None
