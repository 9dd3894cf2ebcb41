"""Events arrive as they happened, each with the run and its number, so that a reader notices what it has missed."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.domain.events import DeviceFault, LinkDown, NumberedEvent, RaisedAlarm
from quiver.protocols.netconf.xml import parse, serialise
from quiver.protocols.yang.events import event_from_xml, event_to_xml
from tests.protocols.yang import examples
from tests.protocols.yang.judges import judge_notification, kms_schema

PREFIX = "{urn:quiver:yang:quiver-kms}"
RUN = "0123456789abcdef" * 2
few = settings(max_examples=15, deadline=None)  # for each of the kinds
each_kind = pytest.mark.parametrize("kind", examples.KINDS, ids=lambda kind: kind.__name__)


@each_kind
@few
@given(choice=st.data())
def test_an_event_arrives_as_it_happened(kind: type[msgspec.Struct], choice: st.DataObject) -> None:
    event, run = choice.draw(examples.events(kind)), choice.draw(examples.runs)
    assert event_from_xml(parse(serialise(event_to_xml(event, run)))) == (run, event)


@each_kind
@few
@given(choice=st.data())
def test_an_event_is_a_notification_of_the_module(kind: type[msgspec.Struct], choice: st.DataObject) -> None:
    judge_notification(event_to_xml(choice.draw(examples.events(kind)), RUN), kms_schema())


@each_kind
@few
@given(choice=st.data())
def test_an_event_without_one_of_its_leaves_is_refused(kind: type[msgspec.Struct], choice: st.DataObject) -> None:
    element = event_to_xml(choice.draw(examples.events(kind)), RUN)
    leaves = [child for child in element if not len(child)]
    element.remove(choice.draw(st.sampled_from(leaves)))
    with pytest.raises(RemoteError, match="is missing"):
        event_from_xml(element)


def test_words_that_xml_cannot_hold_do_not_keep_an_event_back() -> None:
    event = NumberedEvent(sequence=1, body=DeviceFault(link="l", neighbour="n", reason="cut\0off\n" + "." * 600))
    element = event_to_xml(event, RUN)
    judge_notification(element, kms_schema())
    _, read = event_from_xml(element)
    assert isinstance(read.body, DeviceFault)
    assert read.body.reason == "cut?off?" + "." * (limits.PEER_TEXT - 8)


def test_of_too_many_facts_the_first_are_told() -> None:
    facts = {f"fact {number}": str(number) for number in range(20)}
    element = event_to_xml(NumberedEvent(sequence=1, body=RaisedAlarm(name="many", about=facts)), RUN)
    judge_notification(element, kms_schema())
    _, read = event_from_xml(element)
    assert isinstance(read.body, RaisedAlarm)
    assert list(read.body.about) == list(facts)[: limits.MODEL_FACTS]


def test_what_a_newer_agent_adds_is_passed_over() -> None:
    event = NumberedEvent(sequence=3, body=LinkDown(link="a-b", neighbour="b"))
    element = event_to_xml(event, RUN)
    etree.SubElement(element, f"{PREFIX}since").text = "noon"
    assert event_from_xml(element) == (RUN, event)


def test_an_event_of_an_unknown_kind_is_refused() -> None:
    for tag in (f"{PREFIX}link-repainted", "link-down", "{urn:example:other}link-down"):
        with pytest.raises(RemoteError, match="of no kind that is known"):
            event_from_xml(etree.Element(tag))


@pytest.mark.parametrize(("leaf", "text"), [("sequence", "0"), ("run", "z" * 32), ("link", ""), ("neighbour", "a\nb")])
def test_a_value_out_of_bounds_is_refused_by_its_leaf(leaf: str, text: str) -> None:
    element = event_to_xml(NumberedEvent(sequence=3, body=LinkDown(link="a-b", neighbour="b")), RUN)
    found = element.find(PREFIX + leaf)
    assert found is not None
    found.text = text
    with pytest.raises(RemoteError, match=rf"notification link-down\.{leaf} shall be"):
        event_from_xml(element)


def test_facts_are_bounded_and_each_is_there_once() -> None:
    element = event_to_xml(NumberedEvent(sequence=3, body=RaisedAlarm(name="x", about={"a": "b"})), RUN)
    element.append(parse(etree.tostring(element[-1])))
    with pytest.raises(RemoteError, match="a fact is there twice"):
        event_from_xml(element)
    for _ in range(limits.MODEL_FACTS):
        element.append(parse(etree.tostring(element[-1])))
    with pytest.raises(RemoteError, match="at most 16 entries"):
        event_from_xml(element)
