"""Demands on the fly: a permitted pair of SAEs asks for keys, and there is no virtual link between their nodes.

An agent's word alone brings none: the homes and the pair must stand in the policy of both ends' agents, as they have told it.
Else one agent could make the whole network set pad aside. Each node has a bounded number of them, made or
waiting. What an end's last report does
not say yet is looked for in its next one, as the operator may have permitted the pair a moment ago.
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.events import NewApplication
from quiver.domain.report import PathRole
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand, on_the_fly

__all__ = ["Applications"]

Ends = tuple[str, str]


class Applications:
    """Which applications may have virtual links, and whether they use them.

    Args:
        core: demands, and what is known of agents.
    """

    def __init__(self, core: Core) -> None:
        self._core: Final = core
        self._waiting: Final[dict[str, dict[NewApplication, float]]] = {}  # node → its events → since when
        self._taken: Final[dict[str, int]] = {}  # virtual link → bytes that keys took of it, as told last

    def asked(self, node: str, event: NewApplication, now: float) -> list[Demand]:
        """An agent tells of an application: the demands that it needs now, one for each direction that lacks one."""
        ends = (node, event.destination)
        if node == event.destination or not all(self._core.belongs(end) for end in ends):
            return []
        waiting = self._waiting.setdefault(node, {})
        if self._permitted(ends, event):
            waiting.pop(event, None)  # else it would be served again, whoever has given it up meanwhile
            return self._lacking(ends, now)
        self._drop_late(now)
        if event not in waiting and len(waiting) < limits.APPLICATIONS_WAITING:
            waiting[event] = now
            for end in ends:
                self._core.sessions[end].want_read(now)
        return []

    def _drop_late(self, now: float) -> None:
        for waiting in self._waiting.values():
            for late in [event for event, since in waiting.items() if now - since > limits.ORDER_TIME]:
                del waiting[late]

    def reported(self, node: str, now: float) -> list[Demand]:
        """An agent has reported: the demands of applications that waited for it."""
        self._drop_late(now)
        found = []
        for source, waiting in self._waiting.items():
            for event, since in list(waiting.items()):
                ends = (source, event.destination)
                if node not in ends:
                    continue
                if self._permitted(ends, event):
                    found += self._lacking(ends, now)
                    del waiting[event]
                elif all((self._core.knowledge.view(end).heard_at or 0.0) > since for end in ends):
                    del waiting[event]  # both have spoken
        return found

    def _permitted(self, ends: Ends, event: NewApplication) -> bool:
        pair = (min(event.master, event.slave), max(event.master, event.slave))
        for end in ends:
            view = self._core.knowledge.view(end)
            told = view.report if not view.distrust else None
            if told is None or pair not in told.pairs:
                return False
            if (told.homes.get(event.master), told.homes.get(event.slave)) != ends:
                return False
        return True

    def _lacking(self, ends: Ends, now: float) -> list[Demand]:
        demands = self._core.demands
        missing = [pair for pair in (ends, ends[::-1]) if not demands.between(*pair)]
        for source, destination in (ends, ends[::-1]):
            demands.used(f"auto:{source}:{destination}", now)
        try:
            wanted = [on_the_fly(source, destination) for source, destination in missing]
        except ConfigurationError:  # their names are too long for one name
            return []
        full = next((end for end in ends if not demands.room_for(end)), "") if wanted else ""
        if full:
            reason = f"no room: {full} has as many demands on the fly as one node may have, or the network has"
            self._core.voices.say(ends[0], "application-refused", now, demand=wanted[0].name, reason=reason)
        return [] if full else wanted

    def watch(self, node: str, now: float) -> None:
        """A source has reported: keys have taken more of a virtual link whenever somebody uses it."""
        taken: dict[str, int] = {}
        for report in self._core.knowledge.view(node).paths.values():
            if report.role is PathRole.SOURCE:
                name = report.key.rsplit("/", 2)[0]
                taken[name] = taken.get(name, 0) + report.taken
        for name, amount in taken.items():
            if self._core.demands.get(name) is None:
                continue
            before, self._taken[name] = self._taken.get(name, -1), amount  # it falls with each version that goes
            if amount > before:
                self._core.demands.used(name, now)

    def forget(self, name: str) -> None:
        """A virtual link is not asked for any more."""
        self._taken.pop(name, None)
