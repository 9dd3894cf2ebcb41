"""Rerouting at scale: links of an emulated network are cut one after another, and each path that passed one is timed.

The time of a path runs from the fault to credit at its source over a route that avoids the link: both are moments of one clock,
the second one taken where the source's node tells its event, on its way to the controller.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from quiver.bench.emulated.host import Seen
from quiver.bench.emulated.network import EmulatedDemand, EmulatedNetwork
from quiver.bench.emulated.plan import EmulatedLink
from quiver.domain.errors import UnavailableError
from quiver.domain.events import CreditGained, LinkDown, LinkUp
from quiver.domain.limits import BLOCK_MIN, PART_PAUSE
from quiver.domain.sdn.live import PathLive

__all__ = ["DEPTH", "Cut", "demands_between", "reroutes", "spare"]

DEPTH: Final = 2 * BLOCK_MIN  # bytes of a demand's buffer: it is filled anew after each reroute
_STEADY: Final = (
    120.0  # seconds until all demands have credit, with many sessions to make before; nothing is measured by it
)
_PATIENCE: Final = 30.0  # seconds for a reroute, and for a repaired link
_REST: Final = 2 * PART_PAUSE  # seconds until the next cut: versions that paths have left are gone by then

Nodes = tuple[str, ...]


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one cut; all times in seconds since it.

    Attributes:
        link: its id.
        noticed: when the first of its two agents told that it is down.
        credit: virtual link → when its source had credit over another route.
    """

    link: str
    noticed: float
    credit: dict[str, float]


def demands_between(users: Sequence[str], count: int, seed: int, depth: int) -> list[EmulatedDemand]:
    """Demands between different pairs of nodes, each in one direction, drawn from a seed; each with a buffer of `depth` bytes."""
    chance = random.Random(seed)  # noqa: S311  # pairs of nodes, no secret
    pairs = [(one, other) for one in users for other in users if one != other]
    return [EmulatedDemand(one, other, depth) for one, other in sorted(chance.sample(pairs, min(count, len(pairs))))]


async def reroutes(
    network: EmulatedNetwork, least: int, seed: int, progress: Callable[[str], None] = lambda _: None
) -> list[Cut]:
    """Cut links, each once and repaired before the next, until that many paths were rerouted.

    Args:
        network: that has just been started.
        least: reroutes.
        seed: draws the links.
        progress: is told of each cut.

    Raises:
        UnavailableError: a path did not come back, or there are not enough links whose paths have another way.
    """
    chance, links, cuts = random.Random(seed), list(network.plan.links), list[Cut]()  # noqa: S311  # order of links
    chance.shuffle(links)
    while sum(len(cut.credit) for cut in cuts) < least:
        paths = await network.steady(_STEADY)
        link = spare(links, network.plan.links, paths)
        links.remove(link)
        cuts.append(await _cut(network, link, paths))
        await asyncio.sleep(_REST)
        progress(f"{link.id}: {len(cuts[-1].credit)} paths, {max(cuts[-1].credit.values()):.2f} s")
    return cuts


def spare(candidates: Sequence[EmulatedLink], links: Sequence[EmulatedLink], paths: Sequence[PathLive]) -> EmulatedLink:
    """The first link that some path passes, and without which each of those still has a way."""
    for link in candidates:
        hit = [path for path in paths if _passes(path.nodes, link)]
        rest = [other for other in links if other is not link]
        if hit and all(path.nodes[-1] in _reached(path.nodes[0], rest) for path in hit):
            return link
    raise UnavailableError("no link is left whose paths have another way")


async def _cut(network: EmulatedNetwork, link: EmulatedLink, paths: Sequence[PathLive]) -> Cut:
    """Cut a link, wait until its paths have credit elsewhere, repair it, wait until it is up."""
    hit = {path.virtual_link: path.version for path in paths if _passes(path.nodes, link)}
    begun = len(network.seen)
    at = network.cut(link)
    credit: dict[str, float] = {}

    def rerouted() -> bool:
        for seen in network.seen[begun:]:
            if seen.what == _tag(CreditGained) and not _passes(seen.route, link):
                name, _, version = seen.about.rsplit("/", 2)
                if int(version) > hit.get(name, int(version)):
                    credit.setdefault(name, seen.at - at)
        return len(credit) == len(hit)

    try:
        await network.until(
            rerouted, _PATIENCE, lambda: f"credit for {sorted(hit.keys() - credit)} after the cut of {link.id}"
        )
        down = _first(network.seen[begun:], link, LinkDown)
    finally:
        network.repair(link)
    await network.until(
        lambda: len({seen.node for seen in _about(network.seen[begun:], link, LinkUp)}) == 2,
        _PATIENCE,
        lambda: f"{link.id} is up after its repair",
    )
    return Cut(link=link.id, noticed=down - at, credit=credit)


def _tag(event: type[CreditGained | LinkDown | LinkUp]) -> str:
    return str(event.__struct_config__.tag)


def _about(seen: Iterable[Seen], link: EmulatedLink, event: type[LinkDown | LinkUp]) -> list[Seen]:
    return [one for one in seen if one.what == _tag(event) and one.about == link.id]


def _first(seen: Iterable[Seen], link: EmulatedLink, event: type[LinkDown | LinkUp]) -> float:
    return min(one.at for one in _about(seen, link, event))


def _passes(nodes: Nodes, link: EmulatedLink) -> bool:
    return any({one, other} == {link.one, link.other} for one, other in pairwise(nodes))


def _reached(node: str, links: Iterable[EmulatedLink]) -> set[str]:
    """All nodes that are joined to one."""
    neighbours: dict[str, list[str]] = {}
    for link in links:
        neighbours.setdefault(link.one, []).append(link.other)
        neighbours.setdefault(link.other, []).append(link.one)
    found, waiting = {node}, [node]
    while waiting:
        new = set(neighbours.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return found
