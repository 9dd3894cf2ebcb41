"""Two nodes that share pad and a ready block, and how to see what they share."""

from quiver.domain.messages import Inventory
from quiver.domain.records import Route

from .ground import KIB, ONE_HOP, shared_block, shared_segment
from .small_network import SmallNetwork

EMPTY = Inventory({}, {}, {}, {}, (0, 0, 0))
BLOCK = 1024 * KIB  # more than a source that restarted skips, several times


def two(block: int = BLOCK) -> SmallNetwork:
    """A and D, one hop apart, with link pad and a ready block of so many bytes; they have not spoken yet."""
    kept = {}
    for node, other in (("a", "d"), ("d", "a")):
        segments = [shared_segment(f"{owner}{i}", node, other, owner) for owner in "ad" for i in (0, 1)]
        route = Route(key=ONE_HOP.key, entry=ONE_HOP, next_sequence=1, next_start=block, floor=1)
        kept[node] = [*segments, route, shared_block(ONE_HOP, node, 0, 0, block)]
    return SmallNetwork("ad", [ONE_HOP], kept)


def met(net: SmallNetwork) -> bool:
    return net.node("a").meeting.met("d") and net.node("d").meeting.met("a")


def shared(net: SmallNetwork, name: str) -> tuple[int, int, int]:
    """Segments, ready blocks and waiting batches of a node."""
    node = net.node(name)
    (pads,) = node.context.pads.values()
    roles = node.paths.sources if name == "a" else node.paths.destinations
    return len(pads.segments), len(roles[ONE_HOP.key].blocks), len(node.vault.batches)


def together() -> SmallNetwork:
    """The two have met, and heard each other's numbers."""
    net = two()
    net.settle()
    net.beat(2)
    assert met(net)
    return net


def alarms(net: SmallNetwork, name: str) -> list[str]:
    found = [alarm.name for alarm in net.sites[name].alarms]
    net.sites[name].alarms.clear()
    return found
