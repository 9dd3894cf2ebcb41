"""The live state for those who watch the network: plain structs, each fact with its age in seconds."""

from collections.abc import Iterable, Iterator

import msgspec

from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.domain.report import LinkReport, LinkState, PadReport
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.paths import Path
from quiver.domain.sdn.records import What
from quiver.domain.sdn.sessions import Stage
from quiver.domain.sdn.versions import VersionState

__all__ = ["DemandLive", "LinkLive", "LinkPad", "Live", "NodeLive", "PathLive", "live"]


class NodeLive(msgspec.Struct, frozen=True, kw_only=True):
    """One node.

    Attributes:
        node: its id.
        address: of its peer plane, as far as the controller tells it.
        stage: of its management session.
        age: seconds since its last report; None where there was none.
        distrust: why its word is not taken; empty where it is.
        term: the highest controller term that it has accepted, as it told last.
        refuses: it does not take this controller's term, so that nothing can be written to it.
        dead: neither the controller nor any neighbour hears it.
        drained: by the operator.
        leaving: it was dismissed, and is cleared.
        run: of its agent.
        served: requests for keys that got them since its start.
        refused: requests that got 503 since its start.
        delivered: keys delivered since its start.
        waiting: requests that wait for pad.
        burned: cause → bytes of pad burned.
        alarms: name → times raised since its start.
    """

    node: str
    address: str
    stage: Stage
    age: float | None
    distrust: str = ""
    term: int = 0
    refuses: bool = False
    dead: bool = False
    drained: bool = False
    leaving: bool = False
    run: str = ""
    served: int = 0
    refused: int = 0
    delivered: int = 0
    waiting: int = 0
    burned: dict[str, int] = {}
    alarms: dict[str, int] = {}


class LinkPad(msgspec.Struct, frozen=True, kw_only=True):
    """Pad of one QKD link, as one of its ends tells it; all in bytes.

    Attributes:
        own: what this end may still allocate.
        theirs: what the other end may still allocate, as far as this one knows.
        level: where this end stops collecting.
    """

    own: int = 0
    theirs: int = 0
    level: int = 0


class LinkLive(msgspec.Struct, frozen=True, kw_only=True):
    """One QKD link, both ends put together.

    Attributes:
        id: of the link.
        ends: its nodes.
        state: both ends'.
        producing: whether both devices hand out keys, or could.
        qber: the higher of what its ends told, 0 to 1.
        alarmed: whether an alarm about its error ratio stands.
        rate: measured, bits per second, both directions together; None where it was never measured.
        unsteady: avoided, as it came and went too often.
        drained: by the operator.
        age: seconds since the older of its ends' reports.
        pads: link pad of its two nodes over all links between them, each as that node told it, in bytes.
        link_pads: this link's part of that, likewise.
    """

    id: str
    ends: tuple[str, str]
    state: LinkState
    producing: bool
    qber: float | None
    alarmed: bool
    rate: float | None
    unsteady: bool
    drained: bool
    age: float
    pads: dict[str, PadReport] = {}
    link_pads: dict[str, LinkPad] = {}


class PathLive(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a virtual link.

    Attributes:
        virtual_link: its name.
        path: its number.
        version: in use; 0 where there is none.
        nodes: the route in use.
        state: of that version; None where there is none.
        credit: at its source, bytes; None where nobody knows: the source is dead, or was not read for some polls.
        ready: end-to-end pad at its source, bytes, this version's; None likewise.
        coming: route of the version that is being made; empty where none is.
        trouble: why it has to move; empty where it need not.
        age: seconds since its source's report.
    """

    virtual_link: str
    path: int
    version: int
    nodes: tuple[str, ...]
    state: VersionState | None
    credit: int | None
    ready: int | None
    coming: tuple[str, ...]
    trouble: str
    age: float | None


class DemandLive(msgspec.Struct, frozen=True, kw_only=True):
    """One demand.

    Attributes:
        demand: as it was asked for.
        up: how many of its paths are known to have credit.
    """

    demand: Demand
    up: int


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The whole network at one time.

    Attributes:
        at: on the controller's clock, seconds.
        phase: of this controller.
        term: its controller term.
    """

    at: float
    phase: Phase
    term: int
    nodes: tuple[NodeLive, ...]
    links: tuple[LinkLive, ...]
    paths: tuple[PathLive, ...]
    demands: tuple[DemandLive, ...]


def live(core: Core, paths: Iterable[Path]) -> Live:
    """The network as it is known now.

    Args:
        core: what is known.
        paths: of all demands.
    """
    now = core.now()
    told = tuple(_paths(core, paths, now))
    return Live(
        at=now,
        phase=core.leader.phase,
        term=core.leader.term,
        nodes=tuple(_node(core, node, now) for node in sorted(core.sessions)),
        links=tuple(_links(core, now)),
        paths=told,
        demands=tuple(_demands(core, told)),
    )


def _node(core: Core, node: str, now: float) -> NodeLive:
    view, member = core.knowledge.view(node), core.memory.members.get(node)
    plain = NodeLive(
        node=node,
        address=member.address if member is not None else "",
        stage=core.sessions[node].stage,
        age=None if view.heard_at is None else now - view.heard_at,
        distrust=view.distrust,
        refuses=core.leader.edits and core.sessions[node].refuses,
        dead=core.topology.dead(node),
        drained=(What.NODE, node) in core.memory.drained,
        leaving=member is not None and member.leaving,
    )
    if view.report is None:
        return plain
    told = ("term", "run", "served", "refused", "delivered", "waiting", "burned", "alarms")
    return msgspec.structs.replace(plain, **{name: getattr(view.report, name) for name in told})


def _links(core: Core, now: float) -> Iterator[LinkLive]:
    for link in core.topology.links.values():
        views = {end: core.knowledge.view(end) for end in link.ends}
        yield LinkLive(
            id=link.id,
            ends=link.ends,
            state=link.state,
            producing=link.producing,
            qber=link.qber,
            alarmed=link.alarmed,
            rate=link.rate,
            unsteady=link.unsteady,
            drained=link.drained,
            age=now - link.heard_at,
            pads={
                end: views[end].pads[other] for end, other in (link.ends, link.ends[::-1]) if other in views[end].pads
            },
            link_pads={end: _link_pad(views[end].links[link.id]) for end in link.ends},
        )


def _link_pad(told: LinkReport) -> LinkPad:
    return LinkPad(own=told.own, theirs=told.theirs, level=told.level)


def _paths(core: Core, paths: Iterable[Path], now: float) -> Iterator[PathLive]:
    for path in sorted(paths, key=lambda path: path.id):
        version = path.current
        entry = version.entry if version is not None else None
        credit, ready = _stock(core, entry, now) if entry is not None else (0, 0)
        view = core.knowledge.get(entry.source) if entry is not None else None
        heard_at = view.heard_at if view is not None else None
        yield PathLive(
            virtual_link=path.name,
            path=path.number,
            version=entry.version if entry is not None else 0,
            nodes=entry.nodes if entry is not None else (),
            state=version.state if version is not None else None,
            credit=credit,
            ready=ready,
            coming=path.coming.entry.nodes if path.coming is not None else (),
            trouble=path.trouble.cause if path.trouble is not None else "",
            age=None if heard_at is None else now - heard_at,
        )


def _stock(core: Core, entry: PathEntry, now: float) -> tuple[int | None, int | None]:
    """Credit and end-to-end pad at the source of a version, as far as its last word still counts."""
    view = core.knowledge.get(entry.source)
    oldest = now - limits.POLLS_MISSED * core.poll - limits.ORDER_TIME
    if view is None or view.heard_at is None or view.heard_at < oldest or core.topology.dead(entry.source):
        return None, None
    report = view.paths.get(entry.key)
    return (report.credit, report.ready) if report is not None else (0, 0)


def _demands(core: Core, paths: Iterable[PathLive]) -> Iterator[DemandLive]:
    up: dict[str, int] = {}
    for path in paths:
        up[path.virtual_link] = up.get(path.virtual_link, 0) + bool(path.credit)
    for demand in core.demands:
        yield DemandLive(demand=demand, up=up.get(demand.name, 0))
