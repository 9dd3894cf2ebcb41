"""Scrutiny: an agent's report, held against what is known otherwise. Who contradicts it is distrusted, and gone round."""

from quiver.domain import limits
from quiver.domain.report import NodeReport
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.memory import Heard

__all__ = ["scrutinise"]


def scrutinise(core: Core, report: NodeReport, now: float) -> None:
    """Compare a report that was taken up with other agents' words and with the controller's own records."""
    node = report.node
    term = max(core.leader.term, report.term if report.term <= core.leader.term + limits.AHEAD else 0)
    heard = {core.memory.seen(node, mark, term) for mark in report.marks}
    # Under a term that is not believed yet it may speak the truth: it is stamped and read again before anything is built on that.
    if Heard.FAR in heard and report.term <= core.leader.term:
        core.distrust(node, "its report names a version far above all others")
    if Heard.FLOOD in heard:
        core.distrust(node, "its reports name more paths that nobody else knows than a node can hold")
    if Heard.FULL in heard:
        core.voices.say(node, "marks-full", now)
    if core.leader.phase is Phase.GATHERING and not core.memory.covers(report):
        core.leader.outdated()
    for path in report.paths:
        version = core.versions.get(path.key)
        if version is not None and path.digest != version.entry.digest:
            core.distrust(node, "it holds another entry under the key of a path")
    link = core.topology.usurped(node, now)
    if link:
        core.distrust(node, f"it names link {link} of two other nodes as its own")
    view = core.knowledge.view(node)
    view.accused = view.accused if view.distrust else ""
