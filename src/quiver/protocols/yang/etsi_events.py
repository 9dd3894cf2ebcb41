"""Events as the notifications of ETSI GS QKD 015 V2.1.1, where those have a place for them.

Levels of pad, exhausted buffers and primed paths have none. The notifications carry no numbers: a reader that must not miss
any subscribes to those of `quiver-kms`.
"""

from quiver.domain.events import (
    CreditGained,
    CreditLost,
    DeviceFault,
    DeviceRepaired,
    LinkDown,
    LinkUp,
    NewApplication,
    NumberedEvent,
    QberAlarm,
    QberNormal,
    RaisedAlarm,
)
from quiver.protocols.netconf.xml import Element, child
from quiver.protocols.yang.etsi import application_party, identity, measured_qber, top
from quiver.protocols.yang.uuids import interface_number, link_uuid, node_uuid, path_uuid

__all__ = ["etsi_events_to_xml"]


def etsi_events_to_xml(event: NumberedEvent, node: str) -> tuple[Element, ...]:
    """The standard's notifications of an event; often one, none where the standard has none.

    Args:
        event: what happened.
        node: where.
    """
    match event.body:
        case LinkDown(link=link, neighbour=neighbour):
            return (_link_down(link, f"{neighbour} is not heard"),)
        case LinkUp(link=link, neighbour=neighbour):
            return (_link("event", link_uuid(link), f"{neighbour} is heard"),)
        case DeviceFault(link=link, reason=reason):
            return (_interface_down(link, reason),)
        case DeviceRepaired(link=link):
            return (_interface_up(link),)
        case QberAlarm(link=link, qber=qber):
            alarm = _link("alarm", link_uuid(link), "QBER too high for keys")
            return _performance(link, qber), alarm
        case QberNormal(link=link, qber=qber):
            return (_performance(link, qber),)
        case CreditLost(path=path):
            return (_link("alarm", path_uuid(path), "path not whole, or dry"),)
        case CreditGained(path=path):
            return (_link("event", path_uuid(path), "path whole", "ACTIVE"),)
        case NewApplication(master=master, slave=slave):
            return (_application(master, slave, node),)
        case RaisedAlarm(name=name, about={"link": link}):
            return (_link("alarm", link_uuid(link), name),)
        case RaisedAlarm(name=name, about={"path": path}):
            return (_link("alarm", path_uuid(path), name),)
    return ()


def _link(notification: str, link: str, message: str, status: str | None = None) -> Element:
    """An alarm, or another event, of a link."""
    element = top(notification)
    about = child(element, "link")
    child(about, "qkdl_id", link)
    if status is not None:
        identity(about, "qkdl_status", status)
    child(about, "message", message)
    identity(about, "severity", "MAJOR" if notification == "alarm" else "MINOR")
    return element


def _link_down(link: str, reason: str) -> Element:
    element = top("sdqkdn_link_down")
    about = child(element, "qkd_link")
    child(about, "qkdl_id", link_uuid(link))
    child(about, "reason", reason)
    return element


def _interface_down(link: str, reason: str) -> Element:
    element = top("sdqkdn_interface_down")
    about = child(element, "qkd_interface")
    child(about, "qkdi_id", str(interface_number(link)))
    child(about, "reason", reason)
    return element


def _interface_up(link: str) -> Element:
    element = top("event")
    about = child(element, "interface")
    child(about, "qkdi_id", str(interface_number(link)))
    identity(about, "qkdi_status", "ENABLED")
    child(about, "message", "device hands out keys again")
    identity(about, "severity", "MINOR")
    return element


def _performance(link: str, qber: float) -> Element:
    element = top("sdqkdn_link_perf_update")
    about = child(element, "qkd_link")
    child(about, "qkdl_id", link_uuid(link))
    measured_qber(child(about, "performance"), qber)
    return element


def _application(master: str, slave: str, node: str) -> Element:
    """The one that asked comes first; the standard's registration of an application (its clause 5.2)."""
    element = top("sdqkdn_application_new")
    about = child(element, "qkd_application")
    identity(about, "app_type", "CLIENT")
    child(about, "server_app_id", application_party(master))
    child(about, "client_app_id", application_party(slave))
    child(about, "local_qkdn_id", node_uuid(node))
    return element
