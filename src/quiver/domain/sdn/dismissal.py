"""Dismissal: how a node leaves the network without taking keys with it, and without leaving anything behind.

It is drained first, so that paths move off it while it still carries them. What has not moved after `limits.DISMISS_TIME`, or
begins or ends there, is let go like any version, source first. The node is forgotten when its agent holds nothing any more; one
that cannot be reached, after as long again. What such an agent holds by then, only its own operator can remove.

Its address goes from all other agents, from those that are away now when they return: the node's name is remembered until none
of them holds it, by a controller that was started again as well.
"""

from typing import Final

from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.records import Drained, Former, Member, What
from quiver.domain.sdn.sessions import Stage
from quiver.domain.sdn.steering import Steering

__all__ = ["Dismissal"]


class Dismissal:
    """The nodes that leave.

    Args:
        core: what is known; its memory says who leaves, so that a controller that comes goes on with it.
        provisioning: removes entries.
        steering: moves paths off them.
    """

    def __init__(self, core: Core, provisioning: Provisioning, steering: Steering) -> None:
        self._core: Final = core
        self._provisioning: Final = provisioning
        self._steering: Final = steering
        self._swept_at = core.now()
        self._since: Final = {node: core.now() for node, member in core.memory.members.items() if member.leaving}

    @property
    def leaving(self) -> list[str]:
        """Who leaves, and is not gone yet."""
        return list(self._since)

    def begin(self, member: Member) -> None:
        """A node is to leave; nothing changes for one that does already."""
        if member.leaving:
            return
        memory = self._core.memory
        memory.members[member.node] = replace(member, leaving=True)
        memory.put(memory.members[member.node])
        memory.drained.add((What.NODE, member.node))
        memory.put(Drained(what=What.NODE, name=member.node))
        self._since[member.node] = self._core.now()
        self._core.stale = True

    def withdraw(self, node: str) -> None:
        """A node stays after all: paths may pass it again."""
        if self._since.pop(node, None) is not None:
            self._undrain(node)

    def _undrain(self, node: str) -> None:
        self._core.memory.drained.discard((What.NODE, node))
        self._core.memory.delete(Drained(what=What.NODE, name=node))
        self._provisioning.emptied.discard(node)
        self._core.stale = True

    def step(self, now: float) -> None:
        """Take every node that leaves as far as time and its agent allow."""
        self._sweep(now)
        for node, since in list(self._since.items()):
            over = now >= since + limits.DISMISS_TIME
            versions = self._core.versions.at(node)
            for version in versions:
                if version.wanted and (over or node in (version.entry.source, version.entry.destination)):
                    self._steering.abandon(version, now)
            if over and node not in self._provisioning.emptied:
                self._provisioning.emptied.add(node)
                self._provisioning.touch((node,))
            session = self._core.sessions[node]
            empty = not versions and session.stage is Stage.READY and not session.entries
            if empty or now >= since + 2 * limits.DISMISS_TIME:
                self._forget(node, left=len(session.entries))

    @property
    def due(self) -> float:
        """When a node is to be looked at, even if nothing happens."""
        emptied = self._provisioning.emptied
        return min(
            (since + limits.DISMISS_TIME * (2 if node in emptied else 1) for node, since in self._since.items()),
            default=float("inf"),
        )

    def _forget(self, node: str, left: int) -> None:
        core = self._core
        for version in core.versions.at(node):
            if version.wanted:
                self._steering.abandon(version, core.now())
        del self._since[node], core.sessions[node]
        core.memory.delete(core.memory.members.pop(node))
        core.knowledge.forget(node)
        core.voices.forget(node)
        core.leader.forget(node)
        core.memory.forget(node)
        self._undrain(node)
        self._remember(node)
        self._provisioning.touch(core.sessions)
        core.notices.say("node-gone", core.now(), node=node, left=str(left))

    # --- addresses of those that are gone -------------------------------------------------------------------------

    def _remember(self, node: str) -> None:
        core = self._core
        if len(core.memory.former) >= limits.FORMER_NODES:
            core.notices.say("address-left", core.now(), node=node)
            return
        core.memory.former.add(node)
        core.memory.put(Former(node=node))

    def remembered(self, node: str) -> None:
        """A node's address has not to go any more: nobody holds it, or it has come back."""
        if node in self._core.memory.former:
            self._core.memory.former.discard(node)
            self._core.memory.delete(Former(node=node))

    def _sweep(self, now: float) -> None:
        """Remember no longer whose addresses no agent holds; one that is away may hold any."""
        core = self._core
        if not core.memory.former or now < self._swept_at + limits.POLL_INTERVAL:
            return
        self._swept_at = now
        if all(session.free for session in core.sessions.values()):
            held = {node for session in core.sessions.values() for node in session.addresses}
            for node in core.memory.former - held:
                self.remembered(node)
