"""What a server says of itself: ietf-netconf-monitoring (RFC 6022) and the YANG library, new and old (RFC 8525, RFC 7895)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from quiver.protocols.netconf.capabilities import content_id
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.locks import Locks, Target
from quiver.protocols.netconf.modules import Module, ModuleName
from quiver.protocols.netconf.notifications import utc_text
from quiver.protocols.netconf.rpc import Parameters
from quiver.protocols.netconf.xml import LIBRARY, MONITORING, Element, add, child, element, qualified, text_of

__all__ = ["MODULES", "Counters", "SessionFacts", "get_schema", "library", "modules_state", "netconf_state"]

MODULES: Final = (
    ModuleName("ietf-netconf-monitoring", "2010-10-04"),
    ModuleName("ietf-yang-library", "2019-01-04"),
    ModuleName("ietf-datastores", "2018-02-14"),
    ModuleName("ietf-yang-types", "2013-07-15", implemented=False),
    ModuleName("ietf-inet-types", "2013-07-15", implemented=False),
)  # what every server has, and what these import
_DATASTORES: Final = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_SET: Final = "all"  # the name of the one module set and of the one schema


@dataclass(slots=True)
class Counters:
    """Counts of a session, or of all that a server ever had (RFC 6022 section 2.1.5)."""

    rpcs: int = 0
    bad_rpcs: int = 0
    errors: int = 0
    notifications: int = 0

    def add_to(self, parent: Element) -> None:
        """Write them as leaves."""
        child(parent, "in-rpcs", str(self.rpcs))
        child(parent, "in-bad-rpcs", str(self.bad_rpcs))
        child(parent, "out-rpc-errors", str(self.errors))
        child(parent, "out-notifications", str(self.notifications))


@dataclass(slots=True)
class SessionFacts:
    """What the list of sessions shows of one (RFC 6022 section 2.1.4).

    Attributes:
        number: session-id.
        transport: name of an identity of ietf-netconf-monitoring: netconf-ssh or netconf-tls.
        user: name.
        host: where it came from.
        login: since when.
        counters: of the session.
    """

    number: int
    transport: str
    user: str
    host: str
    login: datetime
    counters: Counters = field(default_factory=Counters)


@dataclass(slots=True)
class ServerCounters(Counters):
    """Counts since the server's start.

    Attributes:
        sessions: that have said hello.
        bad_hellos: sessions that ended before, for a wrong hello.
        dropped: sessions that ended without close-session.
    """

    sessions: int = 0
    bad_hellos: int = 0
    dropped: int = 0


def netconf_state(
    modules: Iterable[Module],
    capabilities: Iterable[str],
    locks: Locks,
    locked: dict[Target, datetime],
    sessions: Iterable[SessionFacts],
    counters: ServerCounters,
    started: datetime,
) -> Element:
    """/netconf-state (RFC 6022 section 2.1)."""
    root = element(qualified(MONITORING, "netconf-state"))
    listed = child(root, "capabilities")
    for capability in capabilities:
        child(listed, "capability", capability)
    _datastores(child(root, "datastores"), locks, locked)
    schemas = child(root, "schemas")
    for module in modules:
        schema = child(schemas, "schema")
        child(schema, "identifier", module.name)
        child(schema, "version", module.revision)
        child(schema, "format", "yang")
        child(schema, "namespace", module.namespace)
        child(schema, "location", "NETCONF")
    _sessions(child(root, "sessions"), sessions)
    statistics = child(root, "statistics")
    child(statistics, "netconf-start-time", utc_text(started))
    child(statistics, "in-bad-hellos", str(counters.bad_hellos))
    child(statistics, "in-sessions", str(counters.sessions))
    child(statistics, "dropped-sessions", str(counters.dropped))
    counters.add_to(statistics)
    return root


def _datastores(parent: Element, locks: Locks, locked: dict[Target, datetime]) -> None:
    for target in Target:
        datastore = child(parent, "datastore")
        child(datastore, "name", target.value)
        holder = locks.holder(target)
        if holder is not None:
            lock = child(child(datastore, "locks"), "global-lock")
            child(lock, "locked-by-session", str(holder))
            child(lock, "locked-time", utc_text(locked[target]))


def _sessions(parent: Element, sessions: Iterable[SessionFacts]) -> None:
    for facts in sessions:
        session = child(parent, "session")
        child(session, "session-id", str(facts.number))
        child(session, "transport", facts.transport)
        child(session, "username", facts.user)
        child(session, "source-host", facts.host)
        child(session, "login-time", utc_text(facts.login))
        facts.counters.add_to(session)


def library(modules: Iterable[Module]) -> Element:
    """/yang-library (RFC 8525 section 3)."""
    held = tuple(modules)
    root = element(qualified(LIBRARY, "yang-library"))
    found = child(root, "module-set")
    child(found, "name", _SET)
    for module in sorted(held, key=lambda each: not each.implemented):
        listed = child(found, "module" if module.implemented else "import-only-module")
        child(listed, "name", module.name)
        child(listed, "revision", module.revision)
        child(listed, "namespace", module.namespace)
        for feature in module.features if module.implemented else ():
            child(listed, "feature", feature)
        for name in module.deviations:
            child(listed, "deviation", name)
    schema = child(root, "schema")
    child(schema, "name", _SET)
    child(schema, "module-set", _SET)
    for name in ("running", "candidate", "operational"):
        datastore = child(root, "datastore")
        add(datastore, qualified(LIBRARY, "name"), {"ds": _DATASTORES}).text = f"ds:{name}"
        child(datastore, "schema", _SET)
    child(root, "content-id", content_id(held))
    return root


def modules_state(modules: Iterable[Module]) -> Element:
    """/modules-state, which older clients read (RFC 7895 section 2.2)."""
    held = tuple(modules)
    root = element(qualified(LIBRARY, "modules-state"))
    child(root, "module-set-id", content_id(held))
    for module in held:
        listed = child(root, "module")
        child(listed, "name", module.name)
        child(listed, "revision", module.revision)
        child(listed, "namespace", module.namespace)
        for feature in module.features:
            child(listed, "feature", feature)
        for other in held:
            if other.name in module.deviations:
                deviation = child(listed, "deviation")
                child(deviation, "name", other.name)
                child(deviation, "revision", other.revision)
        child(listed, "conformance-type", "implement" if module.implemented else "import")
    return root


def get_schema(request: Element, modules: Iterable[Module]) -> Element:
    """The text of a module (RFC 6022 section 3.1).

    Raises:
        RpcError: a parameter is missing, unknown or doubled; invalid-value where there is no such schema; operation-failed
            with data-not-unique where there are several.
    """
    parameters = Parameters(request, "identifier", "version", "format")
    name = text_of(parameters.need("identifier")).strip()
    version = parameters.text("version")
    form = (parameters.text("format") or "yang").rpartition(":")[2]
    found = [module for module in modules if module.name == name and version in (None, "", module.revision)]
    if not found or form != "yang":
        raise RpcError(Tag.INVALID_VALUE, "there is no such schema")
    if len(found) > 1:
        raise RpcError(Tag.OPERATION_FAILED, "there are several; name a version", app_tag="data-not-unique")
    return element(qualified(MONITORING, "data"), found[0].text)
