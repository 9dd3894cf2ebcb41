"""Rule 10: the tables of a node, how large they are, and how large they may be."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from quiver.domain import limits
from quiver.domain.node import Node

from .scenery import Scenery

Sizes = Callable[[Node], Iterable[int]]

SIZES: Final[dict[str, Sizes]] = {
    "waiting requests": lambda node: [len(node.delivery.requests)],
    "containers to a node": lambda node: Counter(s.destination for s in node.delivery._sent.values()).values(),
    "batches": lambda node: [len(node.vault.batches)],
    "batches from a node": lambda node: node.vault._held.values(),
    "outbox": lambda node: [len(node.outbox)],
    "segments of a link": lambda node: [len(pads.segments) for pads in node.context.pads.values()],
    "holes of a segment": lambda node: [
        len(segment.accepted) for pads in node.context.pads.values() for segment in pads.segments.values()
    ],
    "fingerprints of a link": lambda node: [len(one._fingerprints) for one in node.ends.collectors.values()],
    "open sequences": lambda node: [source.open for source in node.paths.sources.values()],
    "blocks at a source": lambda node: [len(source.blocks) for source in node.paths.sources.values()],
    "blocks at a destination": lambda node: [len(one.blocks) for one in node.paths.destinations.values()],
    "relayed sequences": lambda node: [len(relay.sequences) for relay in node.paths.relays.values()],
    "parts": lambda node: [len(destination.parts) for destination in node.paths.destinations.values()],
    "retired versions of a path": lambda node: Counter(
        (entry.virtual_link, entry.path) for key, entry in node.context.entries.items() if node.paths.retired(key)
    ).values(),
    "routes that are gone": lambda node: [len(node.paths._routes.keys() - node.context.entries.keys())],
    "voided containers of a node": lambda node: [len(peer.voided) for peer in node.meeting.peers.values()],
    "former incarnations": lambda node: [
        len(node.meeting._own.former),
        *(len(peer.retired) for peer in node.meeting.peers.values()),
    ],
    "former runs": lambda node: [len(state.gone) for state in node.meeting._states.values()],
    "events": lambda node: [len(node.journal.events._kept)],
}

# As they are written, whatever a test makes of them.
MOST: Final[dict[str, int]] = {
    "waiting requests": limits.WAITING_REQUESTS,
    "containers to a node": limits.CONTAINERS_OPEN,
    "batches": limits.UNFETCHED_BATCHES,
    "batches from a node": limits.UNFETCHED_PER_SOURCE,
    "outbox": getattr(limits, "OUTBOX", 4096),
    "segments of a link": limits.SEGMENTS_PER_LINK,
    "holes of a segment": limits.ACCEPTED_HOLES,
    "fingerprints of a link": limits.SEEN_PER_LINK,
    "open sequences": limits.WINDOW,
    "blocks at a source": limits.DEPTH_MAX // limits.BLOCK_MIN,
    "blocks at a destination": limits.BLOCKS_PER_PATH,
    "relayed sequences": limits.WINDOW,
    "parts": limits.WINDOW,
    "retired versions of a path": limits.RETIRED_VERSIONS,
    "routes that are gone": limits.ROUTES_KEPT,
    "voided containers of a node": limits.CONTAINERS_OPEN,
    "former incarnations": limits.FORMER_INCARNATIONS,
    "former runs": limits.FORMER_RUNS,
    "events": limits.EVENTS_KEPT,
}


def tables_are_bounded(scenery: Scenery) -> list[str]:
    """No table of a running node is above its limit, and none knows more nodes than there are."""
    found = []
    for name, site in scenery.sites.items():
        if not site.up:
            continue
        sizes = {what: max(measured(site.node), default=0) for what, measured in SIZES.items()}
        found += [f"{name}: {what}: {size} of {MOST[what]}" for what, size in sizes.items() if size > MOST[what]]
        meeting = site.node.meeting
        strangers = (meeting.peers.keys() | meeting._states.keys()) - scenery.sites.keys()
        found += [f"{name}: it keeps something of {stranger}, which is no node" for stranger in sorted(strangers)]
    return found
