"""What a server knows and tells of itself: counts, locks since when, its sessions, its modules, its streams."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from quiver.protocols.netconf import monitoring, notifications
from quiver.protocols.netconf.capabilities import server_capabilities
from quiver.protocols.netconf.locks import Locks, Target
from quiver.protocols.netconf.monitoring import Counters, ServerCounters
from quiver.protocols.netconf.notifications import EventLog
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.session import Session
from quiver.protocols.netconf.xml import LIBRARY, MONITORING, NETMOD, Element, qualified

__all__ = ["About"]


class About:
    """The server's own state.

    Args:
        schema: of its datastores.
        locks: of its datastores.
        log: of its stream.
        sessions: by session-id; the server changes them.
        started: when it began.
    """

    def __init__(
        self, schema: Schema, locks: Locks, log: EventLog, sessions: Mapping[int, Session], started: datetime
    ) -> None:
        self.capabilities: Final = server_capabilities(schema.modules)
        self.counters: Final = ServerCounters()
        self._schema: Final = schema
        self._locks: Final = locks
        self._log: Final = log
        self._sessions: Final = sessions
        self._started: Final = started
        self._locked: Final[dict[Target, datetime]] = {}

    def both(self, session: Session) -> tuple[Counters, Counters]:
        """Where something that a session did is counted."""
        return self.counters, session.facts.counters

    def note_locks(self, now: datetime) -> None:
        """Remember since when a datastore is locked; to be called after locks may have changed."""
        for target in Target:
            if self._locks.holder(target) is None:
                self._locked.pop(target, None)
            else:
                self._locked.setdefault(target, now)

    def state(self, wanted: Callable[[str], bool]) -> Iterator[Element]:
        """The top-level nodes that are asked for.

        Args:
            wanted: whether a node, by its name in Clark's notation, is.
        """
        modules = self._schema.modules
        if wanted(qualified(MONITORING, "netconf-state")):
            facts = [session.facts for session in self._sessions.values()]
            yield monitoring.netconf_state(
                modules, self.capabilities, self._locks, self._locked, facts, self.counters, self._started
            )
        if wanted(qualified(LIBRARY, "yang-library")):
            yield monitoring.library(modules)
        if wanted(qualified(LIBRARY, "modules-state")):
            yield monitoring.modules_state(modules)
        if wanted(qualified(NETMOD, "netconf")):
            yield notifications.streams(self._log)
