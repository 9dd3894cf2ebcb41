"""Steering: when a path moves, and where to. A new version always comes up before the old one goes (make before break).

A path in trouble (`reasons`) moves as soon as its budget allows; one that is only better off elsewhere rests for a while after
each move. Paths of one demand share no node but their ends, not even while they move: a version is laid when the others are gone
from its route.
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.paths import Path, Trouble
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.reasons import DRY, NEW, NOT_DISJOINT, Reasons, fits
from quiver.domain.sdn.routes import Routes
from quiver.domain.sdn.search import Search
from quiver.domain.sdn.verdicts import Condition, Verdict
from quiver.domain.sdn.versions import Version, VersionState

__all__ = ["Steering"]


class Steering:
    """All paths of all demands.

    Args:
        core: what is known.
        provisioning: lays and removes versions.
    """

    def __init__(self, core: Core, provisioning: Provisioning) -> None:
        self._core: Final = core
        self._demands: Final = core.demands
        self._topology: Final = core.topology
        self._provisioning: Final = provisioning
        self.routes: Final = Routes(core.topology, core.knowledge)
        self.paths: Final[dict[tuple[str, int], Path]] = {}
        self.search: Final = Search(core, self.routes, self.paths)
        self._reasons: Final = Reasons(core, provisioning, self.search)
        self._generation = -1
        for demand in core.demands:
            self.demanded(demand, core.now())

    # --- demands --------------------------------------------------------------------------------------------------

    def demanded(self, demand: Demand, now: float) -> None:
        """A demand is new, or has changed."""
        for number in range(1, demand.paths + 1):
            path = self.paths.setdefault((demand.name, number), Path(demand.name, number, now))
            path.changed = True
        for name, number in list(self.paths):
            if name == demand.name and number > demand.paths:
                self._drop(self.paths[name, number], now)

    def given_up(self, demand: Demand, now: float) -> None:
        """A demand is gone."""
        for number in range(1, demand.paths + 1):
            if (demand.name, number) in self.paths:
                self._drop(self.paths[demand.name, number], now)

    def _drop(self, path: Path, now: float) -> None:
        del self.paths[path.id]
        self.routes.release(path.id)
        for version in (path.current, path.coming, path.past):
            if version is not None:
                self._provisioning.remove(version, now)

    def adopt(self, entry: PathEntry, now: float) -> None:
        """Take over a version that a source holds; it goes where the path has one already, or nobody asks for it."""
        version = self._provisioning.adopt(entry, now)
        path = self.paths.get((entry.virtual_link, entry.path))
        demand = self._demands.get(entry.virtual_link)
        right = demand is not None and (demand.source, demand.destination) == (entry.source, entry.destination)
        if path is None or not right or path.current is not None or path.coming is not None:
            self._provisioning.remove(version, now)
            return
        path.current, path.changed = version, True
        self._core.memory.own(entry.virtual_link, entry.path, entry.version)
        self.routes.place(path.id, entry.nodes, entry.rate)

    def abandon(self, version: Version, now: float) -> None:
        """A version cannot stay, whether or not something takes its place; its path is looked at again."""
        self._provisioning.remove(version, now)
        path = self.paths.get((version.entry.virtual_link, version.entry.path))
        if path is not None:
            path.forget(version)
            self.routes.place(path.id, path.nodes, version.entry.rate)
            self._make_way(path, now)

    # --- looking at paths -----------------------------------------------------------------------------------------

    def touch(self, key: str) -> None:
        """Something was heard of a path version."""
        virtual_link, number, _ = key.rsplit("/", 2)
        path = self.paths.get((virtual_link, int(number))) if number.isdecimal() else None
        if path is not None:
            path.changed = True

    def step(self, now: float) -> None:
        """Look at every path that may be another one now; those of the highest class first."""
        all_changed = self._generation != self._topology.generation
        self._generation = self._topology.generation
        due = [path for path in self.paths.values() if all_changed or path.changed or path.wake_at <= now]
        classes = {path.id: self._class(path) for path in due}
        for path in sorted(due, key=lambda path: (classes[path.id], path.name, path.number)):
            path.changed, path.wake_at = False, float("inf")
            demand = self._demands.get(path.name)
            if demand is not None:
                self._watch(path, demand, now)

    @property
    def due(self) -> float:
        """When a path is to be looked at, even if nothing happens."""
        return min((path.wake_at for path in self.paths.values()), default=float("inf"))

    def _class(self, path: Path) -> int:
        demand = self._demands.get(path.name)
        return demand.priority if demand is not None else limits.PRIORITIES

    def _watch(self, path: Path, demand: Demand, now: float) -> None:
        for node in [node for node, until in path.barred.items() if until <= now]:
            del path.barred[node]
        self._part(path, now)
        if path.coming is not None:
            self._follow(path, path.coming, demand, now)
        self._prime(path, now)
        verdict = self._reasons.of(path, demand, now)
        if path.coming is not None:
            return
        if verdict is None:
            path.trouble = None
        else:
            self._move(path, demand, verdict, now)

    # --- the version that is being made ---------------------------------------------------------------------------

    def _follow(self, path: Path, coming: Version, demand: Demand, now: float) -> None:
        """Take the new version into use when it has credit; give it up where it cannot come to that."""
        entry = coming.entry
        standing = coming.state is VersionState.STANDING
        if standing and self._core.knowledge.credit_of(entry) > 0:
            self._switch(path, coming, now)
            return
        credit_by = coming.since + path.patient(
            limits.CREDIT_PATIENCE + limits.CREDIT_HOP_TIME * (len(entry.nodes) - 1)
        )
        end = credit_by if standing else coming.made_at + path.patient(limits.LAYING_TIME)
        refused_by = self._provisioning.refused.get(entry.key)
        if refused_by is not None:
            path.barred[refused_by] = now + limits.DRY_MOST
        unreachable = not standing and not all(self._core.hears(node) for node in entry.nodes)
        broken = unreachable or self._topology.route(entry.nodes).condition is Condition.BROKEN
        if refused_by is not None or broken or now >= end or not fits(entry, demand):
            path.coming = None
            self._provisioning.remove(coming, now)
            path.failed_at(() if broken or refused_by else entry.nodes, now)
            nodes = path.current.entry.nodes if path.current is not None else ()
            self.routes.place(path.id, nodes, demand.rate)
            self._make_way(path, now)
            cause = "refused" if refused_by else "broken" if broken else "no-credit" if standing else "not-laid"
            self._core.notices.say("version-given-up", now, path=entry.key, cause=cause)
        else:
            path.wake(end)

    def _switch(self, path: Path, coming: Version, now: float) -> None:
        old, trouble = path.current, path.trouble or Trouble(NEW, "", coming.made_at)
        path.past, path.current, path.coming, path.trouble = old, coming, None, None
        coming.credited = True
        path.came_up(now)
        path.moved_at = now
        path.unprimed = (coming.entry.key, trouble)
        self._part(path, now)
        self._tell("path-up" if old is None else "rerouted", path, trouble, now, "credit")

    def _part(self, path: Path, now: float, *, at_once: bool = False) -> None:
        """Let the version before go, a while after the move: what other paths wait for after a fault comes first."""
        if path.past is None:
            return
        end = path.moved_at + limits.PART_PAUSE
        if at_once or now >= end:
            self._provisioning.remove(path.past, now)
            path.past = None
            self._make_way(path, now)
        else:
            path.wake(end)

    def _prime(self, path: Path, now: float) -> None:
        """Say when the first block of the version that came up last is ready."""
        if path.unprimed is None or path.current is None or path.current.entry.key != path.unprimed[0]:
            return
        report = self._core.knowledge.path_at(path.current.entry.source, path.current.entry.key)
        if report is not None and report.primed:
            self._tell("primed", path, path.unprimed[1], now, "primed")
            path.unprimed = None

    def _tell(self, name: str, path: Path, trouble: Trouble, now: float, until: str) -> None:
        assert path.current is not None
        entry = path.current.entry
        about = {"path": entry.key, "cause": trouble.cause, "where": trouble.where, "route": " ".join(entry.nodes)}
        self._core.notices.say(name, now, seconds={until: now - trouble.at}, **about)

    # --- moving ---------------------------------------------------------------------------------------------------

    def _move(self, path: Path, demand: Demand, verdict: Verdict, now: float) -> None:
        if path.trouble is None or verdict.cause not in (path.trouble.cause, NEW):
            path.trouble = Trouble(verdict.cause, verdict.where, now)
            if verdict.cause == NOT_DISJOINT:
                self._core.notices.say(NOT_DISJOINT, now, demand=path.name, path=str(path.number), where=verdict.where)
        rests = path.moved_at + limits.MOVE_HOLD if verdict.condition is Condition.POOR and not verdict.urgent else now
        ready = max(path.not_before, path.budget.due(now), rests)
        if not self._core.usable(demand.source) or not self._core.usable(demand.destination):
            return  # they are looked at when they return
        if now < ready:
            path.wake(ready)
            return
        if verdict.cause == "refused":
            path.barred[verdict.where] = now + limits.DRY_MOST
        nodes = self.search.route(path, demand, verdict, now)
        same = path.current is not None and nodes == path.current.entry.nodes
        if nodes is None or (same and verdict.cause not in ("changed", "refused")):
            self._stay(path, demand, verdict, found=nodes is not None, now=now)
            return
        path.target = () if path.target == nodes else path.target
        path.served = True
        path.budget.spend(now)
        entry = PathEntry(
            virtual_link=path.name,
            path=path.number,
            version=self._core.memory.next_version(path.name, path.number, self._core.leader.used),
            nodes=nodes,
            depth=demand.depth,
            rate=demand.rate,
            priority=demand.priority,
        )
        self._part(path, now, at_once=True)  # nodes keep two versions of a path
        path.coming = self._provisioning.lay(entry, now)
        self.routes.place(path.id, nodes, demand.rate)
        path.wake(now + path.patient(limits.LAYING_TIME))

    def _hinders(self, path: Path, version: Version, demand: Demand, verdict: Verdict) -> bool:
        """Whether a version has to go before there is another: it meets another path, or carries nothing and is in the way."""
        dead = verdict.cause == DRY or self._topology.route(version.entry.nodes).condition is Condition.BROKEN
        return verdict.cause == NOT_DISJOINT or (dead and self.search.in_the_way(path, demand))

    def _let_go(self, path: Path, version: Version, now: float) -> None:
        self._provisioning.remove(version, now)
        path.current = None
        self.routes.release(path.id)
        self._make_way(path, now)

    def _make_way(self, path: Path, now: float) -> None:
        """A path has left a route: others of its demand may wait for that."""
        for number in range(1, limits.DISJOINT_PATHS + 1):
            if number != path.number and (path.name, number) in self.paths:
                self.paths[path.name, number].wake(now)

    def _stay(self, path: Path, demand: Demand, verdict: Verdict, *, found: bool, now: float) -> None:
        """There is nothing better: a dry path looks again later, others when something changes."""
        if path.current is not None and self._hinders(path, path.current, demand, verdict):
            self._let_go(path, path.current, now)
        if verdict.cause == DRY:
            path.dry_since, path.patience = now, min(2 * path.patience, limits.DRY_MOST)
            path.wake(now + path.patience)
        path.failed = ()
        path.target = ()
        if path.served and not found and verdict.condition is Condition.BROKEN:
            path.served = False
            self._core.notices.say("unserved", now, demand=demand.name, path=str(path.number), cause=verdict.cause)
