"""The operations that our clients ask for, as elements (RFC 6241 section 7, RFC 5277 section 2.1, RFC 6022 section 3.1)."""

from collections.abc import Iterable
from datetime import datetime

from quiver.protocols.netconf.locks import Target
from quiver.protocols.netconf.notifications import utc_text
from quiver.protocols.netconf.xml import MONITORING, NOTIFICATION, Element, base, child, element, qualified

__all__ = [
    "cancel_commit",
    "close_session",
    "commit",
    "copy_config",
    "create_subscription",
    "discard_changes",
    "edit_config",
    "get",
    "get_config",
    "get_schema",
    "kill_session",
    "lock",
    "unlock",
    "validate",
]


def _filtered(parent: Element, filters: Iterable[Element] | None) -> None:
    if filters is not None:
        made = child(parent, "filter")
        made.set("type", "subtree")
        made.extend(filters)


def get(filters: Iterable[Element] | None = None) -> Element:
    """Configuration and state; the filters are top-level elements of a subtree filter."""
    made = element(base("get"))
    _filtered(made, filters)
    return made


def get_config(source: Target = Target.RUNNING, filters: Iterable[Element] | None = None) -> Element:
    """The configuration of one datastore."""
    made = element(base("get-config"))
    child(child(made, "source"), source.value)
    _filtered(made, filters)
    return made


def edit_config(
    config: Iterable[Element], target: Target = Target.RUNNING, default: str = "merge", test: str | None = None
) -> Element:
    """An edit.

    Args:
        config: top-level nodes, with `operation` attributes where they need one.
        target: the datastore.
        default: merge, replace or none.
        test: test-then-set, set or test-only.
    """
    made = element(base("edit-config"))
    child(child(made, "target"), target.value)
    child(made, "default-operation", default)
    if test is not None:
        child(made, "test-option", test)
    child(made, "error-option", "rollback-on-error")
    child(made, "config").extend(config)
    return made


def copy_config(target: Target, source: Target) -> Element:
    """One datastore replaced by the other."""
    made = element(base("copy-config"))
    child(child(made, "target"), target.value)
    child(child(made, "source"), source.value)
    return made


def lock(target: Target) -> Element:
    """Take a datastore for this session."""
    made = element(base("lock"))
    child(child(made, "target"), target.value)
    return made


def unlock(target: Target) -> Element:
    """Give it back."""
    made = element(base("unlock"))
    child(child(made, "target"), target.value)
    return made


def validate(source: Target) -> Element:
    """Judge a datastore."""
    made = element(base("validate"))
    child(child(made, "source"), source.value)
    return made


def commit(
    seconds: int | None = None, *, confirmed: bool = False, persist: str | None = None, persist_id: str | None = None
) -> Element:
    """Make the candidate the running configuration.

    Args:
        seconds: confirm-timeout of a confirmed commit; None for the server's default.
        confirmed: it goes back unless it is confirmed in time.
        persist: the word that confirms it, from any session.
        persist_id: the word of one that waits.
    """
    made = element(base("commit"))
    if confirmed:
        child(made, "confirmed")
    for name, value in (("confirm-timeout", seconds), ("persist", persist), ("persist-id", persist_id)):
        if value is not None:
            child(made, name, str(value))
    return made


def cancel_commit(persist_id: str | None = None) -> Element:
    """Take back a confirmed commit."""
    made = element(base("cancel-commit"))
    if persist_id is not None:
        child(made, "persist-id", persist_id)
    return made


def discard_changes() -> Element:
    """Make the candidate what running is."""
    return element(base("discard-changes"))


def close_session() -> Element:
    """End this session."""
    return element(base("close-session"))


def kill_session(number: int) -> Element:
    """End another one."""
    made = element(base("kill-session"))
    child(made, "session-id", str(number))
    return made


def create_subscription(
    filters: Iterable[Element] | None = None, start: datetime | None = None, stop: datetime | None = None
) -> Element:
    """Event notifications from now on, or replayed from `start`."""
    made = element(qualified(NOTIFICATION, "create-subscription"))
    _filtered(made, filters)
    for name, time in (("startTime", start), ("stopTime", stop)):
        if time is not None:
            child(made, name, utc_text(time))
    return made


def get_schema(name: str, revision: str | None = None) -> Element:
    """The text of a YANG module."""
    made = element(qualified(MONITORING, "get-schema"))
    child(made, "identifier", name)
    if revision is not None:
        child(made, "version", revision)
    child(made, "format", "yang")
    return made
