"""The operational state that a node tells over NETCONF: its own report, and the same as ETSI GS QKD 015 has it."""

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

import msgspec

from quiver.agent.engine import Engine
from quiver.domain.ports import Clock
from quiver.domain.report import NodeReport
from quiver.protocols.netconf.operations import Wanted
from quiver.protocols.netconf.xml import Element, element, qualified
from quiver.protocols.yang.etsi_node import NodeFacts, etsi_node_to_xml
from quiver.protocols.yang.names import ETSI_NODE, KMS
from quiver.protocols.yang.report import report_to_xml

__all__ = ["OperationalState"]

_KMS: Final = qualified(KMS, "kms")
_STATE: Final = qualified(KMS, "state")
_LINK: Final = qualified(KMS, "link")
_ETSI: Final = qualified(ETSI_NODE, "qkd_node")
_RATE_TIME: Final = 5.0  # seconds, at least, over which the rate of a link's keys is measured


class OperationalState:
    """Gives the operational state, as `State` of the NETCONF server.

    Args:
        engine: of the node.
        models: QKD link → vendor of this end's device.
        clock: monotonic time.

    Attributes:
        models: likewise; links may come and go.
    """

    def __init__(self, engine: Engine, models: Mapping[str, str], clock: Clock) -> None:
        self._engine: Final = engine
        self._clock: Final = clock
        self.models = models
        self._version: Final = metadata.version("quiver-qkd")
        self._since = float("-inf")
        self._collected: dict[str, int] = {}
        self._rates: dict[str, int] = {}

    def __call__(self, wanted: Wanted) -> Iterator[Element]:
        """The trees that are asked for."""
        of_kms = wanted(_KMS, _STATE)
        if not of_kms and not wanted(_ETSI):
            return
        report = self._engine.report()
        if wanted(_KMS, _STATE, _LINK) or wanted(_ETSI):
            report = self._measured(report)
        if of_kms:
            kms = element(_KMS)
            kms.append(report_to_xml(report, lambda tag: wanted(_KMS, _STATE, tag)))
            yield kms
        if wanted(_ETSI):
            paths = self._engine.node.network.paths
            facts = NodeFacts(paths=paths, models=self.models, version=self._version)
            yield etsi_node_to_xml(report, facts)

    def _measured(self, report: NodeReport) -> NodeReport:
        """The report with bits per second of each link since the last time; a link that is new to us has none yet."""
        now = self._clock.now()
        if (seconds := now - self._since) >= _RATE_TIME:
            collected = {link.id: link.collected for link in report.links}
            self._rates = {
                link: int(8 * (count - self._collected[link]) / seconds)
                for link, count in collected.items()
                if self._collected.get(link, count + 1) <= count  # less means that the node counts anew
            }
            self._since, self._collected = now, collected
        links = tuple(msgspec.structs.replace(link, rate=self._rates.get(link.id)) for link in report.links)
        return msgspec.structs.replace(report, links=links)
