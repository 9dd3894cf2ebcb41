"""The notifications of `quiver-kms`, and events as node and controller have them.

What a notification holds follows from the event's struct: each field is the leaf of its name, a path's key is three leaves.
"""

from itertools import islice
from typing import Any, Final, get_args, get_type_hints

from quiver.domain import limits
from quiver.domain.errors import RemoteError, RequestError
from quiver.domain.events import Event, NumberedEvent
from quiver.protocols.netconf.xml import Element, local_of
from quiver.protocols.netconf.xml import element as new
from quiver.protocols.yang.entries import join_key, split_key
from quiver.protocols.yang.forms import BYTES, EXPLANATION, NAME, ORDINAL, RATIO, RUN, SAE, Form
from quiver.protocols.yang.rows import Row, gather

__all__ = ["event_from_xml", "event_to_xml"]

_KINDS: Final[tuple[type[Event], ...]] = get_args(get_type_hints(NumberedEvent)["body"])
_FORMS: Final[dict[str, Form]] = {
    "link": NAME,
    "neighbour": NAME,
    "destination": NAME,
    "name": NAME,
    "master": SAE,
    "slave": SAE,
    "reason": EXPLANATION,
    "qber": RATIO,
    "own": BYTES,
    "level": BYTES,
    "credit": BYTES,
}
_PATH: Final = {"virtual_link": NAME, "number": ORDINAL, "version": ORDINAL}
_ABOUT: Final = Row("about", fact=NAME, value=EXPLANATION)
_ABOUT_FIELD: Final = "about"
_PATH_FIELD: Final = "path"


def _row(kind: type[Event]) -> Row:
    leaves = {"run": RUN, "sequence": ORDINAL}
    for field in kind.__struct_fields__:
        if field == _PATH_FIELD:
            leaves |= _PATH
        elif field != _ABOUT_FIELD:
            leaves[field] = _FORMS[field]
    return Row(str(kind.__struct_config__.tag), **leaves)


_ROWS: Final = {kind: _row(kind) for kind in _KINDS}
_BY_TAG: Final = {row.tag: (kind, row) for kind, row in _ROWS.items()}


def event_to_xml(event: NumberedEvent, run: str) -> Element:
    """The notification of an event.

    Args:
        event: with its number.
        run: of the agent, 32 hexadecimal digits.
    """
    body = event.body
    row = _ROWS[type(body)]
    element = new(row.tag)
    values: list[Any] = [run, event.sequence]
    facts: dict[str, str] = {}
    for field in body.__struct_fields__:
        value = getattr(body, field)
        if field == _ABOUT_FIELD:
            facts = value
        elif field == _PATH_FIELD:
            values += split_key(value)
        else:
            values.append(value)
    row.fill(element, values)
    for fact in islice(facts.items(), limits.MODEL_FACTS):
        _ABOUT.write(element, fact)
    return element


def event_from_xml(element: Element) -> tuple[str, NumberedEvent]:
    """The run of the agent and the event of a notification. What a newer agent may add is passed over.

    Raises:
        RemoteError: there is no such event, or a node is missing, doubled or out of range; it names the node and shows no
            value. The reader misses this number then, and reads the whole state.
    """
    try:
        return _event(element)
    except RequestError as error:
        message = f"notification {error.message}"
    raise RemoteError(message)


def _event(element: Element) -> tuple[str, NumberedEvent]:
    kind, row = _BY_TAG.get(element.tag, (None, None))
    if kind is None or row is None:
        raise RequestError("is of no kind that is known here")
    values = row.read(element, *row.fields)
    run, sequence = values.pop("run"), values.pop("sequence")
    if _PATH_FIELD in kind.__struct_fields__:
        values[_PATH_FIELD] = join_key(*(values.pop(leaf) for leaf in _PATH))
    if _ABOUT_FIELD in kind.__struct_fields__:
        values[_ABOUT_FIELD] = _facts(element)
    # The union of `NumberedEvent.body` names every kind of the table.
    return run, NumberedEvent(sequence=sequence, body=kind(**values))  # type: ignore[arg-type]


def _facts(element: Element) -> dict[str, Any]:
    entries = gather(element, {_ABOUT.name: limits.MODEL_FACTS}, strict=False)[_ABOUT.name]
    read = [_ABOUT.read(entry, "fact", "value") for entry in entries]
    found = {entry["fact"]: entry["value"] for entry in read}
    if len(found) != len(read):
        raise RequestError(f"{local_of(element.tag)}: a fact is there twice")
    return found
