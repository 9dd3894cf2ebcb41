"""What a node tells arrives as it was told; what no node can have told is refused by the name of the leaf."""

import itertools
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.domain.network import PathEntry
from quiver.domain.report import LinkReport, LinkState, NodeReport, PadReport, PathMark, PathReport, PathRole
from quiver.protocols.netconf.capabilities import BASE_1_0, hello
from quiver.protocols.netconf.client import ClientSession, Replied
from quiver.protocols.netconf.framing import Framing, frame
from quiver.protocols.netconf.requests import get
from quiver.protocols.netconf.xml import BASE, Element, base, enclose, local_of, make, parse, serialise
from quiver.protocols.yang.report import report_from_xml, report_to_xml
from tests.protocols.yang import examples
from tests.protocols.yang.judges import judge, kms_schema, kms_with

SECRETIVE = "something that must not be repeated"
ENTRY = PathEntry("a to c", 1, 3, ("a", "b", "c"), 8192, 2048, 2)
REPORT = NodeReport(
    node="b",
    run="0123456789abcdef" * 2,
    links=(
        LinkReport(id="a-b", neighbour="a", state=LinkState.UP, qber=0.0215, alarmed=True, collected=4096, rate=5000),
    ),
    paths=(PathReport(key=ENTRY.key, digest=ENTRY.digest, role=PathRole.RELAY, open=2),),
    configured=(ENTRY,),
    marks=(PathMark(virtual_link="a to c", path=1, version=3),),
    addresses={"a": "192.0.2.1:7000"},
    homes={"sae-1": "a", "sae-2": "c"},
    pairs=(("sae-1", "sae-2"),),
    burned={"meeting": 64},
    alarms={"wrong-tag": 1},
)
PREFIX = "{urn:quiver:yang:quiver-kms}"


def the(element: Element, path: str) -> Element:
    found = element.find("/".join(f"{PREFIX}{name}" for name in path.split("/")))
    assert found is not None
    return found


@settings(deadline=None)
@given(examples.reports)
def test_a_report_arrives_as_it_was_told(report: NodeReport) -> None:
    assert report_from_xml(parse(serialise(report_to_xml(report)))) == report


@settings(deadline=None)
@given(examples.reports)
def test_a_report_is_an_instance_of_the_module(report: NodeReport) -> None:
    judge(kms_with(report_to_xml(report)), kms_schema())


def largest() -> NodeReport:
    """All that the model lets a node tell."""
    nodes = tuple(f"n{i}" for i in range(limits.NODES_PER_PATH))
    saes = [f"s{i:05}" for i in range(limits.MODEL_SAES)]
    return NodeReport(
        node="b",
        run=REPORT.run,
        links=tuple(
            LinkReport(id=f"l{i}", neighbour=f"n{i}", qber=0.02, alarmed=True) for i in range(limits.MODEL_LINKS)
        ),
        pads=tuple(PadReport(neighbour=f"n{i}") for i in range(limits.MODEL_LINKS)),
        paths=tuple(
            PathReport(key=f"p/{i}/1", digest=ENTRY.digest, role=PathRole.RELAY)
            for i in range(1, limits.MODEL_PATHS + 1)
        ),
        configured=tuple(PathEntry("p", i, 1, nodes, 8192, 1, 1) for i in range(1, limits.MODEL_ENTRIES + 1)),
        marks=tuple(PathMark(virtual_link="p", path=i, version=1) for i in range(1, limits.MODEL_PATHS + 1)),
        addresses={f"n{i}": "192.0.2.1:7000" for i in range(limits.MODEL_NODES)},
        homes=dict.fromkeys(saes, "b"),
        pairs=tuple(itertools.pairwise(saes)),
        burned={f"c{i}": 1 for i in range(limits.MODEL_NAMES)},
        alarms={f"a{i}": 1 for i in range(limits.MODEL_NAMES)},
    )


def test_a_client_takes_the_state_of_a_node_at_the_models_limits() -> None:
    session = ClientSession()
    session.feed(frame(hello((BASE_1_0,), 1), Framing.END_OF_MESSAGE))
    session.call(get())
    report = largest()
    reply = make(base("rpc-reply"), {None: BASE}, {"message-id": "1"})
    state = report_to_xml(report)
    assert 2 * sum(1 for _ in state.iter()) > limits.NETCONF_TAGS  # more than a server would take
    (replied,) = session.feed(frame(enclose(reply, [state]), Framing.END_OF_MESSAGE))
    assert isinstance(replied, Replied)
    assert report_from_xml(replied.content[0]) == report


def test_the_state_is_found_beside_the_configuration() -> None:
    configuration = etree.Element(f"{PREFIX}controller")
    assert report_from_xml(kms_with(configuration, report_to_xml(REPORT))) == REPORT


def test_only_the_lists_that_are_asked_for_are_written() -> None:
    class Unread:
        def __iter__(self) -> Iterator[None]:
            yield pytest.fail("a list that nobody asked for was gone through")

    report = msgspec.structs.replace(REPORT, links=Unread(), pads=Unread(), paths=Unread(), marks=Unread())
    state = report_to_xml(report, lambda tag: tag in (f"{PREFIX}configured-path", f"{PREFIX}alarm"))
    assert the(state, "node").text == "b"
    assert [local_of(entry.tag) for entry in state if len(entry)] == ["configured-path", "alarm"]


def test_leaves_may_come_in_any_order() -> None:
    element = report_to_xml(REPORT)
    for entry in list(element.iter()):
        entry[:] = reversed(entry)
    listed = report_from_xml(element)
    assert (listed.links, listed.marks, listed.homes) == (REPORT.links, REPORT.marks, REPORT.homes)
    assert listed.configured[0].nodes == ENTRY.nodes[::-1]  # but the order of a path's nodes means something


@pytest.mark.parametrize("place", [".", "link", "path", "configured-path", "burned"])
def test_what_a_newer_agent_adds_is_passed_over(place: str) -> None:
    element = report_to_xml(REPORT)
    entry = element if place == "." else the(element, place)
    for tag in (f"{PREFIX}fidelity", "{urn:example:vendor}fidelity"):
        etree.SubElement(etree.SubElement(entry, tag), tag).text = "1"
    entry.insert(0, etree.Comment("a comment"))
    assert report_from_xml(element) == REPORT


@pytest.mark.parametrize(
    ("place", "text", "named"),
    [
        ("node", "", "state.node"),
        ("node", "a\tb", "state.node"),
        ("node", "n" * 129, "state.node"),
        ("run", SECRETIVE, "state.run"),
        ("sequence", "-1", "state.sequence"),
        ("sequence", str(limits.MARK_MAX + 1), "state.sequence"),
        ("sequence", "9" * 5000, "state.sequence"),
        ("sequence", "1_0", "state.sequence"),
        ("sequence", "\u0661", "state.sequence"),
        ("term", "", "state.term"),
        ("link/state", SECRETIVE, "link.state"),
        ("link/qber", "1.5", "link.qber"),
        ("link/qber", "nan", "link.qber"),
        ("link/collected", "1e9", "link.collected"),
        ("path/digest", "0" * 63, "path.digest"),
        ("path/role", SECRETIVE, "path.role"),
        ("path/retiring", "1", "path.retiring"),
        ("path/version", "0", "path.version"),
        ("configured-path/depth", "17", "configured-path.depth"),
        ("configured-path/priority", "8", "configured-path.priority"),
        ("address/address", "192.0.2.1:65536", "address.address"),
        ("address/address", "[::12345]:80", "address.address"),
        ("sae/id", "..", "sae.id"),
        ("permitted-pair/other", "sae-0", "permitted-pair"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_leaf(place: str, text: str, named: str) -> None:
    element = report_to_xml(REPORT)
    the(element, place).text = text
    with pytest.raises(RemoteError) as caught:
        report_from_xml(element)
    assert f": {named} " in caught.value.message
    assert SECRETIVE not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "place",
    ["node", "run", "link/id", "link/neighbour", "path/digest", "path/role", "path/number", "mark/version", "sae/home"],
)
def test_what_every_node_tells_may_not_be_missing(place: str) -> None:
    element = report_to_xml(REPORT)
    leaf = the(element, place)
    parent = leaf.getparent()
    assert parent is not None
    parent.remove(leaf)
    with pytest.raises(RemoteError, match="is missing"):
        report_from_xml(element)


@pytest.mark.parametrize(
    "place",
    ["node", "link", "link/state", "path", "configured-path", "mark", "address", "sae", "permitted-pair", "alarm"],
)
def test_nothing_may_be_told_twice(place: str) -> None:
    element = report_to_xml(REPORT)
    entry = the(element, place)
    parent = entry.getparent()
    assert parent is not None
    parent.append(parse(etree.tostring(entry)))
    with pytest.raises(RemoteError, match="is there twice"):
        report_from_xml(element)


@pytest.mark.parametrize(("place", "most"), [("link", limits.MODEL_LINKS), ("burned", limits.MODEL_NAMES)])
def test_lists_are_bounded(place: str, most: int) -> None:
    element = report_to_xml(REPORT)
    for _ in range(most):
        etree.SubElement(element, f"{PREFIX}{place}")
    with pytest.raises(RemoteError, match=f"at most {most} entries"):
        report_from_xml(element)


def test_a_path_has_at_most_64_nodes() -> None:
    element = report_to_xml(REPORT)
    for number in range(limits.NODES_PER_PATH):
        etree.SubElement(the(element, "configured-path"), f"{PREFIX}node").text = f"n{number}"
    with pytest.raises(RemoteError, match="at most 64 entries"):
        report_from_xml(element)


def test_only_a_state_is_read_as_one() -> None:
    for element in (etree.Element(f"{PREFIX}path"), kms_with(), kms_with(report_to_xml(REPORT), report_to_xml(REPORT))):
        with pytest.raises(RemoteError, match="one state is needed"):
            report_from_xml(element)


def _cut(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _double(element: Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.append(parse(etree.tostring(element)))


def _nest(element: Element) -> None:
    etree.SubElement(element, element.tag).text = element.text


LIES: dict[str, Callable[[Element], None]] = {"cut": _cut, "double": _double, "nest": _nest, "empty": Element.clear}


@settings(deadline=None)
@given(report=examples.reports, choice=st.data())
def test_a_lying_node_ends_in_a_report_within_bounds_or_in_an_error(report: NodeReport, choice: st.DataObject) -> None:
    """And whatever was believed can be told again."""
    element = report_to_xml(report)
    for _ in range(choice.draw(st.integers(1, 3))):
        target = choice.draw(st.sampled_from(list(element.iter())))
        lie = choice.draw(st.sampled_from(sorted(LIES)) | st.text("0123456789.-abf/:[] ", max_size=24))
        if lie in LIES:
            LIES[lie](target)
        else:
            target.text = lie
    try:
        believed = report_from_xml(element)
    except RemoteError:
        return
    assert report_from_xml(report_to_xml(believed)) == believed
