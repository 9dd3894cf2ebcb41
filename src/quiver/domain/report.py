"""What a node tells its controller and its operators: levels, states and counts. There is no key in any of it (rule 4).

The agent makes these from its node; the controller reads them back from NETCONF. Both use these very types.
"""

from enum import StrEnum

import msgspec

from quiver.domain.network import PathEntry

__all__ = [
    "DeviceState",
    "LinkReport",
    "LinkState",
    "NodeReport",
    "PadReport",
    "PathMark",
    "PathReport",
    "PathRole",
]


class LinkState(StrEnum):
    """Whether the two agents of a QKD link hear each other along it."""

    UNKNOWN = "unknown"  # not heard yet since the start
    UP = "up"
    DOWN = "down"


class DeviceState(StrEnum):
    """What this end's device of a link does, as far as ETSI GS QKD 014 lets an agent know."""

    UNKNOWN = "unknown"  # it has not answered yet since the start
    READY = "ready"  # it hands out keys, or could
    DRY = "dry"  # it answers, but has no keys to give
    FAULT = "fault"  # it does not answer, or says that its channel is down


class PathRole(StrEnum):
    """What a node is on a path."""

    SOURCE = "source"
    RELAY = "relay"
    DESTINATION = "destination"


class LinkReport(msgspec.Struct, frozen=True, kw_only=True):
    """One QKD link at one of its ends.

    Attributes:
        id: of the link, equal at both ends.
        neighbour: node at the other end.
        state: whether the neighbour is heard along the link.
        device: what this end's device does.
        qber: quantum bit error ratio, 0 to 1, where the vendor tells it.
        alarmed: whether an alarm about that ratio stands; its event may have been missed.
        collected: bytes of pad that have become usable since the agent's start, both owners' segments; a counter.
        rate: bits per second of that, since the last count that is at least five seconds old; None before there is one.
        refusals: calls that the device has refused or not answered since the agent's start; a counter.
        own: bytes of this link's pad that this end may still allocate.
        theirs: bytes of it that the neighbour may still allocate, as far as this end knows: what it has allocated lately may not
            have been heard of yet.
        level: bytes of own pad at which this end stops collecting from this link.
    """

    id: str
    neighbour: str
    state: LinkState = LinkState.UNKNOWN
    device: DeviceState = DeviceState.UNKNOWN
    qber: float | None = None
    alarmed: bool = False
    collected: int = 0
    rate: int | None = None
    refusals: int = 0
    own: int = 0
    theirs: int = 0
    level: int = 0


class PadReport(msgspec.Struct, frozen=True, kw_only=True):
    """Link pad shared with one neighbour, over all links to it; all in bytes.

    Attributes:
        neighbour: the other node.
        own: what this end may still allocate.
        theirs: what the neighbour may still allocate, as it said last.
        level: where this end stops collecting, summed over the links.
        allocated: what this end has allocated since its start; a counter.
        accepted: what the neighbour has allocated and this end accepted; a counter.
    """

    neighbour: str
    own: int = 0
    theirs: int = 0
    level: int = 0
    allocated: int = 0
    accepted: int = 0


class PathReport(msgspec.Struct, frozen=True, kw_only=True):
    """One path version at one of its nodes; amounts in bytes.

    Attributes:
        key: virtual link, path number and version, as `PathEntry.key`.
        digest: SHA-256 of the entry in hexadecimal digits.
        role: of this node.
        retiring: it is no longer configured here; what is open or ready is being used up.
        credit: at the source, what new sequences may take now; 0 says that the path is not whole, or dry.
        ready: at the source, end-to-end pad that containers may take now.
        coming: at the source, pad in open sequences.
        taken: at the source, pad that containers took since the agent's start; a counter.
        open: sequences without an outcome, in any role.
        primed: at the source, whether a block of this version has ever become ready in this run of the agent.
    """

    key: str
    digest: str
    role: PathRole
    retiring: bool = False
    credit: int = 0
    ready: int = 0
    coming: int = 0
    taken: int = 0
    open: int = 0
    primed: bool = False

    @property
    def path(self) -> tuple[str, int]:
        """Virtual link and path number, which all versions have in common."""
        virtual_link, number, _ = self.key.rsplit("/", 2)
        return virtual_link, int(number)


class PathMark(msgspec.Struct, frozen=True, kw_only=True):
    """The highest version of a path that a node has ever known; a new one must be above it."""

    virtual_link: str
    path: int
    version: int


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One node.

    Attributes:
        node: its id.
        run: 32 hexadecimal digits, drawn at each start of the agent.
        sequence: number of the newest event of this run; 0 where there was none.
        term: the highest controller term that it has accepted.
        links: the links that end here.
        pads: by neighbour.
        paths: all versions known, those that are being used up included.
        configured: the path entries that the controller's part of the configuration holds.
        marks: of all paths ever known.
        addresses: node → "host:port" of its peer plane, the controller's part of the directory.
        homes: SAE → home node, as this node's policy has it; SAEs of other nodes too.
        pairs: permitted pairs of SAEs, each sorted.
        burned: pad that will never be used, cause → bytes since the database was made; counters.
        alarms: name → times raised since the agent's start; counters.
        served: requests for new keys that got them since the start; a counter.
        refused: requests for new keys that got 503 since the start; a counter.
        delivered: keys that masters were answered with since the start; a counter.
        waiting: requests that wait for pad now.
    """

    node: str
    run: str
    sequence: int = 0
    term: int = 0
    links: tuple[LinkReport, ...] = ()
    pads: tuple[PadReport, ...] = ()
    paths: tuple[PathReport, ...] = ()
    configured: tuple[PathEntry, ...] = ()
    marks: tuple[PathMark, ...] = ()
    addresses: dict[str, str] = {}
    homes: dict[str, str] = {}
    pairs: tuple[tuple[str, str], ...] = ()
    burned: dict[str, int] = {}
    alarms: dict[str, int] = {}
    served: int = 0
    refused: int = 0
    delivered: int = 0
    waiting: int = 0
