"""The report of one node, made from its parts as they are now."""

from collections.abc import Iterator

from quiver.domain.node import Node
from quiver.domain.provision import Provision
from quiver.domain.records import PartState
from quiver.domain.report import LinkReport, NodeReport, PadReport, PathMark, PathReport, PathRole

__all__ = ["report"]


def report(node: Node, provision: Provision | None = None) -> NodeReport:
    """What a node tells its controller and its operators; names, amounts and states, never a key (rule 4).

    Args:
        node: to be looked at between two of its turns.
        provision: the part of its configuration that came over NETCONF; None for none.
    """
    written = provision or Provision()
    directory, requests = node.network.directory, node.delivery.requests
    return NodeReport(
        node=node.network.node,
        run=node.run,
        sequence=node.journal.events.sequence,
        term=written.term,
        links=tuple(_links(node)),
        pads=tuple(_pads(node)),
        paths=tuple(_paths(node)),
        configured=tuple(written.paths.values()),
        marks=tuple(_marks(node)),
        addresses=dict(written.addresses),
        homes=dict(directory.homes),
        pairs=tuple(sorted((min(pair), max(pair)) for pair in directory.pairs)),
        burned=dict(node.journal.burned.causes),
        alarms=dict(node.journal.alarmed),
        served=requests.served,
        refused=requests.refused,
        delivered=requests.delivered,
        waiting=len(requests),
    )


def _links(node: Node) -> Iterator[LinkReport]:
    for link, collector in node.ends.collectors.items():
        pads, device = node.context.pads[collector.link.neighbour], node.ends.devices[link]
        yield LinkReport(
            id=link,
            neighbour=collector.link.neighbour,
            state=node.ends.links.state(link),
            device=device.state,
            qber=device.qber,
            alarmed=device.alarmed,
            collected=pads.collected.get(link, 0) - pads.checked.get(link, 0),
            refusals=collector.refusals,
            own=pads.owned_of(link),
            theirs=pads.theirs_of(link),
            level=collector.link.level,
        )


def _pads(node: Node) -> Iterator[PadReport]:
    for neighbour, pads in node.context.pads.items():
        yield PadReport(
            neighbour=neighbour,
            own=pads.owned,
            theirs=pads.theirs,
            level=node.network.level(neighbour),
            allocated=pads.allocated,
            accepted=pads.accepted,
        )


def _paths(node: Node) -> Iterator[PathReport]:
    paths = node.paths
    for key, source in paths.sources.items():
        yield PathReport(
            key=key,
            digest=source.entry.digest,
            role=PathRole.SOURCE,
            retiring=source.standing.retiring,
            credit=source.credit,
            ready=source.ready,
            coming=source.coming,
            taken=source.taken,
            open=source.open,
            primed=source.primed,
        )
    for key, relay in paths.relays.items():
        yield PathReport(
            key=key,
            digest=relay.entry.digest,
            role=PathRole.RELAY,
            retiring=paths.retired(key),
            open=relay.open,
        )
    for key, destination in paths.destinations.items():
        yield PathReport(
            key=key,
            digest=destination.entry.digest,
            role=PathRole.DESTINATION,
            retiring=paths.retired(key),
            open=sum(part.state is PartState.OPEN for part in destination.parts.values()),
        )


def _marks(node: Node) -> Iterator[PathMark]:
    """The highest version of each path: those that are gone count as long as their marks are kept."""
    highest: dict[tuple[str, int], int] = {}
    for entry in node.paths.known:
        path = entry.virtual_link, entry.path
        highest[path] = max(entry.version, highest.get(path, 0))
    for (virtual_link, number), version in highest.items():
        yield PathMark(virtual_link=virtual_link, path=number, version=version)
