"""The fast choice on each event: a route, or several disjoint ones, by the key that is available.

A hop may be used where what is left of its rate covers the demand. Only where no such route exists, the pad that stands is
counted too, spread over `limits.PAD_HORIZON`: that carries a demand through a cut of the quantum channel. The price of a hop is
what the demand would take of what is left there: a short way wins while there is plenty, a detour where key is scarce. A demand
that asks for no rate may use a hop that is full as well, the dearer the more of them are there already.
"""

from collections.abc import Collection
from itertools import pairwise
from math import inf
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from quiver.domain import limits
from quiver.domain.routing.disjoint import disjoint
from quiver.domain.routing.graph import Graph
from quiver.domain.routing.shortest import cheapest

__all__ = ["Route", "choose"]

_HOP: Final = 0.05  # price of a hop where there is plenty, beside the share of what is left that a demand takes


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One way through the network.

    Attributes:
        nodes: from source to destination.
        left: bit/s, the least that is left on any of its hops for this and others.
        lasts: seconds for which rate and pad together carry the demand; infinite where the rate alone does.
    """

    nodes: tuple[str, ...]
    left: int
    lasts: float = inf


def choose(
    graph: Graph,
    source: str,
    destination: str,
    rate: int,
    *,
    hops: int = limits.HOPS_PER_PATH,
    excluded: Collection[str] = (),
    count: int = 1,
    share: int = 0,
) -> tuple[Route, ...]:
    """Routes that can carry a demand now; equal input gives equal output.

    Args:
        graph: the network; what the demand itself holds already must have been released.
        source: where the routes begin.
        destination: another node.
        rate: bit/s of each hop that the demand is to have; 0 takes what there is, be it none at all.
        hops: most of one route. For several disjoint routes finding out whether they exist under this limit is NP-hard (A. Itai,
            Y. Perl, Y. Shiloach, 1982): the cheapest set is tried, then the one with the fewest hops in all.
        excluded: nodes that no route may pass.
        count: how many routes, which share no node but their ends. Each of them gets the full rate.
        share: bit/s that it is taken to use, which is what it is priced as; where not given, its rate, or
            `limits.NOMINAL_RATE` of one without a rate: a hop with less left than that costs more than several with plenty.

    Returns:
        `count` routes, the one with the fewest hops first, or none at all where there are not so many.

    Raises:
        ConfigurationError: an end is not in the network.
    """
    start, end = graph.shape.node(source), graph.shape.node(destination)
    barred = graph.barred(source, destination, excluded)
    for stored in (False, True):
        prices = _prices(graph, rate, share or rate or limits.NOMINAL_RATE, stored=stored)
        found = _routes(graph, prices, (start, end), barred, hops, count)
        if found:
            return tuple(_described(graph, route, rate) for route in found)
    return ()


def _given(graph: Graph, *, stored: bool) -> NDArray[np.float64]:
    """By arc, bit/s that it can give to all, with pad that stands if it is `stored` pad that has to help."""
    given = np.repeat(graph.rates, 2).astype(np.float64)
    if stored:
        fresh = graph.now - graph.read <= limits.PAD_AGE
        given += np.where(fresh, graph.pads, 0) / limits.PAD_HORIZON
    return given


def _prices(graph: Graph, rate: int, share: int, *, stored: bool) -> list[float]:
    """By arc; infinite where the arc is closed or too little is available.

    Where a share does not fit, its part of what is left would soon say nothing: all hops that are full would cost the same. There
    it is what all together would ask, of what there is for all. The two meet at 1, where the share takes all that is left.
    """
    given, placed = _given(graph, stored=stored), np.repeat(graph.placed, 2)
    left = given - placed
    usable = np.repeat(graph.open_hops, 2) & ((left >= rate) | (rate == 0))
    part = np.where(left >= share, share / np.maximum(left, 1), (placed + share) / np.maximum(given, 1))
    prices: list[float] = np.where(usable, _HOP + part, inf).tolist()
    return prices


def _routes(
    graph: Graph, prices: list[float], ends: tuple[int, int], barred: set[int], hops: int, count: int
) -> list[list[int]]:
    if count == 1:
        route = cheapest(graph.shape, prices, *ends, barred, hops)
        return [] if route is None else [route]
    for priced in (prices, [price if price == inf else 1.0 for price in prices]):
        found = disjoint(graph.shape, priced, *ends, barred, count)
        if found is None:
            return []
        if all(len(route) <= hops + 1 for route in found):
            return found
    return []


def _described(graph: Graph, route: list[int], rate: int) -> Route:
    names = graph.shape.names(route)
    lasts = inf
    for node, neighbour in pairwise(names):
        arc = graph.shape.arc(node, neighbour)
        missing = rate - int(graph.rates[arc // 2] - graph.placed[arc // 2])
        if missing > 0:
            lasts = min(lasts, int(graph.pads[arc]) / missing)
    return Route(nodes=names, left=graph.left(names), lasts=lasts)
