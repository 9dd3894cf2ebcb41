"""Paths of one demand share no node but their ends, whatever happens to them: who XORs their keys relies on it."""

from itertools import pairwise

from quiver.domain import limits
from quiver.domain.events import CreditGained, LinkDown, LinkUp, PadLow
from quiver.domain.network import PathEntry
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.optimising import Plan
from quiver.domain.sdn.records import What

from .telling import LEVEL, Desk

WAYS = [("a", "x"), ("d", "x"), ("a", "y"), ("d", "y"), ("a", "z"), ("d", "z"), ("a", "w"), ("d", "w")]
TWO = Demand(name="v", source="a", destination="d", paths=2, rate=10)


def run(desk: Desk, seconds: float, *, dry: str = "") -> None:
    """Let time pass; versions that all their nodes hold get credit, but for those that pass a dry node or a cut link."""
    for _ in range(int(seconds * 4)):
        desk.settle(0.25)
        for key, entry in list(desk.held["a"].items()):
            links = {"-".join(sorted(hop)) for hop in pairwise(entry.nodes)}
            whole = all(key in desk.held[node] for node in entry.nodes) and dry not in entry.nodes
            if whole and not links & desk.down and key not in desk.credit:
                desk.credit[key] = 1000
                desk.happen("a", CreditGained(path=key, credit=1000))
        routes = relays(desk)
        assert len({node for nodes in routes for node in nodes}) == sum(map(len, routes)), routes


def relays(desk: Desk) -> list[tuple[str, ...]]:
    return [path.nodes[1:-1] for path in desk.core.snapshot().paths]


def desk_with(ways: list[tuple[str, str]], demand: Demand = TWO) -> Desk:
    desk = Desk(ways)
    desk.connect()
    desk.core.operator.demand(demand)
    run(desk, 5.0)
    return desk


def cut(desk: Desk, node: str, other: str) -> None:
    desk.down.add("-".join(sorted((node, other))))
    desk.happen(node, LinkDown(link="-".join(sorted((node, other))), neighbour=other))


def heal(desk: Desk, node: str, other: str) -> None:
    desk.down.discard("-".join(sorted((node, other))))
    desk.happen(node, LinkUp(link="-".join(sorted((node, other))), neighbour=other))


def test_a_path_waits_for_a_node_that_another_is_only_about_to_leave() -> None:
    desk = desk_with(WAYS[:6])
    (first, second) = (nodes[0] for nodes in relays(desk))
    (free,) = {"x", "y", "z"} - {first, second}
    desk.core.operator.drain(What.NODE, first)
    run(desk, 0.5, dry=free)
    cut(desk, "d", second)
    run(desk, 40.0, dry=free)
    desk.core.operator.drain(What.NODE, first, drained=False)
    heal(desk, "d", second)
    run(desk, 60.0)
    live = desk.core.snapshot()
    assert live.demands[0].up == 2
    assert not any(path.trouble for path in live.paths)


def test_a_planned_route_that_another_path_has_taken_meanwhile_is_passed_over() -> None:
    desk = desk_with(WAYS)
    run(desk, limits.ALLOCATION_INTERVAL + 5.0)
    routes = [path.nodes for path in desk.core.snapshot().paths]
    used = {nodes[1] for nodes in routes}
    wanted, other = sorted({"x", "y", "z", "w"} - used)
    work = desk.core.work()
    plan = Plan(id=work.id, routes={"v": (("a", wanted, "d"), routes[1])}, worthwhile=True, served=20, before=10)
    desk.core.operator.drain(What.NODE, other)
    desk.settle()
    cut(desk, "a", routes[1][1])
    desk.settle()
    desk.core.solved(plan)
    run(desk, limits.MOVE_HOLD + 10.0)
    assert relays(desk) == [routes[0][1:-1], (wanted,)]


def test_paths_change_places_where_only_that_serves_both() -> None:
    hops = [("a", "p"), ("p", "q"), ("d", "q"), ("a", "r"), ("r", "s"), ("d", "s"), ("p", "s"), ("q", "r")]
    desk = desk_with(hops, Demand(name="v", source="a", destination="d", paths=2, hops=3))
    crossed = {("p", "s"), ("r", "q")}
    straight = {("p", "q"), ("r", "s")}
    now = set(relays(desk))
    assert now in (crossed, straight)
    cut(desk, *sorted(relays(desk)[0]))
    run(desk, 15.0)
    assert set(relays(desk)) == (straight if now == crossed else crossed)
    assert desk.core.snapshot().demands[0].up == 2


def test_a_path_makes_room_for_another_at_once_though_it_moved_a_moment_ago_and_its_route_is_poor() -> None:
    hops = [("a", "p"), ("p", "q"), ("d", "q"), ("a", "r"), ("r", "s"), ("d", "s"), ("p", "s")]
    desk = Desk(hops)
    desk.connect()
    cut(desk, "p", "q")
    cut(desk, "a", "r")
    desk.core.operator.demand(TWO)
    run(desk, 5.0)
    assert desk.core.snapshot().demands[0].up == 1
    desk.happen("p", PadLow(neighbour="s", own=10, level=LEVEL))
    heal(desk, "p", "q")
    heal(desk, "a", "r")
    run(desk, 10.0)
    assert set(relays(desk)) == {("p", "q"), ("r", "s")}
    assert desk.core.snapshot().demands[0].up == 2


def test_paths_that_agents_hold_and_that_meet_do_not_stay_so() -> None:
    desk = Desk(WAYS[:2])
    desk.core.operator.demand(TWO)
    for number in (1, 2):
        entry = PathEntry(virtual_link="v", path=number, version=1, nodes=("a", "x", "d"), rate=10)
        for node in entry.nodes:
            desk.held[node][entry.key] = entry
        desk.credit[entry.key] = 1000
    desk.connect()
    desk.settle(5.0)
    live = desk.core.snapshot()
    assert (live.demands[0].up, [path.nodes for path in live.paths]) == (1, [("a", "x", "d"), ()])
    assert not [key for node in desk.nodes for key in desk.held[node] if key.startswith("v/2/")]
    (told,) = desk.told("not-disjoint")
    assert told.about == {"demand": "v", "path": "2", "where": "x"}
