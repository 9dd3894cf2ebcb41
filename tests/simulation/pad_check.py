"""Rule 1 from outside: every pad byte that stands in a recorded message, at the end that sent it, in one message only.

The check knows the devices' keys and the recorded messages, nothing else: it restores each segment from the key_IDs that its
owner announced, finds for every relay's ciphertext the two ranges of which it is the XOR, and for every container the range
behind the block that it takes from.
"""

import hashlib
import json
from collections import defaultdict

from quiver.domain import limits
from quiver.domain.messages import Announcement, Ciphertext, Confirmation, Container, Segments

from .scenery import Scenery


class PadBook:
    """All uses of pad in a run's recorded messages."""

    def __init__(self, scenery: Scenery):
        self._made = {key_id: key for link in scenery.devices.values() for key_id, key in link.made.items()}
        self._entries = {}
        self._liars = scenery.transport.liars
        self.pads: dict[str, bytes] = {}
        self._said: dict[tuple[str, str, int], list] = defaultdict(list)  # (node, path, sequence) → ranges announced
        self._uses: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
        self._known: set[str] = set()
        self.violations: list[str] = []
        for entry in scenery.all_paths:
            self._entries[entry.key] = entry
        readers = {
            Segments: self._segments,
            Announcement: self._announcement,
            Ciphertext: self._ciphertext,
            Confirmation: self._confirmation,
            Container: self._container,
        }
        for message in scenery.transport.record:
            for item in message.items:
                reader = readers.get(type(item))
                if reader is not None:
                    reader(message.sender, item)
        self._find_overlaps()

    def _segments(self, sender, item) -> None:
        self.pads[item.segment] = b"".join(self._made[key_id.lower()] for key_id in item.key_ids)

    def _announcement(self, sender, item) -> None:
        said = self._said[sender, item.key, item.sequence]
        if item.pieces not in said:
            said.append(item.pieces)

    def _bytes(self, pieces) -> bytes:
        return b"".join(self.pads[p.segment][p.offset : p.offset + p.length] for p in pieces)

    def _use(self, node: str, pieces, name: str) -> None:
        for segment, offset, length in pieces:
            self._uses[node, segment].append((offset, offset + length, name))

    def _fresh(self, *parts: object) -> str | None:
        name = hashlib.sha256(repr(parts).encode()).hexdigest()
        if name in self._known:
            return None
        self._known.add(name)
        return name

    def _ciphertext(self, sender, item) -> None:
        if sender in self._liars:
            return  # what a hostile node does with its own pad is its own affair
        sent = item.ciphertext.reveal()
        name = self._fresh("ciphertext", sender, item.key, item.sequence, sent)
        if name is None:
            return
        before = self._entries[item.key].before(sender)
        for into in self._said[before, item.key, item.sequence]:
            for out in self._said[sender, item.key, item.sequence]:
                if xor(self._bytes(into), self._bytes(out)) == sent:
                    self._use(sender, [(p.segment, p.offset, p.length) for p in (*into, *out)], name)
                    return
        self.violations.append(f"{sender}: ciphertext {item.key}#{item.sequence} is not the XOR of announced ranges")

    def _confirmation(self, sender, item) -> None:
        if item.tag:
            name = self._fresh("link check", sender, item.segment, item.tag)
            if name is not None:
                self._use(sender, [(item.segment, 0, limits.LINK_CHECK)], name)

    def _container(self, sender, item) -> None:
        name = self._fresh("container", sender, item.header, item.ciphertext.reveal(), item.tag)
        if name is None:
            return
        header = json.loads(item.header)
        for path, (_, pieces) in header["paths"].items():
            for sequence, offset, length in pieces:
                ranges = self._said[sender, path, sequence]
                if not ranges:
                    self.violations.append(f"{sender}: container over unknown block {path}#{sequence}")
                    continue
                self._use(sender, list(_cut(ranges[-1], offset, length)), name)

    def _find_overlaps(self) -> None:
        for (node, segment), uses in self._uses.items():
            uses.sort()
            top, last = 0, ""
            for start, stop, name in uses:
                if start < top and name != last:
                    self.violations.append(f"{node}: bytes [{start}, {min(top, stop)}) of segment {segment} used twice")
                if stop > top:
                    top, last = stop, name


def xor(one: bytes, other: bytes) -> bytes:
    """The XOR of two byte strings, as long as the shorter of them."""
    length = min(len(one), len(other))
    return (int.from_bytes(one[:length]) ^ int.from_bytes(other[:length])).to_bytes(length)


def _cut(pieces, offset: int, length: int):
    """The parts of a range that [offset, offset + length) of its bytes covers."""
    for piece in pieces:
        if offset < piece.length and length > 0:
            count = min(length, piece.length - offset)
            yield piece.segment, piece.offset + offset, count
            length -= count
            offset = 0
        else:
            offset -= min(offset, piece.length)
