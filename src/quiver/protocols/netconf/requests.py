"""The operations that a client asks for, as elements for `client.ClientSession.call`."""

from collections.abc import Iterable
from datetime import datetime

from quiver.protocols.netconf.xml import BASE, MONITORING, NOTIFICATION, Element, child, element, graft, qualified

__all__ = ["create_subscription", "edit_config", "get", "get_config", "get_schema", "operation"]


def operation(name: str, namespace: str = BASE) -> Element:
    """The element of an operation, without parameters."""
    return element(qualified(namespace, name))


def _filter(request: Element, filters: Iterable[Element]) -> None:
    if wanted := list(filters):
        holder = child(request, "filter")
        holder.set("type", "subtree")
        for each in wanted:
            graft(holder, each)


def get(filters: Iterable[Element] = ()) -> Element:
    """Configuration and state (RFC 6241 section 7.7); of the subtrees of filters, or everything."""
    request = operation("get")
    _filter(request, filters)
    return request


def get_config(source: str, filters: Iterable[Element] = ()) -> Element:
    """The configuration of a datastore (RFC 6241 section 7.1)."""
    request = operation("get-config")
    child(child(request, "source"), source)
    _filter(request, filters)
    return request


def edit_config(target: str, config: Iterable[Element], **options: str | None) -> Element:
    """A change of a datastore (RFC 6241 section 7.2).

    Args:
        target: name of the datastore.
        config: top-level elements.
        options: default_operation, test_option and error_option; None leaves one out.
    """
    request = operation("edit-config")
    child(child(request, "target"), target)
    for name in ("default_operation", "test_option", "error_option"):  # in the order of RFC 6241 appendix C
        if (value := options.get(name)) is not None:
            child(request, name.replace("_", "-"), value)
    holder = child(request, "config")
    for top in config:
        graft(holder, top)
    return request


def get_schema(identifier: str, version: str | None = None) -> Element:
    """The text of a YANG module (RFC 6022 section 3.1)."""
    request = operation("get-schema", MONITORING)
    child(request, "identifier", identifier)
    if version is not None:
        child(request, "version", version)
    return request


def create_subscription(
    filters: Iterable[Element] = (), start: datetime | None = None, stop: datetime | None = None
) -> Element:
    """A subscription to events (RFC 5277 section 2.1.1), with a replay from `start` on where that is given."""
    request = operation("create-subscription", NOTIFICATION)
    _filter(request, filters)
    for name, moment in (("startTime", start), ("stopTime", stop)):
        if moment is not None:
            child(request, name, moment.isoformat())
    return request
