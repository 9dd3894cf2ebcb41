"""A node as ETSI GS QKD 015 V2.1.1 shows it: a view of the node's report that can be read, never written.

What Quiver does not know is left out rather than made up: technology, wavelength and role of a device, statistics of
applications. Keys and levels of pad have no place in this tree; `quiver-kms` has the levels.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from quiver.domain.network import PathEntry
from quiver.domain.report import DeviceState, LinkReport, LinkState, NodeReport, PathReport, PathRole
from quiver.protocols.netconf.xml import Element, child
from quiver.protocols.yang.etsi import RATE_MAX, application_party, identity, measured_qber, top
from quiver.protocols.yang.uuids import application_uuid, interface_number, link_uuid, node_uuid, path_uuid

__all__ = ["NodeFacts", "etsi_node_to_xml"]


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the view shows and the report does not have.

    Attributes:
        paths: the path versions in force at the node, those of its file included: `Network.paths`.
        models: QKD link → vendor and device at this end.
        version: of the software.
        location: the secured place where the node stands.
    """

    paths: Sequence[PathEntry] = ()
    models: Mapping[str, str] = {}
    version: str = ""
    location: str = ""


def etsi_node_to_xml(report: NodeReport, facts: NodeFacts) -> Element:
    """The `qkd_node` element of a node (ETSI GS QKD 015 V2.1.1, module etsi-qkd-sdn-node)."""
    node = top("qkd_node")
    child(node, "qkdn_id", node_uuid(report.node))
    identity(node, "qkdn_status", "OPERATING")  # it answers; what its links and devices do is said of them
    if facts.version:
        child(node, "qkdn_version", facts.version)
    child(node, "qkdn_location_id", facts.location)
    capabilities = child(node, "qkdn_capabilities")
    child(capabilities, "link_stats_support", "true")
    child(capabilities, "application_stats_support", "false")
    child(capabilities, "key_relay_mode_enable", "true")
    _applications(node, report, facts.paths)
    interfaces = child(node, "qkd_interfaces")
    for link in report.links:
        _interface(interfaces, link, facts.models.get(link.id))
    links = child(node, "qkd_links")
    for link in report.links:
        _physical(links, report, link, facts)
    states = {path.key: path for path in report.paths}
    for entry in facts.paths:
        _virtual(links, report, entry, states.get(entry.key))
    return node


# --- applications: permitted pairs of SAEs ---------------------------------------------------------------------------


def _applications(node: Element, report: NodeReport, paths: Sequence[PathEntry]) -> None:
    """One application for each permitted pair of which an SAE is at home here and the other's home is known."""
    applications = child(node, "qkd_applications")
    carried: dict[frozenset[str], list[str]] = {}
    for entry in paths:
        carried.setdefault(frozenset((entry.source, entry.destination)), []).append(entry.key)
    for one, other in report.pairs:
        homes = [report.homes.get(one), report.homes.get(other)]
        if report.node not in homes or None in homes:
            continue
        remote = next((home for home in homes if home not in (report.node, None)), None)
        backing = carried.get(frozenset((report.node, remote or "")), [])
        application = child(applications, "qkd_app")
        child(application, "app_id", application_uuid((one, other)))
        identity(application, "app_status", "ON" if backing or remote is None else "DISCONNECTED")
        identity(application, "app_type", "CLIENT")
        child(application, "server_app_id", application_party(one))
        child(application, "client_app_id", application_party(other))
        for key in backing:
            child(application, "backing_qkdl_id", path_uuid(key))
        child(application, "local_qkdn_id", node_uuid(report.node))
        child(application, "remote_qkdn_id", node_uuid(remote or report.node))


# --- interfaces: devices ---------------------------------------------------------------------------------------------

_INTERFACE_STATUS: Final = {
    DeviceState.READY: "ENABLED",
    DeviceState.DRY: "ENABLED",
    DeviceState.FAULT: "FAILED",
}


def _interface(interfaces: Element, link: LinkReport, model: str | None) -> None:
    interface = child(interfaces, "qkd_interface")
    child(interface, "qkdi_id", str(interface_number(link.id)))
    if model:
        child(interface, "qkdi_model", model)
    if link.device in _INTERFACE_STATUS:  # of one that has not answered yet nothing is known
        identity(interface, "qkdi_status", _INTERFACE_STATUS[link.device])


# --- links: QKD links and path versions ------------------------------------------------------------------------------


def _end(link: Element, name: str, node: str, interface: int | None = None) -> None:
    end = child(link, name)
    child(end, "qkdn_id", node_uuid(node))
    if interface is not None:
        child(end, "qkdi_id", str(interface))


def _physical(links: Element, report: NodeReport, link: LinkReport, facts: NodeFacts) -> None:
    rate = link.rate
    element = child(links, "qkd_link")
    child(element, "qkdl_id", link_uuid(link.id))
    identity(element, "qkdl_status", _physical_status(link, rate))
    child(element, "qkdl_enable", "true")
    _end(element, "qkdl_local", report.node, interface_number(link.id))
    _end(element, "qkdl_remote", link.neighbour, interface_number(link.id))
    identity(element, "qkdl_type", "PHYS")
    performance = child(element, "qkdl_performance")
    expected = _expected(report, link, facts.paths)
    if expected is not None:
        child(performance, "expected_consumption", str(min(expected, RATE_MAX)))
    if rate is not None:
        child(performance, "skr", str(min(rate, RATE_MAX)))
        if expected is not None:
            child(performance, "eskr", str(min(max(rate - expected, 0), RATE_MAX)))
    if link.qber is not None:
        measured_qber(performance, link.qber)


def _physical_status(link: LinkReport, rate: int | None) -> str:
    """ACTIVE while keys are made, PASSIVE while pad of this link is left, PENDING before anything was heard, OFF otherwise."""
    making = link.device is DeviceState.READY or (link.device is DeviceState.DRY and bool(rate))
    if making and link.state is LinkState.UP:
        return "ACTIVE"
    if link.own + link.theirs > 0:
        return "PASSIVE"
    if LinkState.UNKNOWN is link.state or DeviceState.UNKNOWN is link.device:
        return "PENDING"
    return "OFF"


def _expected(report: NodeReport, link: LinkReport, paths: Sequence[PathEntry]) -> int | None:
    """Bits per second that the paths over this link were given together.

    None where one has no bound, or where several links lead to the neighbour: paths pass neighbours, not single links.
    """
    if sum(other.neighbour == link.neighbour for other in report.links) > 1:
        return None
    over = [entry for entry in paths if link.neighbour in _hops(entry, report.node)]
    return None if any(not entry.rate for entry in over) else sum(entry.rate for entry in over)


def _hops(entry: PathEntry, node: str) -> tuple[str | None, str | None]:
    """The nodes before and after `node` on a path."""
    before = entry.before(node) if node != entry.source else None
    after = entry.after(node) if node != entry.destination else None
    return before, after


def _virtual(links: Element, report: NodeReport, entry: PathEntry, state: PathReport | None) -> None:
    before, after = _hops(entry, report.node)
    element = child(links, "qkd_link")
    child(element, "qkdl_id", path_uuid(entry.key))
    status = _virtual_status(state)
    if status is not None:
        identity(element, "qkdl_status", status)
    child(element, "qkdl_enable", "true")
    _end(element, "qkdl_local", entry.source)
    _end(element, "qkdl_remote", entry.destination)
    identity(element, "qkdl_type", "VIRT")
    if report.node in (entry.source, entry.destination):
        _users(element, report, entry)
    if before is not None:
        child(element, "virt_prev_hop", node_uuid(before))
    if after is not None:
        child(element, "virt_next_hop", node_uuid(after))
    if entry.rate:
        child(element, "virt_bandwidth", str(min(entry.rate, RATE_MAX)))


def _users(link: Element, report: NodeReport, entry: PathEntry) -> None:
    """The applications whose SAEs are at home at the two ends of a path."""
    ends = {entry.source, entry.destination}
    for pair in report.pairs:
        if {report.homes.get(sae) for sae in pair} == ends:
            child(link, "qkdl_applications", application_uuid(pair))


def _virtual_status(state: PathReport | None) -> str | None:
    """Of a path version; None where this node cannot know: credit tells the source alone."""
    if state is None:
        return "PENDING"
    if state.open:
        return "ACTIVE"
    if state.role is not PathRole.SOURCE:
        return None
    if state.credit:
        return "ACTIVE"
    if state.ready:
        return "PASSIVE"
    return "OFF" if state.primed else "PENDING"
