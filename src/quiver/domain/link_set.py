"""The QKD links that end at a node: pad, collector, states of link and device of each. Links come and go while the node runs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from quiver.domain.collector import Collector, DeviceFetch, DeviceGet, QkdKey
from quiver.domain.context import Context
from quiver.domain.device_watch import DeviceFacts, Devices
from quiver.domain.links import Links
from quiver.domain.network import LinkEntry
from quiver.domain.pads import LinkPads
from quiver.domain.records import Seen, Segment

__all__ = ["LinkSet"]

REMOVED: Final = "link-removed"  # the cause under which pad is burned that no link has any more


class LinkSet:
    """All links of one node.

    Args:
        context: the node; its `pads` are kept up to date here.
        segments: the durable pad segments.
        seen: the durable fingerprints.
        changed: called with the neighbour after the state of a link to it has changed.
    """

    def __init__(
        self, context: Context, segments: Iterable[Segment], seen: Iterable[Seen], changed: Callable[[str], None]
    ) -> None:
        self._context: Final = context
        entries, journal = context.network.links, context.journal
        self.links: Final = Links(entries, journal, context.clock, changed)
        self.devices: Final = Devices(entries, journal)
        held: dict[str, list[Segment]] = {neighbour: [] for neighbour in context.network.neighbours}
        for segment in segments:
            held.setdefault(segment.neighbour, []).append(segment)
        for neighbour, kept in held.items():
            context.pads[neighbour] = LinkPads(context.node, neighbour, kept, journal)
        known: dict[str, list[Seen]] = {entry.id: [] for entry in entries}
        for record in seen:
            if record.link in known:
                known[record.link].append(record)
            else:  # the link went while the agent was down
                journal.delete(record, lazy=True)
        self.collectors: Final = {entry.id: Collector(context, entry, known[entry.id]) for entry in entries}
        self._part_with(set(held) - set(context.network.neighbours))

    def configure(self, entries: Iterable[LinkEntry]) -> None:
        """Take up links that are new or changed, and let go of those that are gone. No path may pass over those any more.

        Pad of a link that is gone is used up over another link to the same neighbour; where there is none, it is burned.
        """
        wanted = {entry.id: entry for entry in entries}
        for link, collector in list(self.collectors.items()):
            if link not in wanted or wanted[link].neighbour != collector.link.neighbour:
                collector.close(REMOVED)
                del self.collectors[link]
        self._part_with(set(self._context.pads) - {entry.neighbour for entry in wanted.values()})
        for link, entry in wanted.items():
            if entry.neighbour not in self._context.pads:
                pads = LinkPads(self._context.node, entry.neighbour, (), self._context.journal)
                self._context.pads[entry.neighbour] = pads
            if link in self.collectors:
                self.collectors[link].link = entry
            else:
                self.collectors[link] = Collector(self._context, entry, ())
        self.links.configure(wanted.values())
        self.devices.configure(wanted.values())

    def _part_with(self, neighbours: Iterable[str]) -> None:
        """No link leads to these nodes any more: burn what is shared with them."""
        for neighbour in sorted(neighbours):
            pads = self._context.pads[neighbour]
            for segment in list(pads.segments):
                pads.burn(segment, REMOVED)
            self._context.outbox.forget_links(neighbour)
            del self._context.pads[neighbour]

    # --- devices --------------------------------------------------------------------------------------------------

    def calls(self) -> list[DeviceGet | DeviceFetch]:
        """What to ask of this node's devices now. Each call is answered by `got` or `fetched`, or its failure."""
        return [call for collector in self.collectors.values() for call in collector.calls()]

    def facts(self, link: str, facts: DeviceFacts) -> None:
        """*Get status* of a link's device has been read. Of a link that is gone nothing is heard any more; likewise below."""
        if link in self.collectors:
            self.collectors[link].facts = facts
            self.devices.told(link, facts)

    def got(self, link: str, keys: Sequence[QkdKey]) -> None:
        """*Get key* was answered."""
        if link in self.collectors:
            (self.devices.gave if keys else self.devices.refused)(link)
            self.collectors[link].got(keys)

    def refused(self, link: str, silence: str = "") -> None:
        """*Get key* was refused, or brought no answer that can be used: `silence` is the class of that failure then."""
        if link in self.collectors:
            self._failed(link, silence)
            self.collectors[link].refused()

    def _failed(self, link: str, silence: str) -> None:
        if silence:
            self.devices.silent(link, silence)
        else:
            self.devices.refused(link)

    def fetched(self, call: DeviceFetch, keys: Sequence[QkdKey]) -> None:
        """*Get key with key IDs* was answered."""
        if call.link in self.collectors:
            self.devices.gave(call.link)
            self.collectors[call.link].fetched(call.segment, keys)

    def fetch_failed(self, call: DeviceFetch, *, again: bool, silence: str = "") -> None:
        """*Get key with key IDs* was refused; `again` where the keys may only be late. `silence` as in `refused`."""
        if call.link in self.collectors:
            if silence:
                self.devices.silent(call.link, silence)
            self.collectors[call.link].fetch_failed(call.segment, again=again)

    def silent(self, link: str, silence: str) -> None:
        """*Get status* brought no answer that can be used."""
        if link in self.collectors:
            self.devices.silent(link, silence)
