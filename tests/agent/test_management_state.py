"""What a node tells of itself over NETCONF costs no more than what is asked for."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from quiver.agent.engine import Engine
from quiver.agent.management_state import OperationalState
from quiver.domain.report import NodeReport, PathMark
from quiver.protocols.netconf.filter import asks_for, read_filter
from quiver.protocols.netconf.xml import Element, local_of, parse

KMS = "urn:quiver:yang:quiver-kms"


class Unread:
    """A list that nobody has asked for."""

    def __iter__(self) -> Iterator[Any]:
        yield pytest.fail("it was gone through")


def told(body: str, report: NodeReport | None) -> list[Element]:
    filters = read_filter(parse(f'<filter><kms xmlns="{KMS}">{body}</kms></filter>'.encode()))
    engine = SimpleNamespace(report=lambda: report or pytest.fail("no report was asked for"))
    state = OperationalState(cast("Engine", engine), {})
    return list(state(lambda *tags: asks_for(filters, tags)))


def test_configuration_alone_needs_no_report() -> None:
    assert told("<path/><directory/>", None) == []


def test_one_list_of_the_state_is_written_without_the_others() -> None:
    mark = PathMark(virtual_link="a to c", path=1, version=3)
    unread = cast("tuple[Any, ...]", Unread())
    report = NodeReport(node="b", run="0" * 32, paths=unread, configured=unread, links=unread, marks=(mark,))
    (kms,) = told("<state><mark/></state>", report)
    assert [local_of(entry.tag) for entry in kms[0] if len(entry)] == ["mark"]
