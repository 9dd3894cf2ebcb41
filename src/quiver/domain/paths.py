"""All path versions that pass a node, each in the node's role on it: source, relay or destination.

Here the node's pad is divided among its paths, credit goes upstream, buffers are filled ahead of demand, and versions that are
no longer configured live on until their ready blocks are used up.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.credit import Claim, divide
from quiver.domain.destination import Destination
from quiver.domain.errors import ConfigurationError
from quiver.domain.event_log import Gauge
from quiver.domain.events import PadHigh, PadLow
from quiver.domain.messages import Credit, Floor
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Part, Record, Relayed, Route
from quiver.domain.relay import Relay
from quiver.domain.source import Source

__all__ = ["Paths"]


class Paths:
    """The roles of one node.

    Args:
        context: the node; its `entries` are kept up to date here.
        records: its durable records of all kinds; those of other kinds are passed over.

    Raises:
        ConfigurationError: a path version is configured otherwise than the records know it.
    """

    def __init__(self, context: Context, records: Iterable[Record]) -> None:
        self._context: Final = context
        self.sources: Final[dict[str, Source]] = {}
        self._versions: Final[dict[tuple[str, int], dict[str, Source]]] = {}  # of each path, those that start here
        self.relays: Final[dict[str, Relay]] = {}
        self.destinations: Final[dict[str, Destination]] = {}
        self._routes: Final[dict[str, Route]] = {}
        self._retired: Final[set[str]] = set()
        self._granted: Final[dict[str, int]] = {}  # path version → limit sent last
        self._counter = 0
        self._divided_at = float("-inf")
        self._divided_for = -1  # the journal's changes then
        self._stirred = True
        self._urgent = False
        self._paced = False  # credit grows with time alone
        self.wanted: Final[dict[str, int]] = {}  # neighbour → bytes of pad that own claims lack
        self.spare: Final[dict[str, int]] = {}  # neighbour → bytes of own pad that no claim needs
        self._gauges: Final[dict[str, Gauge]] = {}  # neighbour → whether own pad is low
        kept: Final[dict[str, list[Record]]] = {}
        for record in records:
            if isinstance(record, Route):
                self._routes[record.key] = record
            elif isinstance(record, Relayed | Part | Block):
                kept.setdefault(record.key, []).append(record)
        for route in list(self._routes.values()):
            self._open(route.entry, kept.get(route.key, ()))
        self.configure(context.network.paths)

    # --- configuration --------------------------------------------------------------------------------------------

    def check(self, wanted: Iterable[PathEntry]) -> dict[str, PathEntry]:
        """Path versions by key, if they could be taken up.

        Raises:
            ConfigurationError: a version's number was used before for another route.
        """
        entries = {entry.key: entry for entry in wanted}
        for key, entry in entries.items():
            if key in self._routes and self._routes[key].entry.digest != entry.digest:
                message = f"path {key}: known with other nodes or figures; a change needs a new version number"
                raise ConfigurationError(message)
        return entries

    def configure(self, wanted: Iterable[PathEntry]) -> None:
        """Take up new path versions; let go of those that are no longer wanted, as far as their open sequences allow.

        Raises:
            ConfigurationError: a version's number was used before for another route; nothing was changed.
        """
        entries = self.check(wanted)
        for key in [key for key in self._context.entries if key not in entries]:
            self._retire(key)
        for key, entry in entries.items():
            self._retired.discard(key)
            if key in self.sources:
                self.sources[key].standing.retiring = False
            if key not in self._context.entries:
                self._context.journal.put(self._routes.setdefault(key, Route(key=key, entry=entry)), lazy=True)
                self._open(entry, ())
        self._drop_finished()
        self.stir()

    def _open(self, entry: PathEntry, kept: Iterable[Record]) -> None:
        route, key, records = self._routes[entry.key], entry.key, list(kept)
        blocks = [record for record in records if isinstance(record, Block)]
        self._context.entries[key] = entry
        if entry.source == self._context.node:
            self.sources[key] = Source(self._context, entry, route, blocks)
            self._versions.setdefault(_path_of(entry), {})[key] = self.sources[key]
        elif entry.destination == self._context.node:
            parts = [record for record in records if isinstance(record, Part)]
            self.destinations[key] = Destination(self._context, entry, route, parts, blocks)
        else:
            relayed = [record for record in records if isinstance(record, Relayed)]
            self.relays[key] = Relay(self._context, entry, route, relayed)

    def _retire(self, key: str) -> None:
        if key in self._retired:
            return
        self._retired.add(key)
        if key in self.sources:
            self.sources[key].standing.retiring = True
        elif key in self.relays:
            self.relays[key].void_all()
        else:
            self.destinations[key].void_all()

    def _drop_finished(self) -> None:
        """Forget versions of which nothing is left, and burn the oldest where a path has too many."""
        for key in sorted(self._retired):
            if key in self.sources:
                finished = self.sources[key].finished
            elif key in self.relays:
                finished = not self.relays[key].open
            else:
                finished = not self.destinations[key].blocks
            if finished:
                self._forget(key)
        versions: dict[tuple[str, int], list[PathEntry]] = {}
        for key in sorted(self._retired):
            entry = self._context.entries[key]
            versions.setdefault((entry.virtual_link, entry.path), []).append(entry)
        for entries in versions.values():
            for entry in sorted(entries, key=lambda entry: entry.version)[: -limits.RETIRED_VERSIONS]:
                self._burn(entry.key)
                self._forget(entry.key)

    def _burn(self, key: str) -> None:
        if key in self.sources:
            self.sources[key].burn_all("retired")
        elif key in self.relays:
            self.relays[key].burn_all("retired")
        else:
            self.destinations[key].burn_all("retired")

    def _forget(self, key: str) -> None:
        self._retired.discard(key)
        if key in self.destinations:
            self.destinations[key].burn_all("retired")
        elif key in self.relays:
            self.relays[key].burn_all("retired")
        for roles in (self.sources, self.relays, self.destinations):
            roles.pop(key, None)
        versions = self._versions.get(path := _path_of(self._context.entries[key]), {})
        if versions.pop(key, None) is not None and not versions:
            del self._versions[path]
        entry = self._context.entries.pop(key)
        self._granted.pop(key, None)
        for (
            node
        ) in entry.nodes:  # news of it is of no use when they meet one day; those who are met hear its last marks
            for kind in (Floor.kind, Credit.kind) if not self._context.met(node) else ():
                self._context.outbox.cancel(node, kind, key)
        # The marks stay: should the version come back, its numbers go on. Only very many drive out the oldest.
        gone = [known for known in self._routes if known not in self._context.entries]
        for known in gone[: -limits.ROUTES_KEPT]:
            self._context.journal.delete(self._routes.pop(known), lazy=True)

    def unlink(self, neighbours: Collection[str]) -> None:
        """No link leads to these nodes any more: retired versions give up what is open over them. Ready blocks stay."""
        for source in self.sources.values():
            if source.after in neighbours:
                source.void_all("link-removed")
        for neighbour in neighbours:
            for table in (self.wanted, self.spare, self._gauges):
                table.pop(neighbour, None)

    def retired(self, key: str) -> bool:
        """Whether a version is no longer configured."""
        return key in self._retired

    @property
    def known(self) -> list[PathEntry]:
        """All versions of which marks are kept, those that are gone included."""
        return [route.entry for route in self._routes.values()]

    def contacts(self) -> set[str]:
        """Nodes, beside the neighbours, with which this node exchanges messages of its paths."""
        found: set[str] = set()
        for source in self.sources.values():
            found.add(source.entry.destination)
        for relay in self.relays.values():
            found.add(relay.entry.destination)
        for destination in self.destinations.values():
            found.update((destination.entry.source, *destination.entry.relays))
        return found

    def addressees(self) -> set[str]:
        """To whom this node has to get through for its paths, beside the neighbours; nothing passes those where it does not."""
        ahead: list[Source | Relay] = [*self.sources.values(), *self.relays.values()]
        return {role.entry.destination for role in ahead} | {back.entry.source for back in self.destinations.values()}

    # --- whether paths are whole ----------------------------------------------------------------------------------

    def stir(self) -> None:
        """Something has changed that those before have to hear at once: a link, what is met, credit that came or went."""
        self._urgent = True

    def met(self, peer: str) -> None:
        """A node was met: credit may flow. It is told all of its own again, others only what changes by it."""
        for key in [key for key in self._granted if key in self._context.entries]:
            if self._context.entries[key].before(self._context.node) == peer:
                del self._granted[key]
        self.stir()

    def review(self) -> None:
        """Notice which versions are to be used now; called in each step, before pad is taken."""
        for source in self.sources.values():
            source.standing.superseded = any(
                other.entry.version > source.entry.version and other.credit and not other.standing.retiring
                for other in self._versions[_path_of(source.entry)].values()
            )
        for source in self.sources.values():
            source.review()

    # --- buffers --------------------------------------------------------------------------------------------------

    def _missing(self, source: Source) -> int:
        """Bytes that the path's buffer lacks, all its versions counted."""
        entry = source.entry
        of_path = self._versions[_path_of(entry)].values()
        there = sum(other.ready + other.coming * other.standing.live for other in of_path)
        return max(0, entry.depth - there)

    def fill(self) -> None:
        """Begin sequences for buffers that are not full: the lowest use of pad."""
        for source in self.sources.values():
            if not source.entry.depth or not source.standing.live:
                continue
            while length := self._next_block(source):
                if not source.prime(length, limits.BLOCK_MIN):
                    break

    def _next_block(self, source: Source) -> int:
        """Bytes of the next block for a buffer; 0 where it lacks too little to begin one.

        A version that has proved nothing yet begins at once, with whatever is missing and at least the smallest block: that it
        works is known before its keys are needed.
        """
        block, missing = max(limits.BLOCK_MIN, min(limits.BLOCK_MAX, source.entry.depth // 4)), self._missing(source)
        if not source.primed and not source.open:
            return min(block, max(missing, limits.BLOCK_MIN))
        return block if missing >= block // 2 else 0

    # --- credit ---------------------------------------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When pad is to be divided again, or a version to be reviewed; None where nothing has happened."""
        moments = [due for source in self.sources.values() if (due := source.due) is not None]
        if self._stirred:
            moments.append(self._divided_at + limits.CREDIT_PAUSE)
        elif self._paced:
            moments.append(self._divided_at + limits.CREDIT_LOOK)
        return min(moments, default=None)

    def grant(self, *, repeat: bool) -> None:
        """Divide the pad among the paths and send credit that has changed upstream; `repeat` sends all.

        At most once in `CREDIT_PAUSE`, unless it repeats or `stir` has said that it cannot wait; and where neither a record nor
        credit held has changed, at most once in `CREDIT_LOOK`: promises end and rates go on with time alone. Only for rates is it
        called by then at the latest; what promises have bound can wait for the next heartbeat.
        """
        now, changes = self._context.clock.now(), self._context.journal.changes
        if not (repeat or self._urgent):
            self._stirred = self._stirred or changes != self._divided_for
            if now < self._divided_at + (limits.CREDIT_PAUSE if self._stirred else limits.CREDIT_LOOK):
                return
        self._divided_at, self._divided_for, self._stirred, self._urgent = now, changes, False, False
        fair, extra = self._divide()
        for key, destination in self.destinations.items():
            if key not in self._retired:
                limit = destination.limit()
                if repeat or self._matters(destination, limit):
                    self._tell(destination.entry, limit)
        for key, relay in self.relays.items():
            if key not in self._retired:
                limit = relay.limit(fair.get(key, 0), extra.get(key, 0))
                if repeat or self._matters(relay, limit):
                    self._tell(relay.entry, limit)
                    relay.promise(limit)
        roles: list[Destination | Relay] = [*self.destinations.values(), *self.relays.values()]
        self._paced = any(role.paced for role in roles if role.entry.rate)

    def credit(self, run: str, item: Credit) -> None:
        """The node after this one grants credit to a version that has its source here, or passes."""
        role = self.sources.get(item.key) or self.relays[item.key]
        held = role.held
        if role.grant(run, item):
            self.stir()
        self._stirred = self._stirred or role.held != held

    def _divide(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Each path's fair share of the pad towards its next node, and what it may have beyond what is set aside for it.

        What was promised to one path is not given to another before the promise has ended; a path that was promised more than
        its share is told its share, and the rest is free a few seconds later. A path that comes does not wait for that: a part
        of all pad is kept for those that were promised nothing yet.
        """
        claims: dict[str, list[Claim]] = {}
        for source in self.sources.values():
            claims.setdefault(source.after, []).append(source.claim(self._missing(source)))
        busy = {key: relay for key, relay in self.relays.items() if not relay.idle}
        for relay in busy.values():
            claims.setdefault(relay.after, []).append(relay.claim())
        bound = {key: relay.set_aside for key, relay in busy.items()}
        fair: dict[str, int] = {}
        extra: dict[str, int] = {}
        for neighbour, pads in self._context.pads.items():
            own, owned = claims.get(neighbour, []), pads.owned
            needed = sum(claim.need for claim in own)
            self.wanted[neighbour] = max(0, needed - owned)
            self.spare[neighbour] = max(0, owned - needed)
            self._watch_level(neighbour, owned)
            if not own:  # as towards most neighbours of most nodes
                continue
            held = sum(bound.get(claim.key, 0) for claim in own)
            if not held:
                shares = divide(owned, own)
                fair.update(shares)
                extra.update(shares)
                continue
            kept = owned // limits.PAD_FOR_NEW
            fair.update(divide(owned - kept, own))
            shares = divide(max(0, owned - kept - held), [_beyond(claim, bound.get(claim.key, 0)) for claim in own])
            extra.update(shares)
            new = [_beyond(claim, shares[claim.key]) for claim in own if not bound.get(claim.key)]
            for key, more in divide(min(kept, max(0, owned - held)) // limits.PAD_NEW_AT_ONCE, new).items():
                extra[key] += more
        for key, source in self.sources.items():
            source.share = extra.get(key, 0)
        return fair, extra

    def _watch_level(self, neighbour: str, own: int) -> None:
        level = self._context.network.level(neighbour)
        gauge = self._gauges.setdefault(neighbour, Gauge())
        if gauge.turned(own, level / limits.PAD_LOW, level / limits.PAD_HIGH):
            event = PadLow if gauge.low else PadHigh
            self._context.journal.events.note(event(neighbour=neighbour, own=own, level=level))

    def _matters(self, role: Relay | Destination, limit: int) -> bool:
        """Whether a limit is worth a message before the next repeat: it ends or begins credit, or changes a good part of it.

        Each message makes the nodes before send one as well: what only creeps, as other paths' promises end, can wait.
        """
        told = self._granted.get(role.entry.key)
        if told == limit:
            return False
        _, top = role.seen
        if told is None or (told > top) != (limit > top):
            return True
        return limits.CREDIT_STEPS * abs(limit - told) >= min(limit, told) - top

    def _tell(self, entry: PathEntry, limit: int) -> None:
        self._counter += 1
        self._granted[entry.key] = limit
        credit = Credit(key=entry.key, digest=entry.digest, limit=limit, counter=self._counter)
        self._context.outbox.tell(entry.before(self._context.node), entry.key, credit)

    # --- time -----------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Once each second: repeat credit and floors, give up what is late, forget what is finished."""
        for source in self.sources.values():
            source.expire()
            source.tell_floor()
        for destination in self.destinations.values():
            destination.expire()
        self.grant(repeat=True)
        self._drop_finished()


def _beyond(claim: Claim, bound: int) -> Claim:
    """The claim without what is set aside for it already."""
    return msgspec.structs.replace(claim, need=max(0, claim.need - bound), urgent=max(0, claim.urgent - bound))


def _path_of(entry: PathEntry) -> tuple[str, int]:
    """The path of a version."""
    return entry.virtual_link, entry.path
