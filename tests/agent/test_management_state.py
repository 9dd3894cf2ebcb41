"""What a node tells of itself over NETCONF costs no more than what is asked for."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from quiver.agent.engine import Engine
from quiver.agent.management_state import OperationalState
from quiver.domain.report import LinkReport, NodeReport, PathMark
from quiver.protocols.netconf.filter import asks_for, read_filter
from quiver.protocols.netconf.xml import Element, local_of, parse
from quiver.protocols.yang.report import report_from_xml
from tests.domain.ground import HandClock

KMS = "urn:quiver:yang:quiver-kms"


class Unread:
    """A list that nobody has asked for."""

    def __iter__(self) -> Iterator[Any]:
        yield pytest.fail("it was gone through")


def told(body: str, report: NodeReport | None) -> list[Element]:
    filters = read_filter(parse(f'<filter><kms xmlns="{KMS}">{body}</kms></filter>'.encode()))
    engine = SimpleNamespace(report=lambda: report or pytest.fail("no report was asked for"))
    state = OperationalState(cast("Engine", engine), {}, HandClock())
    return list(state(lambda *tags: asks_for(filters, tags)))


def test_configuration_alone_needs_no_report() -> None:
    assert told("<path/><directory/>", None) == []


def test_one_list_of_the_state_is_written_without_the_others() -> None:
    mark = PathMark(virtual_link="a to c", path=1, version=3)
    unread = cast("tuple[Any, ...]", Unread())
    report = NodeReport(node="b", run="0" * 32, paths=unread, configured=unread, links=unread, marks=(mark,))
    (kms,) = told("<state><mark/></state>", report)
    assert [local_of(entry.tag) for entry in kms[0] if len(entry)] == ["mark"]


def test_the_key_rate_of_a_link_is_measured_from_read_to_read() -> None:
    clock, links = HandClock(), [LinkReport(id="a-b", neighbour="a", collected=1000)]
    engine = SimpleNamespace(report=lambda: NodeReport(node="b", run="0" * 32, links=tuple(links)))
    state = OperationalState(cast("Engine", engine), {}, clock)
    filters = read_filter(parse(f'<filter><kms xmlns="{KMS}"><state><link/></state></kms></filter>'.encode()))

    def rates() -> list[int | None]:
        (kms,) = state(lambda *tags: asks_for(filters, tags))
        return [link.rate for link in report_from_xml(kms[0]).links]

    assert rates() == [None]
    clock.advance(10.0)
    links[:] = [LinkReport(id="a-b", neighbour="a", collected=6000), LinkReport(id="b-c", neighbour="c", collected=500)]
    assert rates() == [4000, None]  # 5,000 bytes in 10 s; a link that is new was read once only
    clock.advance(1.0)
    links[:] = [LinkReport(id="a-b", neighbour="a", collected=9000)]
    assert rates() == [4000]  # what a second brings says too little
    clock.advance(9.0)
    links[:] = [LinkReport(id="a-b", neighbour="a", collected=0)]
    assert rates() == [None]  # counted anew since the node's start
