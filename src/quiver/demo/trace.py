"""One key's way through the network, message by message, told from the agents' logs (level DEBUG, `quiver.agent.trace`).

A container names the bytes of end-to-end pad that its keys and its tag used. Those bytes stand at the same place in each hop's
range, and each range is made of pieces of pad segments, whose source key_IDs one agent told the other when the segment was
collected. So the way back from a key to the QKD keys behind it is plain arithmetic, and no log needs to hold a byte of either.
"""

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from quiver.agent.trace import ANSWERED, SENT, digest_of
from quiver.demo.plan import Plan
from quiver.domain import key_ids, limits
from quiver.domain.errors import RemoteError
from quiver.domain.messages import Announcement, Ciphertext, Container, Credit, Ready, Segments
from quiver.domain.network import PathEntry

__all__ = ["Event", "Step", "follow", "read_events", "source_key_ids"]

_SHORT: Final = 8  # characters of a segment's name that a person is shown
Run = tuple[int, int]  # offset and length in bytes


class Event(msgspec.Struct, frozen=True):
    """A message as an agent logged it.

    Attributes:
        at: seconds since 1970, UTC.
        outcomes: one per item where the message is answered; empty where it was sent.
    """

    at: float
    node: str
    peer: str
    kind: str
    items: list[dict[str, Any]]
    outcomes: list[str] = []


class Step(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One message of the key's way.

    Attributes:
        milliseconds: since the first step.
        sender, receiver: nodes.
        message: its kind.
        text: what happened, in plain words.
        path, sequence: of which block.
        source_key_ids: QKD keys behind this key's part of the range.
        segment: the pad segment that they became.
        ciphertext: the first digits of the ciphertext's SHA-256.
    """

    milliseconds: float
    sender: str
    receiver: str
    message: str
    text: str
    path: str | None = None
    sequence: int | None = None
    source_key_ids: list[str] = []
    segment: str | None = None
    ciphertext: str | None = None


def read_events(logs: Iterable[Path]) -> list[Event]:
    """The messages in these logs, in order of time."""
    events = []
    for log in logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("event") in (SENT, ANSWERED):
                at = datetime.datetime.fromisoformat(entry["timestamp"]).timestamp()
                outcomes = entry.get("outcomes", [])
                events.append(Event(at, entry["node"], entry["peer"], entry["kind"], entry["items"], outcomes))
    return sorted(events, key=lambda event: event.at)


def source_key_ids(segment: dict[str, Any], start: int, length: int) -> list[str]:
    """The QKD keys behind `length` bytes of a segment from `start` on; all its keys are equally long."""
    size = segment["length"] // len(segment["key_ids"])
    found: list[str] = segment["key_ids"][start // size : -(-(start + length) // size)]
    return found


def follow(key_id: str, plan: Plan, entries: Mapping[str, PathEntry], events: Sequence[Event]) -> list[Step]:
    """The steps by which a key came to its slave's node, in order of time.

    Args:
        key_id: of a key that was delivered between two nodes.
        plan: the network.
        entries: path version → entry.
        events: of all agents, from their start on.

    Raises:
        RemoteError: the logs do not tell.
    """
    batch = digest_of(key_ids.parse(key_id)[0])
    sent = [event for event in events if not event.outcomes]
    container, item = _first(sent, Container.kind, {"batch": batch})
    steps: list[tuple[float, Step]] = []
    for path, pieces in item["paths"].items():
        for sequence in dict.fromkeys(piece[0] for piece in pieces):
            runs = [(0, limits.HASH_KEY), *((start, length) for number, start, length in pieces if number == sequence)]
            steps += _block(plan, sent, entries[path], sequence, runs)
    steps.append((container.at, _container_step(container, item, key_id)))
    answer, _ = _first([event for event in events if event.outcomes], Container.kind, {"batch": batch})
    steps.append((answer.at, _answer_step(answer, batch)))
    steps.sort(key=lambda one: one[0])
    for at, step in steps:
        step.milliseconds = round((at - steps[0][0]) * 1000, 1)
    return [step for _, step in steps]


def _first(events: Iterable[Event], kind: str, wanted: dict[str, Any], **where: str) -> tuple[Event, dict[str, Any]]:
    """The first event of a kind with an item that has these members; event and item."""
    for found in _all(events, kind, wanted):
        event = found[0]
        if where.get("node", event.node) == event.node and where.get("peer", event.peer) == event.peer:
            return found
    raise RemoteError(f"the logs hold no {kind} with {', '.join(f'{name} {value}' for name, value in wanted.items())}")


def _all(events: Iterable[Event], kind: str, wanted: dict[str, Any]) -> Iterator[tuple[Event, dict[str, Any]]]:
    for event in events:
        if event.kind == kind:
            for item in event.items:
                if all(item.get(name) == value for name, value in wanted.items()):
                    yield event, item


# --- a block ------------------------------------------------------------------------------------------------------


def _block(
    plan: Plan, sent: Sequence[Event], entry: PathEntry, sequence: int, runs: Sequence[Run]
) -> Iterator[tuple[float, Step]]:
    """How one block came about, as far as the bytes of these runs go."""
    wanted = {"path": entry.key, "sequence": sequence}
    for node in entry.nodes[:-1]:
        event, item = _first(sent, Announcement.kind, wanted, node=node)
        yield from _credit(sent, entry, event)
        yield from _segments(plan, sent, event, item, runs)
        yield event.at, _announcement_step(entry, event, item)
    for node in entry.relays:
        event, item = _first(sent, Ciphertext.kind, wanted, node=node)
        yield event.at, _ciphertext_step(entry, event, item)
    if entry.relays:
        event, item = _first(sent, Ready.kind, wanted)
        text = f"{event.node} has all ciphertexts and its own range: it tells {event.peer} that the block is whole"
        yield event.at, _step(event, text, item)


def _credit(sent: Sequence[Event], entry: PathEntry, announced: Event) -> Iterator[tuple[float, Step]]:
    """The credit under which a range was taken: the last that came before."""
    last = None
    for event, item in _all(sent, Credit.kind, {"path": entry.key}):
        if event.peer == announced.node and event.at < announced.at:
            last = event, item
    if last is not None:
        event, item = last
        text = f"{event.node} lets {event.peer} take pad of {entry.key} up to byte {item['limit']}"
        yield event.at, _step(event, text, item)


def _segments(
    plan: Plan, sent: Sequence[Event], announced: Event, item: dict[str, Any], runs: Sequence[Run]
) -> Iterator[tuple[float, Step]]:
    """The source key_IDs behind these bytes of a range."""
    vendor = plan.link_between(announced.node, announced.peer).vendor
    behind: dict[str, list[str]] = {}
    told: dict[str, tuple[Event, dict[str, Any]]] = {}
    for name, start, length in _parts(item["pieces"], runs):
        told[name] = _first(sent, Segments.kind, {"segment": name})
        known = behind.setdefault(name, [])
        known += [one for one in source_key_ids(told[name][1], start, length) if one not in known]
    for name, (event, segment) in told.items():
        bits = 8 * segment["length"] // len(segment["key_ids"])
        text = (
            f"{event.node} tells {event.peer} the key_IDs of pad segment {name[:_SHORT]}…, {len(segment['key_ids'])} QKD keys of "
            f"{bits} bits of the {vendor} link; behind this key: {', '.join(behind[name])}"
        )
        step = _step(event, text, segment)
        step.source_key_ids, step.segment = behind[name], name
        yield event.at, step


def _parts(pieces: Iterable[Sequence[Any]], runs: Sequence[Run]) -> Iterator[tuple[str, int, int]]:
    """The parts (segment, offset, length) of a range in which these runs of its bytes lie."""
    base = 0
    for name, offset, length in pieces:
        for start, count in runs:
            low, high = max(start, base), min(start + count, base + length)
            if low < high:
                yield name, offset + low - base, high - low
        base += length


# --- words --------------------------------------------------------------------------------------------------------


def _step(event: Event, text: str, item: dict[str, Any]) -> Step:
    return Step(
        milliseconds=0.0,
        sender=event.node,
        receiver=event.peer,
        message=event.kind,
        text=text,
        path=item.get("path"),
        sequence=item.get("sequence"),
        ciphertext=item.get("ciphertext"),
    )


def _announcement_step(entry: PathEntry, event: Event, item: dict[str, Any]) -> Step:
    where = ", ".join(f"[{start}, {start + length}) of {name[:_SHORT]}…" for name, start, length in item["pieces"])
    first = event.node == entry.source
    role = "takes" if first else f"takes the range that {entry.before(event.node)} announced, and"
    text = f"{event.node} {role} {item['length']} bytes of pad towards {event.peer}, and announces them there: {where}"
    return _step(event, text, item)


def _ciphertext_step(entry: PathEntry, event: Event, item: dict[str, Any]) -> Step:
    before, after = entry.before(event.node), entry.after(event.node)
    text = (
        f"{event.node} XORs its {before}–{event.node} range with its {event.node}–{after} range, sends the result straight to "
        f"{event.peer} and keeps neither (SHA-256 {item['ciphertext']}…)"
    )
    return _step(event, text, item)


def _container_step(event: Event, item: dict[str, Any], key_id: str) -> Step:
    where = "; ".join(
        f"[{start}, {start + length}) of block {number} of {path}"
        for path, pieces in item["paths"].items()
        for number, start, length in pieces
    )
    text = (
        f"{event.node} draws a fresh key of {item['bits']} bits, key_ID {key_id}, XORs it with {where}, the tag's 16 bytes "
        f"included, and sends container {item['number']} straight to {event.peer} (SHA-256 {item['ciphertext']}…)"
    )
    return _step(event, text, item)


def _answer_step(event: Event, batch: str) -> Step:
    found = [outcome for item, outcome in zip(event.items, event.outcomes, strict=True) if item.get("batch") == batch]
    text = f"{event.node} restores the key, checks the tag and answers {event.peer} once it is durable: {found[0]}"
    return Step(milliseconds=0.0, sender=event.node, receiver=event.peer, message="acknowledgement", text=text)
