"""Draws the demo's network from a seed.

        bern ╌╌╌ ulm ─── linz ─── wien ─── brno
          ╎       │    ╱  │                 │
          └╌╌╌╌ graz ── prag ──── zlin ─────┘

The shortest way of the main pair goes along the top, the only one of three hops; without any link or relay of it there is another
way round. Its other direction has no buffer: what happens to a path happens with and without one. bern joins later.
"""

import random
from typing import Final

from quiver.demo.plan import DemandPlan, LinkPlan, NodePlan, PairPlan, Plan
from quiver.domain import limits

__all__ = ["draw_plan"]

_DEPTH: Final = 256 * limits.KIB  # bytes; of the main pair, for loads that are not larger
_DEPTH_MOST: Final = 1024 * limits.KIB  # bytes; more would take the devices too long to make
_DEPTH_SMALL: Final = 8 * limits.KIB  # bytes; of the pairs beside it
_LEVEL: Final = 96 * limits.KIB  # bytes per direction; the largest request and more
_LEVEL_SLOW: Final = (
    16 * limits.KIB
)  # bytes per direction; a slow device starts with 64 KiB, two small buffers take half

_MAIN_VENDORS: Final = ("alder", "cedar", "elm")  # of 1 Mbit/s and more at these lengths, and many bits in one request
_ROUND_VENDORS: Final = ("alder", "cedar")  # with the elm between them three on each other way, too
_FAST: Final = (*_MAIN_VENDORS, "birch")
_SLOW: Final = "dogwood"
_NODES: Final = ("ulm", "linz", "wien", "brno", "graz", "prag", "zlin")
_MAIN: Final = (("ulm", "linz"), ("linz", "wien"), ("wien", "brno"))
_ROUND: Final = (("linz", "prag"), ("zlin", "brno"))
_TELLING: Final = (
    "prag",
    "zlin",
)  # on every other way of the main pair; along the top there are two whose devices tell
_BESIDE: Final = (("ulm", "graz"), ("graz", "prag"))
_CHORD: Final = ("linz", "graz")  # on no shortest way but that of its own ends
_JOINING: Final = "bern"
_JOINING_LINKS: Final = (("bern", "ulm"), ("bern", "graz"))


def draw_plan(seed: int, *, key_bytes: int = 0) -> Plan:
    """A network.

    Args:
        seed: draws vendors, lengths and fluctuation; the same seed gives the same network.
        key_bytes: bytes of key that the main job will ask for; a larger job gets a deeper buffer, within bounds.
    """
    drawn = random.Random(seed)  # noqa: S311  # of the network's shape only, never of keys
    vendors = dict(zip(_MAIN, drawn.sample(_MAIN_VENDORS, len(_MAIN)), strict=True))
    vendors |= dict(zip(_ROUND, drawn.sample(_ROUND_VENDORS, len(_ROUND)), strict=True))
    vendors[_TELLING] = "elm"  # it says when its quantum channel is down, and has the smallest stock
    vendors |= dict(zip(_BESIDE, drawn.sample((drawn.choice(_MAIN_VENDORS), "birch"), 2), strict=True))
    vendors[_CHORD] = _SLOW
    links = tuple(_link(drawn, ends, vendor) for ends, vendor in vendors.items())
    depth = min(_DEPTH_MOST, max(_DEPTH, -(-key_bytes // limits.KIB) * limits.KIB))
    pairs = _pairs()
    return Plan(
        seed=seed,
        nodes=_NODES,
        links=links,
        pairs=pairs,
        demands=_demands(pairs, depth),
        joining=NodePlan(
            id=_JOINING,
            links=tuple(_link(drawn, ends, drawn.choice(_FAST)) for ends in _JOINING_LINKS),
            pair=PairPlan(
                name="joined",
                master="encryptor-bern",
                slave="router-brno",
                source=_JOINING,
                destination="brno",
                hops=4,
                post_quantum=True,
            ),
        ),
    )


def _link(drawn: random.Random, ends: tuple[str, str], vendor: str) -> LinkPlan:
    slow = vendor == _SLOW
    return LinkPlan(
        id="-".join(ends),
        ends=ends,
        vendor=vendor,
        length_km=round(drawn.uniform(4, 12) if slow else drawn.uniform(8, 25), 1),
        seed=drawn.randrange(1 << 31),
        level=_LEVEL_SLOW if slow else _LEVEL,
    )


def _pairs() -> tuple[PairPlan, ...]:
    return (
        PairPlan(
            name="main",
            master="encryptor-ulm",
            slave="encryptor-brno",
            source="ulm",
            destination="brno",
            hops=3,
            post_quantum=True,
        ),
        PairPlan(
            name="unbuffered",
            master="gateway-brno",
            slave="gateway-ulm",
            source="brno",
            destination="ulm",
            hops=3,
            post_quantum=True,
        ),
        PairPlan(
            name="one hop",
            master="storage-linz",
            slave="storage-graz",
            source="linz",
            destination="graz",
            hops=1,
        ),
        PairPlan(
            name="round",
            master="router-prag",
            slave="router-brno",
            source="prag",
            destination="brno",
            hops=2,
        ),
    )


def _demands(pairs: tuple[PairPlan, ...], depth: int) -> tuple[DemandPlan, ...]:
    """Both directions of each pair; main and unbuffered pair are the two directions of one pair of nodes."""
    main, unbuffered = pairs[:2]
    depths = {main.virtual_link: depth, unbuffered.virtual_link: 0}
    ends = {
        f"{source}-{destination}": (source, destination)
        for pair in pairs
        for source, destination in ((pair.source, pair.destination), (pair.destination, pair.source))
    }
    return tuple(
        DemandPlan(source=source, destination=destination, depth=depths.get(name, _DEPTH_SMALL))
        for name, (source, destination) in ends.items()
    )
