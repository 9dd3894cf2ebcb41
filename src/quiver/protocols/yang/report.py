"""The state of `quiver-kms`, as a node answers `get` with it, and `NodeReport`, as node and controller have it."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.errors import RemoteError, RequestError
from quiver.domain.report import (
    DeviceState,
    LinkReport,
    LinkState,
    NodeReport,
    PadReport,
    PathMark,
    PathReport,
    PathRole,
)
from quiver.protocols.netconf.xml import Element, local_of, qualified
from quiver.protocols.netconf.xml import element as new
from quiver.protocols.yang.entries import join_key, path_of_row, path_values, split_key
from quiver.protocols.yang.forms import (
    ADDRESS,
    BYTES,
    COUNT,
    DEPTH,
    DIGEST,
    FLAG,
    NAME,
    NODES,
    ORDINAL,
    PRIORITY,
    RATIO,
    RUN,
    SAE,
    one_of,
)
from quiver.protocols.yang.names import KMS
from quiver.protocols.yang.rows import Row, children, gather

__all__ = ["report_from_xml", "report_to_xml"]

T = TypeVar("T")

_TOP: Final = qualified(KMS, "kms")
_STATE: Final = Row(
    "state",
    node=NAME,
    run=RUN,
    sequence=COUNT,
    term=COUNT,
    served=COUNT,
    refused=COUNT,
    delivered=COUNT,
    waiting=COUNT,
)
_LINK: Final = Row(
    "link",
    id=NAME,
    neighbour=NAME,
    state=one_of(LinkState),
    device=one_of(DeviceState),
    qber=RATIO,
    alarmed=FLAG,
    collected=BYTES,
    rate=COUNT,
    refusals=COUNT,
    own=BYTES,
    theirs=BYTES,
    level=BYTES,
)
_PAD: Final = Row("pad", neighbour=NAME, own=BYTES, theirs=BYTES, level=BYTES, allocated=BYTES, accepted=BYTES)
_PATH: Final = Row(
    "path",
    virtual_link=NAME,
    number=ORDINAL,
    version=ORDINAL,
    digest=DIGEST,
    role=one_of(PathRole),
    retiring=FLAG,
    credit=BYTES,
    ready=BYTES,
    coming=BYTES,
    taken=BYTES,
    open=COUNT,
    primed=FLAG,
)
_CONFIGURED: Final = Row(
    "configured-path",
    virtual_link=NAME,
    number=ORDINAL,
    version=ORDINAL,
    node=NODES,
    depth=DEPTH,
    rate=COUNT,
    priority=PRIORITY,
)
_MARK: Final = Row("mark", virtual_link=NAME, number=ORDINAL, version=ORDINAL)
_ADDRESS: Final = Row("address", id=NAME, address=ADDRESS)
_SAE: Final = Row("sae", id=SAE, home=NAME)
_PAIR: Final = Row("permitted-pair", one=SAE, other=SAE)
_BURNED: Final = Row("burned", cause=NAME, amount=BYTES)
_ALARM: Final = Row("alarm", name=NAME, raised=COUNT)

_LISTS: Final = {  # entries of each at most
    _LINK.name: limits.MODEL_LINKS,
    _PAD.name: limits.MODEL_LINKS,
    _PATH.name: limits.MODEL_PATHS,
    _CONFIGURED.name: limits.MODEL_ENTRIES,
    _MARK.name: limits.MODEL_PATHS,
    _ADDRESS.name: limits.MODEL_NODES,
    _SAE.name: limits.MODEL_SAES,
    _PAIR.name: limits.MODEL_SAES,
    _BURNED.name: limits.MODEL_NAMES,
    _ALARM.name: limits.MODEL_NAMES,
}


def report_to_xml(report: NodeReport, wanted: Callable[[str], bool] = lambda tag: True) -> Element:
    """The `state` element, to be put into `kms`.

    Args:
        report: what to tell.
        wanted: whether the list of this name, in Clark's notation, has to be in it.
    """
    state = new(_STATE.tag)
    _STATE.fill(state, (getattr(report, field) for field in _STATE.fields))
    entries: tuple[tuple[Row, Iterable[Iterable[Any]]], ...] = (
        (_LINK, map(msgspec.structs.astuple, report.links)),
        (_PAD, map(msgspec.structs.astuple, report.pads)),
        (_PATH, (chain(split_key(path.key), msgspec.structs.astuple(path)[1:]) for path in report.paths)),
        (_CONFIGURED, map(path_values, report.configured)),
        (_MARK, map(msgspec.structs.astuple, report.marks)),
        (_ADDRESS, report.addresses.items()),
        (_SAE, report.homes.items()),
        (_PAIR, report.pairs),
        (_BURNED, report.burned.items()),
        (_ALARM, report.alarms.items()),
    )
    for row, values in entries:
        for one in values if wanted(row.tag) else ():
            row.write(state, one)
    return state


def report_from_xml(element: Element) -> NodeReport:
    """What a node has told.

    Args:
        element: `state`, or a `kms` that has it. What a newer agent may add is passed over.

    Raises:
        RemoteError: state is missing, a node of it missing, doubled or out of range, a list too long or an entry there
            twice; it names the node and shows no value.
    """
    try:
        return _report(_state_of(element))
    except RequestError as error:
        message = f"state of a node: {error.message}"
    raise RemoteError(message)


def _state_of(element: Element) -> Element:
    found = [one for one in children(element) if one.tag == _STATE.tag] if element.tag == _TOP else [element]
    if len(found) != 1 or found[0].tag != _STATE.tag:
        raise RequestError(f"{local_of(str(element.tag))}: one state is needed")
    return found[0]


def _report(state: Element) -> NodeReport:
    lists = gather(state, _LISTS, strict=False)

    def read(row: Row, make: Callable[[Element], T], key: Callable[[T], object]) -> tuple[T, ...]:
        entries = {key(entry): entry for entry in map(make, lists[row.name])}
        if len(entries) != len(lists[row.name]):
            raise RequestError(f"{row.name}: an entry is there twice")
        return tuple(entries.values())

    def pairs(row: Row, *fields: str) -> tuple[tuple[Any, Any], ...]:
        return read(row, lambda entry: _two(row, entry, *fields), lambda two: two[0])

    return NodeReport(
        **_STATE.read(state, "node", "run"),
        links=read(_LINK, lambda entry: LinkReport(**_LINK.read(entry, "id", "neighbour")), lambda link: link.id),
        pads=read(_PAD, lambda entry: PadReport(**_PAD.read(entry, "neighbour")), lambda pad: pad.neighbour),
        paths=read(_PATH, _path, lambda path: path.key),
        configured=read(_CONFIGURED, lambda entry: path_of_row(_CONFIGURED, entry), lambda path: path.key),
        marks=read(_MARK, _mark, lambda mark: (mark.virtual_link, mark.path)),
        addresses=dict(pairs(_ADDRESS, "id", "address")),
        homes=dict(pairs(_SAE, "id", "home")),
        pairs=read(_PAIR, _pair, lambda pair: pair),
        burned=dict(pairs(_BURNED, "cause", "amount")),
        alarms=dict(pairs(_ALARM, "name", "raised")),
    )


def _two(row: Row, entry: Element, *fields: str) -> tuple[Any, Any]:
    values = row.read(entry, *fields)
    one, other = (values[field] for field in fields)
    return one, other


def _pair(entry: Element) -> tuple[str, str]:
    one, other = _two(_PAIR, entry, "one", "other")
    if one >= other:
        raise RequestError("permitted-pair shall be two SAEs, the lesser name first")
    return one, other


def _path(entry: Element) -> PathReport:
    values = _PATH.read(entry, "virtual_link", "number", "version", "digest", "role")
    key = join_key(values.pop("virtual_link"), values.pop("number"), values.pop("version"))
    return PathReport(key=key, **values)


def _mark(entry: Element) -> PathMark:
    values = _MARK.read(entry, "virtual_link", "number", "version")
    return PathMark(path=values.pop("number"), **values)
