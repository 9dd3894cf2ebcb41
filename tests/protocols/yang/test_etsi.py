"""A node as ETSI GS QKD 015 V2.1.1 shows it: instances of the standard's tree, and what they say."""

import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain.events import (
    BufferExhausted,
    CreditLost,
    DeviceFault,
    DeviceRepaired,
    Event,
    LinkDown,
    NewApplication,
    NumberedEvent,
    PadLow,
    QberAlarm,
    RaisedAlarm,
)
from quiver.domain.network import PathEntry
from quiver.domain.report import DeviceState, LinkReport, LinkState, NodeReport, PadReport, PathReport, PathRole
from quiver.protocols.netconf.xml import Element, element, parse, serialise
from quiver.protocols.yang import uuids
from quiver.protocols.yang.etsi_events import etsi_events_to_xml
from quiver.protocols.yang.etsi_node import NodeFacts, etsi_node_to_xml
from quiver.protocols.yang.names import ETSI_NODE, ETSI_TYPES
from tests.protocols.yang import examples, judges

PREFIX = f"{{{ETSI_NODE}}}"
PATH = PathEntry("a to c", 1, 3, ("a", "b", "c"), 8192, 2048, 2)
BACK = PathEntry("c to a", 1, 1, ("c", "b", "a"), 0, 0, 2)
REPORT = NodeReport(
    node="b",
    run="0" * 32,
    links=(
        LinkReport(id="a-b", neighbour="a", state=LinkState.UP, device=DeviceState.READY, qber=0.0215, rate=5000),
        LinkReport(id="b-c", neighbour="c", state=LinkState.DOWN, device=DeviceState.FAULT, theirs=64),
    ),
    pads=(PadReport(neighbour="a", own=4096), PadReport(neighbour="c", theirs=64)),
    homes={"sae-1": "a", "sae-2": "c", "sae-3": "b", "sae-4": "b"},
    pairs=(("sae-1", "sae-2"), ("sae-1", "sae-3"), ("sae-3", "sae-4"), ("sae-4", "sae-9")),
)
FACTS = NodeFacts(paths=(PATH,), models={"a-b": "vendor/device"}, version="0.1", location="site")


@settings(max_examples=40, deadline=None)
@given(view=examples.views())
def test_the_view_of_any_node_is_an_instance(view: tuple[NodeReport, NodeFacts]) -> None:
    judges.judge(etsi_node_to_xml(*view), judges.etsi_schema())


@pytest.mark.parametrize("kind", examples.KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None)
@given(choice=st.data())
def test_every_notification_is_one_of_the_standards(kind: type[msgspec.Struct], choice: st.DataObject) -> None:
    for notification in etsi_events_to_xml(choice.draw(examples.events(kind)), choice.draw(examples.names)):
        judges.judge_notification(notification, judges.etsi_schema())


# --- what the view says ---------------------------------------------------------------------------------------------------


def told(parent: Element, path: str) -> list[str]:
    """Texts of all leaves at a place; an identity without its prefix."""
    leaves = parent.findall("/".join(PREFIX + name for name in path.split("/")))
    return [(leaf.text or "").removeprefix("etsi-qkdn-types:") for leaf in leaves]


def link_of(view: Element, identity: str) -> Element:
    links = view.findall(f"{PREFIX}qkd_links/{PREFIX}qkd_link")
    return next(link for link in links if told(link, "qkdl_id") == [identity])


def test_names_become_uuids_that_everyone_can_work_out() -> None:
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:quiver:yang:quiver-kms")
    assert uuids.node_uuid("b") == str(uuid.uuid5(namespace, "node:b")) == "19ae7444-4eba-587b-916f-02ea1e6519d1"
    assert uuids.application_uuid(("x", "y")) == uuids.application_uuid(["y", "x"])
    named = {uuids.node_uuid("x"), uuids.link_uuid("x"), uuids.path_uuid("x"), uuids.application_uuid("x")}
    assert len(named) == 4  # one name of four kinds


def test_a_physical_link_has_its_rates_and_its_error_ratio_in_per_cent() -> None:
    link = link_of(etsi_node_to_xml(REPORT, FACTS), uuids.link_uuid("a-b"))
    figures = {name: told(link, f"qkdl_performance/{name}") for name in ("expected_consumption", "skr", "eskr")}
    assert figures == {"expected_consumption": ["2048"], "skr": ["5000"], "eskr": ["2952"]}
    assert told(link, "qkdl_performance/phys_perf/perf_type") == ["QBER"]
    assert told(link, "qkdl_performance/phys_perf/value") == ["2.150"]
    assert told(link, "qkdl_type") == ["PHYS"]
    both = [told(link, "qkdl_local/qkdn_id"), told(link, "qkdl_remote/qkdn_id")]
    assert both == [[uuids.node_uuid("b")], [uuids.node_uuid("a")]]


def test_what_is_not_known_is_left_out() -> None:
    view = etsi_node_to_xml(REPORT, FACTS)
    link = link_of(view, uuids.link_uuid("b-c"))
    assert told(link, "qkdl_performance/skr") == []
    assert told(link, "qkdl_performance/phys_perf") == []
    unbounded = etsi_node_to_xml(REPORT, msgspec.structs.replace(FACTS, paths=(PATH, BACK)))
    assert told(link_of(unbounded, uuids.link_uuid("a-b")), "qkdl_performance/expected_consumption") == []
    beside = (*REPORT.links, LinkReport(id="a-b 2", neighbour="a"))
    parallel = etsi_node_to_xml(msgspec.structs.replace(REPORT, links=beside), FACTS)
    assert told(link_of(parallel, uuids.link_uuid("a-b")), "qkdl_performance/expected_consumption") == []


@pytest.mark.parametrize(
    ("state", "device", "pad", "rate", "status"),
    [
        (LinkState.UP, DeviceState.READY, 0, None, "ACTIVE"),
        (LinkState.UP, DeviceState.DRY, 0, 100, "ACTIVE"),
        (LinkState.UP, DeviceState.DRY, 0, 0, "OFF"),
        (LinkState.UP, DeviceState.DRY, 64, None, "PASSIVE"),
        (LinkState.DOWN, DeviceState.READY, 64, 100, "PASSIVE"),
        (LinkState.DOWN, DeviceState.FAULT, 0, None, "OFF"),
        (LinkState.UNKNOWN, DeviceState.UNKNOWN, 0, None, "PENDING"),
    ],
)
def test_a_physical_link_is_active_passive_pending_or_off(
    state: LinkState, device: DeviceState, pad: int, rate: int | None, status: str
) -> None:
    link = LinkReport(id="l", neighbour="n", state=state, device=device, rate=rate, own=pad)
    beside = LinkReport(id="m", neighbour="n", theirs=999)  # what another link to the neighbour has is not this one's
    report = NodeReport(node="b", run="0" * 32, links=(link, beside), pads=(PadReport(neighbour="n", own=pad),))
    view = link_of(etsi_node_to_xml(report, NodeFacts()), uuids.link_uuid("l"))
    assert told(view, "qkdl_status") == [status]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (PathReport(key=PATH.key, digest=PATH.digest, role=PathRole.SOURCE, credit=64), ["ACTIVE"]),
        (PathReport(key=PATH.key, digest=PATH.digest, role=PathRole.SOURCE, ready=64, primed=True), ["PASSIVE"]),
        (PathReport(key=PATH.key, digest=PATH.digest, role=PathRole.SOURCE, primed=True), ["OFF"]),
        (PathReport(key=PATH.key, digest=PATH.digest, role=PathRole.SOURCE), ["PENDING"]),
        (PathReport(key=PATH.key, digest=PATH.digest, role=PathRole.RELAY, open=1), ["ACTIVE"]),
        (PathReport(key=PATH.key, digest=PATH.digest, role=PathRole.RELAY), []),  # credit tells the source alone
    ],
)
def test_a_virtual_link_is_what_its_path_is(state: PathReport, status: list[str]) -> None:
    view = etsi_node_to_xml(msgspec.structs.replace(REPORT, paths=(state,)), FACTS)
    assert told(link_of(view, uuids.path_uuid(PATH.key)), "qkdl_status") == status


def hops(node: str) -> tuple[list[str], list[str]]:
    report = msgspec.structs.replace(REPORT, node=node)
    link = link_of(etsi_node_to_xml(report, FACTS), uuids.path_uuid(PATH.key))
    return told(link, "virt_prev_hop"), told(link, "virt_next_hop")


def test_a_path_has_one_identity_at_all_its_nodes_and_each_knows_its_hops() -> None:
    a, b, c = (uuids.node_uuid(node) for node in "abc")
    assert (hops("a"), hops("b"), hops("c")) == (([], [b]), ([a], [c]), ([b], []))
    link = link_of(etsi_node_to_xml(REPORT, FACTS), uuids.path_uuid(PATH.key))
    assert (told(link, "qkdl_local/qkdn_id"), told(link, "qkdl_remote/qkdn_id")) == ([a], [c])
    assert told(link, "virt_bandwidth") == ["2048"]


def test_applications_are_the_permitted_pairs_with_a_home_here() -> None:
    at_b = etsi_node_to_xml(REPORT, FACTS)
    near, local = uuids.application_uuid(("sae-1", "sae-3")), uuids.application_uuid(("sae-3", "sae-4"))
    assert told(at_b, "qkd_applications/qkd_app/app_id") == [near, local]
    assert told(at_b, "qkd_applications/qkd_app/app_status") == ["DISCONNECTED", "ON"]  # no path joins a and b
    at_a = etsi_node_to_xml(msgspec.structs.replace(REPORT, node="a"), FACTS)
    far = uuids.application_uuid(("sae-1", "sae-2"))
    assert told(at_a, "qkd_applications/qkd_app/app_id") == [far, near]
    assert told(at_a, "qkd_applications/qkd_app/backing_qkdl_id") == [uuids.path_uuid(PATH.key)]
    assert told(link_of(at_a, uuids.path_uuid(PATH.key)), "qkdl_applications") == [far]
    assert told(at_a, "qkd_applications/qkd_app/remote_qkdn_id") == [uuids.node_uuid("c"), uuids.node_uuid("b")]


def test_a_device_is_an_interface_with_one_number_at_both_ends() -> None:
    view = etsi_node_to_xml(REPORT, FACTS)
    assert told(view, "qkd_interfaces/qkd_interface/qkdi_status") == ["ENABLED", "FAILED"]
    assert told(view, "qkd_interfaces/qkd_interface/qkdi_model") == ["vendor/device"]
    link = link_of(view, uuids.link_uuid("a-b"))
    assert told(link, "qkdl_local/qkdi_id") == told(link, "qkdl_remote/qkdi_id")


def test_identities_keep_their_prefix_inside_an_answer() -> None:
    answer = element("{urn:ietf:params:xml:ns:netconf:base:1.0}data")
    answer.append(etsi_node_to_xml(REPORT, FACTS))
    status = parse(serialise(answer))[0].find(f"{PREFIX}qkdn_status")
    assert status is not None
    prefix, _, name = (status.text or "").partition(":")
    assert (status.nsmap[prefix], name) == (ETSI_TYPES, "OPERATING")


# --- notifications --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (LinkDown(link="a-b", neighbour="a"), ["sdqkdn_link_down"]),
        (DeviceFault(link="a-b", neighbour="a", reason="no answer"), ["sdqkdn_interface_down"]),
        (DeviceRepaired(link="a-b", neighbour="a"), ["event"]),
        (QberAlarm(link="a-b", neighbour="a", qber=0.12), ["sdqkdn_link_perf_update", "alarm"]),
        (NewApplication(master="sae-1", slave="sae-2", destination="c"), ["sdqkdn_application_new"]),
        (CreditLost(path=PATH.key), ["alarm"]),
        (RaisedAlarm(name="link-mismatch", about={"link": "a-b", "segment": "s"}), ["alarm"]),
        (RaisedAlarm(name="rolled-back", about={"seen": "4"}), []),
        (PadLow(neighbour="a", own=1, level=8), []),
        (BufferExhausted(destination="c"), []),
    ],
)
def test_an_event_is_told_where_the_standard_has_a_place_for_it(body: Event, names: list[str]) -> None:
    event = NumberedEvent(sequence=1, body=body)  # type: ignore[arg-type]
    assert [notification.tag.removeprefix(PREFIX) for notification in etsi_events_to_xml(event, "a")] == names


def test_a_new_application_names_first_who_asked() -> None:
    event = NumberedEvent(sequence=1, body=NewApplication(master="sae 2", slave="sae-1", destination="c"))
    (notification,) = etsi_events_to_xml(event, "a")
    assert told(notification, "qkd_application/server_app_id") == ["urn:quiver:sae:sae%202"]
    assert told(notification, "qkd_application/client_app_id") == ["urn:quiver:sae:sae-1"]
    assert told(notification, "qkd_application/local_qkdn_id") == [uuids.node_uuid("a")]
