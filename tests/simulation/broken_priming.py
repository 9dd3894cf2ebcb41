"""Rules of collecting and priming broken on purpose, as those in `broken`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from quiver.agent.driver import Driver
from quiver.domain import limits
from quiver.domain.meeting import Meeting
from quiver.domain.messages import Announcement
from quiver.domain.pads import LinkPads
from quiver.domain.paths import Paths
from quiver.domain.records import Relayed, RelayedState


@contextmanager
def no_gifts() -> Iterator[None]:
    """Section 3, Collect: no segment is ever given to the end that needs it."""
    with mock.patch.object(LinkPads, "untouched", return_value=None):
        yield


@contextmanager
def relay_waits() -> Iterator[None]:
    """Section 3, Prime 2: a relay answers an announcement when the next node has answered its own."""
    receive, effects = Driver.receive, Driver.effects
    held: list[tuple[Driver, list[Relayed], Callable[[], None]]] = []

    def receiving(self: Driver, sender, kind, header, items, respond) -> None:
        def answer(*given) -> None:
            relays = self.node.paths.relays
            known = [relays[item.key].sequences.get(item.sequence) for item in items if item.key in relays]
            held.append((self, [record for record in known if record is not None], lambda: respond(*given)))

        receive(self, sender, kind, header, items, answer if kind == Announcement.kind else respond)

    def later(self: Driver) -> Iterator[Callable[[], None]]:
        yield from effects(self)
        for one in [one for one in held if one[0] is self]:
            if all(record.state is not RelayedState.ANNOUNCING for record in one[1]):
                held.remove(one)
                yield one[2]

    with mock.patch.multiple(Driver, receive=receiving, effects=later):
        yield


@contextmanager
def no_grace() -> Iterator[None]:
    """Section 3, Prime 4: when a path has a new version what is open on the old one is voided."""
    with mock.patch.object(limits, "VOID_GRACE", 0.0):
        yield


@contextmanager
def blocks_end_with_versions() -> Iterator[None]:
    """Section 3, Prime 4: ready blocks are burned when their version leaves the configuration."""
    retire = Paths._retire

    def burning(self: Paths, key: str) -> None:
        for role in (self.sources.get(key), self.destinations.get(key)):
            if role is not None:
                role.burn_all("retired")
        retire(self, key)

    with mock.patch.object(Paths, "_retire", new=burning):
        yield


@contextmanager
def strangers_kept() -> Iterator[None]:
    """Rule 10: each meeting leaves something behind."""
    begin = Meeting.begin

    def leaking(self: Meeting, peer: str) -> None:
        self._state(f"{peer}, once more")
        begin(self, peer)

    with mock.patch.object(Meeting, "begin", new=leaking):
        yield
