"""A fault's time ends with the first block of a path that avoids what broke, and with no other."""

import asyncio
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from quiver.demo.draw import draw_plan
from quiver.demo.faults import FaultResult, Faults
from quiver.demo.load import Tally
from quiver.demo.observer import Seen
from quiver.domain.events import CreditGained, Event, LinkDown, PathPrimed
from quiver.domain.network import PathEntry
from quiver.domain.report import NodeReport, PathReport, PathRole
from quiver.qkd.simulator import Fault

PLAN = draw_plan(1)
TOP = ("ulm", "linz", "wien", "brno")
ROUND = ("ulm", "linz", "prag", "zlin", "brno")
STILL = ("ulm", "graz", "linz", "wien", "brno")  # another route, over the link that was cut


def entry(version: int, nodes: tuple[str, ...]) -> PathEntry:
    return PathEntry(f"{nodes[0]}-{nodes[-1]}", 1, version, nodes)


class Scene:
    """A network and its observer: what happens after the fault is written down beforehand."""

    def __init__(self, *happens: tuple[str, Event], before: tuple[str, ...] = TOP) -> None:
        self.plan = PLAN
        self.faults: list[tuple[str, Fault]] = []
        self.happens = list(happens)
        self.events: list[Seen] = []
        self.entries = [
            entry(1, before),
            entry(1, before[::-1]),
            entry(2, STILL),
            entry(3, ROUND),
            entry(3, ROUND[::-1]),
        ]
        self.before = before

    # As a network.

    async def fault(self, link: str, fault: Fault) -> dict[str, Any]:
        self.faults.append((link, fault))
        if fault is Fault.CUT:
            self.events += [Seen(perf_counter(), node, body) for node, body in self.happens]
        return {"stored_keys": 0}

    # As an observer.

    async def report(self, node: str) -> NodeReport:
        own = [one for one in self.entries if one.source == node and one.version == 1]
        paths = tuple(PathReport(key=one.key, digest="", role=PathRole.SOURCE, primed=True) for one in own)
        return NodeReport(node=node, run="0" * 32, paths=paths, configured=tuple(own))

    async def entry(self, key: str, node: str) -> PathEntry | None:
        return next((one for one in self.entries if one.key == key and one.source == node), None)

    def first(self, since: float, wanted: Any) -> Seen | None:
        return next((seen for seen in self.events if seen.at >= since and wanted(seen)), None)

    async def news(self) -> None:
        raise TimeoutError  # nothing more comes: as when the time is over

    async def links_up(self, links: list[str]) -> None:
        assert self.faults[-1] == (links[0], Fault.REPAIR)


def cut(scene: Scene) -> FaultResult:
    loads = {name: SimpleNamespace(turn=Tally) for name in ("main", "unbuffered")}
    faults = Faults(scene, scene, (PLAN.main, PLAN.unbuffered), loads)  # type: ignore[arg-type]
    return asyncio.run(faults.cut())


def primed(node: str, version: int) -> tuple[str, Event]:
    other = "brno" if node == "ulm" else "ulm"
    return node, PathPrimed(path=f"{node}-{other}/1/{version}")


def test_the_first_block_over_a_path_that_avoids_the_link_ends_the_time():
    scene = Scene(
        ("linz", LinkDown(link="linz-wien", neighbour="wien")),
        primed("ulm", 2),
        ("ulm", CreditGained(path="ulm-brno/1/3", credit=9)),
        primed("ulm", 3),
        primed("brno", 3),
    )
    result = cut(scene)
    assert scene.faults == [("linz-wien", Fault.CUT), ("linz-wien", Fault.REPAIR)]
    move = result.moves["main"]
    assert (move.before, move.after) == (TOP, ROUND)
    assert move.noticed is not None
    assert move.credit is not None
    assert move.ready is not None
    assert 0 < move.noticed <= move.credit <= move.ready
    assert result.moves["unbuffered"].after == ROUND[::-1]
    assert result.moved


def test_a_new_path_over_the_cut_link_does_not_count():
    result = cut(Scene(primed("ulm", 2), primed("brno", 3)))
    assert result.moves["main"].ready is None
    assert result.moves["main"].after is None
    assert not result.moved


def test_a_block_of_another_pairs_path_does_not_count():
    result = cut(Scene(("ulm", PathPrimed(path="ulm-brno-south/1/3")), ("graz", PathPrimed(path="ulm-brno/1/3"))))
    assert not result.moved
