"""Promises with figures, each played in a network made for it. What a play returns are sentences about what was not kept."""

import msgspec

from quiver.domain import limits
from quiver.domain.messages import Announcement, Container

from .stage import Edges, Stage, chain, ring

SQUARE = [(0, 1), (0, 2), (1, 3), (2, 3)]
SHAPES: dict[str, tuple[Edges, list[list[int]]]] = {
    "chain of 12": (chain(12), [list(range(12)), list(range(11, -1, -1))]),
    "chain of 4, all pairs": (
        chain(4),
        [list(range(a, b, 1 if b > a else -1)) for a, b in ((0, 4), (3, -1), (0, 3), (2, -1), (1, 4), (3, 0))],
    ),
    "ring of 12": (
        ring(12),
        [[(i + k) % 12 for k in range(5)] for i in range(0, 12, 2)]
        + [[(i - k) % 12 for k in range(5)] for i in range(0, 12, 2)],
    ),
}


def one_way_demand() -> list[str]:
    """All demand goes one way, and both ends have collected up to their level before it begins."""
    stage = Stage(chain(2), [(0, 1)], rate=2_000, stock=80_000, level=32 * 1024)
    stage.run(5.0)
    stage.ask(0, 1, every=0.34, seconds=110.0, size=8192)  # a little more than both ends together collect
    stage.run(112.0)
    devices = stage.scenery.devices["l0-1"]
    collected = sum(len(key) for key in devices.made.values()) - len(devices._stock) * devices.key_bytes
    ranges = {item.sequence: item.length for _, _, item in stage.sent(Announcement) if isinstance(item, Announcement)}
    delivered = sum(asked.count * asked.size // 8 for asked in stage.load.asked if asked.keys)
    assert collected > 250_000
    found = []
    if sum(ranges.values()) < 0.95 * collected:
        found.append(f"{sum(ranges.values())} bytes of the collected pad were used, of {collected}")
    if delivered < 0.9 * collected:  # the rest are tags and hash keys
        found.append(f"{delivered} bytes of key were delivered with {collected} bytes of pad")
    return found + burned(stage) + stage.end()


def dry_link(depth: int) -> list[str]:
    """The middle link of a chain has no pad while its two ends are asked for keys; then it has."""
    stage = Stage(chain(4), [(0, 1, 2, 3), (3, 2, 1, 0)], depth=depth)
    middle = stage.scenery.devices["l1-2"]
    middle._stock.clear()
    middle.up = False
    stage.faults.note("dry link", 40.0, lambda _route: True)
    for source, destination in ((0, 3), (3, 0)):
        stage.ask(source, destination, every=0.05, seconds=20.0)
    stage.run(25.0)
    found = burned(stage)
    if stage.sent(Announcement):
        found.append("a range was announced")
    pads = [(i, peer, pads) for i in range(4) for peer, pads in stage.node(i).context.pads.items()]
    found += [f"n{i} allocated {one.allocated} bytes towards {peer}" for i, peer, one in pads if one.allocated]
    assert stage.served == 0
    assert stage.node(0).context.pads["n1"].available > 50_000 or found
    middle.up = True
    stage.run(2 * limits.REPEAT_MOST)
    stage.ask(0, 3, every=0.1, seconds=2.0)
    stage.run(5.0)
    if stage.served != 20:
        found.append(f"{stage.served} of 20 requests were served when the link had pad again")
    return found + stage.end()


def opposite_load(shape: str, pool: int) -> list[str]:
    """Requests both ways over the same links, with few connections between two nodes."""
    edges, routes = SHAPES[shape]
    stage = Stage(edges, [r for r in routes if len(r) > 1], pool=pool)
    stage.run(3.0)
    for route in routes:
        stage.ask(route[0], route[-1], every=0.2, seconds=4.0)
    stage.run(6.5)
    found = [] if stage.share == 1.0 else [f"{stage.share:.0%} of the requests were served"]
    return found + stage.end()


def path_change(depth: int) -> list[str]:
    """A path goes over another relay, and back, with sequences open all the time."""
    stage = Stage(SQUARE, [(0, 1, 3)], depth=depth, pool=1)
    stage.run(4.0)
    stage.ask(0, 3, every=0.02, seconds=8.0, size=1024)
    stage.world.after(1.0, lambda: stage.faults.reroute(("n0", "n2", "n3")))
    stage.world.after(4.5, lambda: stage.faults.reroute(("n0", "n1", "n3")))
    stage.run(11.0)
    sent = [item for _, _, item in stage.sent(Container) if isinstance(item, Container)]
    assert {path for item in sent for path in msgspec.json.decode(item.header)["paths"]} == {
        *("v0/1/1", "v0/1/2", "v0/1/3")
    }
    found = [] if stage.share >= 0.99 else [f"{stage.share:.0%} of the requests were served"]
    return found + burned(stage) + stage.end()


def burned(stage: Stage) -> list[str]:
    """What was burned, and why: nothing may be where nothing fails."""
    accounts = {name: site.node.journal.burned.causes for name, site in stage.scenery.sites.items()}
    return [f"{name} burned {dict(causes)}" for name, causes in accounts.items() if any(causes.values())]
