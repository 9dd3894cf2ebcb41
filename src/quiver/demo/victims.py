"""What the demo breaks: a link or a relay on the way of those who use the network, whose loss leaves everybody another way."""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Final

from quiver.demo.plan import LinkPlan, Plan
from quiver.qkd.profiles import profile_named

__all__ = ["Nodes", "avoids", "link_to_cut", "link_to_drain", "reachable", "relay_to_kill"]

Nodes = tuple[str, ...]
_NOTHING: Final[frozenset[str]] = frozenset()


def reachable(
    plan: Plan, start: str, goal: str, *, cut: Collection[str] = _NOTHING, lost: Collection[str] = _NOTHING
) -> bool:
    """Whether a way is left without some links and nodes."""
    seen, border = {start}, [start]
    while border:
        node = border.pop()
        for link in plan.links_at(node):
            other = link.ends[1 - link.ends.index(node)]
            if link.id not in cut and other not in seen and other not in lost:
                seen.add(other)
                border.append(other)
    return goal in seen


def avoids(route: Nodes, what: LinkPlan | str) -> bool:
    """Whether a route passes neither a link nor a node."""
    if isinstance(what, str):
        return what not in route
    return all({one, other} != set(what.ends) for one, other in pairwise(route))


def link_to_cut(plan: Plan, routes: Sequence[Nodes]) -> LinkPlan:
    """A link of the first route that as many of the others as possible pass too, near its middle.

    Args:
        plan: the network.
        routes: each from its source to its destination.
    """
    return _most_used(_links_of(plan, routes), routes)


def link_to_drain(plan: Plan, routes: Sequence[Nodes]) -> LinkPlan:
    """Likewise, of those whose devices tell when their quantum channel is down, one with the least stock."""
    links = _links_of(plan, routes)
    telling = [link for link in links if profile_named(link.vendor).dialect.state_field is not None]
    least = min(map(_stock, telling))
    return _most_used([link for link in telling if _stock(link) == least], routes)


def relay_to_kill(plan: Plan, routes: Sequence[Nodes]) -> str:
    """A relay of the first route that as many of the others as possible have as a relay too."""
    ends = {node for route in routes for node in (route[0], route[-1])}
    able = [
        node
        for node in routes[0][1:-1]
        if node not in ends and all(reachable(plan, route[0], route[-1], lost=(node,)) for route in routes)
    ]
    return max(able, key=lambda node: sum(not avoids(route, node) for route in routes))


def _links_of(plan: Plan, routes: Sequence[Nodes]) -> list[LinkPlan]:
    """The links of the first route whose loss separates nobody."""
    links = (plan.link_between(one, other) for one, other in pairwise(routes[0]))
    return [link for link in links if all(reachable(plan, route[0], route[-1], cut=(link.id,)) for route in routes)]


def _most_used(links: Sequence[LinkPlan], routes: Iterable[Nodes]) -> LinkPlan:
    known = list(routes)
    middle = (len(links) - 1) / 2
    return max(
        enumerate(links), key=lambda at: (sum(not avoids(route, at[1]) for route in known), -abs(at[0] - middle))
    )[1]


def _stock(link: LinkPlan) -> int:
    """Bits that a link's devices keep at most."""
    profile = profile_named(link.vendor)
    return profile.buffer_keys * profile.key_size
