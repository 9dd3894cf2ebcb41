"""Collecting: keys of a QKD link's devices become pad segments that both ends hold and have compared.

Rules that this module keeps (design section 3, Collect and Check):

* The end that called *Get key* owns the segment. The neighbour puts the keys into the owner's order by their key_ID,
  compared without case, never by position.
* Only a segment whose check came out right is used; a wrong one is burned and the alarm names this link.
* A part that fails voids the whole segment; "not found" is asked again for a bounded time first.
* A key_ID or key seen before is refused, as far as a memory of bounded size reaches back.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from quiver.domain import check, limits
from quiver.domain.context import Context
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.messages import Answer, Confirmation, Outcome, Segments
from quiver.domain.network import LinkEntry
from quiver.domain.records import Seen, Segment, SegmentState
from quiver.domain.secret import Secret

__all__ = ["Collector", "DeviceFetch", "DeviceGet", "QkdKey"]

QkdKey = tuple[str, Secret]  # key_ID and key, as a device hands them out


class DeviceGet(msgspec.Struct, frozen=True):
    """Call *Get key* on this end's device."""

    link: str
    number: int


class DeviceFetch(msgspec.Struct, frozen=True):
    """Call *Get key with key IDs* on this end's device."""

    link: str
    segment: str
    key_ids: tuple[str, ...]


_SEGMENT: Final = re.compile(r"[0-9a-f]{32}")


class _Fresh(msgspec.Struct, frozen=True, eq=False):
    """A key that was not seen before, with its fingerprints."""

    key_id: str
    key: Secret
    marks: tuple[int, int]


class _Fetch(msgspec.Struct, eq=False):
    missing: dict[str, str]  # in lower case → as announced, in the owner's order
    until: float
    found: dict[str, _Fresh] = {}
    flying: bool = False
    again_at: float = 0.0


class Collector:
    """One QKD link at one of its ends.

    Args:
        context: the node.
        link: the link's entry.
        seen: durable fingerprints of this link.
    """

    def __init__(self, context: Context, link: LinkEntry, seen: Iterable[Seen]) -> None:
        self._context: Final = context
        self.link = link
        self.facts: DeviceFacts | None = None
        self._gathered: list[_Fresh] = []
        self._gathered_bytes = 0
        self._since = 0.0
        self._getting = False
        self._asked = 0  # keys, with the last *Get key*
        self._pause_until = 0.0
        self._pause = limits.REPEAT_FIRST
        self._fetches: Final[dict[str, _Fetch]] = {}
        self._announced_at: Final[dict[str, float]] = {}
        self._seen: Final = sorted(seen, key=lambda record: record.order)
        # Keyed BLAKE2b (RFC 7693): nobody who reads the memory can try keys against it. Keyed once: there are two for each key.
        self._name_hash: Final = hashlib.blake2b(b"id ", digest_size=8, key=context.audit_salt)
        self._key_hash: Final = hashlib.blake2b(b"key ", digest_size=8, key=context.audit_salt)
        self._fingerprints: Final = {mark for record in self._seen for mark in record.fingerprints}
        self.failures = 0  # of *Get key* in a row
        self.refusals = 0  # of all calls, since the start

    @property
    def _pads(self) -> dict[str, Segment]:
        return self._context.pads[self.link.neighbour].segments

    # --- the owner's side -----------------------------------------------------------------------------------------

    def calls(self) -> list[DeviceGet | DeviceFetch]:
        """What to ask of the device now. Each call is answered by `got`, `fetched` or a failure."""
        now = self._context.clock.now()
        if self._pause_until <= now:
            self._pause_until = 0.0
        made: list[DeviceGet | DeviceFetch] = []
        if self._wants(now) and self.facts is not None:
            self._getting = True
            missing = self._target() - self._gathered_bytes
            number = -(-missing * 8 // self.facts.key_size)
            self._asked = max(1, min(self.facts.most, number))
            made.append(DeviceGet(self.link.id, self._asked))
        for segment, fetch in self._fetches.items():
            if not fetch.flying and fetch.again_at <= now and self.facts is not None:
                fetch.flying = True
                made.append(DeviceFetch(self.link.id, segment, tuple(islice(fetch.missing.values(), self.facts.most))))
        return made

    @property
    def due(self) -> float | None:
        """When a pause of the device's ends, until `calls` has seen that; None where there is none."""
        if self.facts is None or not (self._fetches or self._pause_until):
            return None
        moments = [fetch.again_at for fetch in self._fetches.values() if not fetch.flying]
        if self._pause_until:
            moments.append(self._pause_until)
        return min(moments, default=None)

    def _target(self) -> int:
        """Bytes of the next segment: an eighth of the level, within the limits."""
        return max(limits.SEGMENT_MIN, min(limits.SEGMENT_MAX, self.link.level // 8))

    def _wants(self, now: float) -> bool:
        if not self.link.collect or self._getting or now < self._pause_until:
            return False
        pads = self._context.pads[self.link.neighbour]
        if pads.level(self.link.id) + limits.SEGMENT_MIN > self.link.level:  # first what is so most of the time
            return False
        if self._context.outbox.full:
            return False
        if len(pads.segments) >= limits.SEGMENTS_PER_LINK or pads.announced(self.link.id) >= limits.HANDOVERS_OPEN:
            return False
        return self._context.met(self.link.neighbour) and self._context.link_up(self.link.id)

    def got(self, keys: Sequence[QkdKey]) -> None:
        """The device has answered *Get key*; no key is a refusal; fewer than asked for, or none fresh: it is dry."""
        if not keys:
            self.refused()
            return
        self._getting, self._pause, self.failures = False, limits.REPEAT_FIRST, 0
        now = self._context.clock.now()
        if not self._gathered:
            self._since = now
        before = len(self._gathered)
        for key_id, key in keys:
            if self.facts is not None and 8 * len(key) != self.facts.key_size:
                self._context.journal.alarm("key-size", link=self.link.id, bits=8 * len(key))
            elif (fresh := self._fresh(key_id, key)) is None:
                self._context.journal.alarm("key-repeated", link=self.link.id)
            else:
                self._gathered.append(fresh)
                self._gathered_bytes += len(key)
                self._fingerprints.update(fresh.marks)  # the next of the same answer may be its repeat
        dry = len(keys) < self._asked or len(self._gathered) == before
        if dry:
            self._pause_until = now + limits.REPEAT_FIRST  # not a call for each single key that it makes
        self._announce_if_full(now, dry=dry)

    def refused(self) -> None:
        """The device has refused *Get key*, or did not answer: ask again later, less and less often."""
        self._getting = False
        self.failures += 1
        self.refusals += 1
        now = self._context.clock.now()
        self._pause_until = now + self._pause
        self._pause = min(2 * self._pause, limits.REPEAT_MOST)
        self._announce_if_full(now, dry=True)

    def _announce_if_full(self, now: float, *, dry: bool) -> None:
        enough = self._gathered_bytes >= (limits.SEGMENT_MIN if dry else self._target())
        late = self._gathered_bytes > 2 * limits.LINK_CHECK and now - self._since >= limits.SEGMENT_TIME
        if enough or late:
            self._announce()

    def _announce(self) -> None:
        name = self._context.entropy.draw(16).hex()
        keys, self._gathered, self._gathered_bytes = self._gathered, [], 0
        material = b"".join(fresh.key.reveal() for fresh in keys)
        segment = Segment(
            segment=name,
            link=self.link.id,
            neighbour=self.link.neighbour,
            owner=self._context.node,
            state=SegmentState.ANNOUNCED,
            length=len(material),
            key_ids=[fresh.key_id for fresh in keys],
            mark=limits.LINK_CHECK,
        )
        segment.secret = Secret(material)
        for fresh in keys:
            fresh.key.wipe()
        self._context.pads[self.link.neighbour].add(segment)
        self._remember(segment, keys)
        self._announced_at[name] = self._context.clock.now()
        announcement = Segments(segment=name, link=self.link.id, key_ids=tuple(segment.key_ids), length=segment.length)
        self._context.outbox.post(self.link.neighbour, name, announcement, lambda answer: self._heard(name, answer))

    def _heard(self, name: str, answer: Answer) -> None:
        if answer.outcome is not Outcome.DONE:
            self._burn(name, f"handover-{answer.outcome.value}")

    def confirmed(self, item: Confirmation) -> Answer:
        """The neighbour says that it holds the segment, and proves it; or that it is void."""
        segment = self._pads.get(item.segment)
        if segment is None or segment.owner != self._context.node:
            return Answer(Outcome.VOID)
        if segment.state is not SegmentState.ANNOUNCED:
            same = segment.check == item.nonce + item.tag
            return Answer(Outcome.DONE if same else Outcome.VOID)
        if not item.tag:
            self._burn(item.segment, "handover-failed")
            return Answer(Outcome.DONE)
        assert segment.secret is not None
        if not check.verify_link(segment.secret, bytes.fromhex(item.nonce), bytes.fromhex(item.tag)):
            self._mismatch(segment)
            return Answer(Outcome.WRONG_TAG)
        segment.check, segment.key_ids = item.nonce + item.tag, []
        self._context.outbox.cancel(self.link.neighbour, Segments.kind, item.segment)
        self._announced_at.pop(item.segment, None)
        self._context.journal.erase(segment, 0, limits.LINK_CHECK)
        self._context.pads[self.link.neighbour].make_usable(segment)
        return Answer(Outcome.DONE)

    # --- the neighbour's side -------------------------------------------------------------------------------------

    def announced(self, item: Segments) -> Answer:
        """The neighbour owns a new segment: fetch its keys from this end's device."""
        known = self._pads.get(item.segment)
        if known is not None:
            same = known.owner == self.link.neighbour and known.length == item.length
            return Answer(Outcome.DONE if same else Outcome.REFUSED)
        open_here = sum(1 for s in self._pads.values() if s.state is SegmentState.FETCHING)
        if open_here >= 2 * limits.HANDOVERS_OPEN or len(self._pads) >= limits.SEGMENTS_PER_LINK:
            return Answer(Outcome.REFUSED, "too many segments")
        names = {key_id.lower() for key_id in item.key_ids}
        allowed = limits.LINK_CHECK < item.length <= 2 * limits.SEGMENT_MAX
        if len(names) != len(item.key_ids) or not allowed or not _SEGMENT.fullmatch(item.segment):
            return Answer(Outcome.REFUSED, "key_IDs repeat, or the length or the segment's id is not allowed")
        segment = Segment(
            segment=item.segment,
            link=self.link.id,
            neighbour=self.link.neighbour,
            owner=self.link.neighbour,
            state=SegmentState.FETCHING,
            length=item.length,
            key_ids=list(item.key_ids),
        )
        self._context.pads[self.link.neighbour].add(segment)
        until = self._context.clock.now() + limits.FETCH_RETRY
        self._fetches[item.segment] = _Fetch(missing={key_id.lower(): key_id for key_id in item.key_ids}, until=until)
        return Answer(Outcome.DONE)

    def fetched(self, name: str, keys: Sequence[QkdKey]) -> None:
        """The device has answered *Get key with key IDs* for a part of a segment."""
        fetch = self._fetches.get(name)
        if fetch is None:
            return
        fetch.flying, before = False, len(fetch.missing)
        for key_id, key in keys:
            spelt = key_id.lower()
            fresh = self._fresh(key_id, key) if spelt in fetch.missing else None
            if fresh is not None:
                fetch.found[spelt] = fresh
                del fetch.missing[spelt]
        if len(fetch.missing) == before:  # none of those asked for, or none that is fresh
            self.fetch_failed(name, again=False)
        elif not fetch.missing:
            self._confirm(name, fetch)

    def fetch_failed(self, name: str, *, again: bool) -> None:
        """The device did not hand the keys out: ask again while the time allows (a fresh key may be late), or void it."""
        self.refusals += 1
        fetch = self._fetches.get(name)
        if fetch is None:
            return
        fetch.flying = False
        now = self._context.clock.now()
        if again and now < fetch.until:
            fetch.again_at = now + limits.REPEAT_FIRST
        else:
            self._give_up(name)

    def _give_up(self, name: str) -> None:
        self._fetches.pop(name, None)
        self._burn(name, "handover-failed")
        self._tell(Confirmation(segment=name), lambda answer: None)

    def _confirm(self, name: str, fetch: _Fetch) -> None:
        del self._fetches[name]
        segment = self._pads[name]
        found = [fetch.found[key_id.lower()] for key_id in segment.key_ids]
        material = b"".join(fresh.key.reveal() for fresh in found)
        if len(material) != segment.length:
            self._give_up(name)
            return
        whole = Secret(material)
        nonce = self._context.entropy.draw(limits.LINK_CHECK)
        tag = check.link_tag(whole, nonce)
        segment.move(SegmentState.CONFIRMING)
        segment.secret, segment.check = whole, nonce.hex() + tag.hex()
        self._remember(segment, found)
        segment.key_ids = []
        segment.accepted.add(0, limits.LINK_CHECK)
        whole.wipe(0, limits.LINK_CHECK)  # s is spent: not even this end's storage keeps it
        self._context.journal.put(segment, secret=True)
        confirmation = Confirmation(segment=name, nonce=nonce.hex(), tag=tag.hex())
        self._tell(confirmation, lambda answer: self._judged(name, answer))

    def _tell(self, item: Confirmation, on_answer: Callable[[Answer], None]) -> None:
        self._context.outbox.post(self.link.neighbour, item.segment, item, on_answer)

    def _judged(self, name: str, answer: Answer) -> None:
        segment = self._pads.get(name)
        if segment is None or segment.state is not SegmentState.CONFIRMING:
            return
        if answer.outcome is Outcome.DONE:
            self._context.pads[self.link.neighbour].make_usable(segment)
        elif answer.outcome is Outcome.WRONG_TAG:
            self._mismatch(segment)
        else:
            self._burn(name, "handover-void")

    # --- both -----------------------------------------------------------------------------------------------------

    def _mismatch(self, segment: Segment) -> None:
        self._context.journal.alarm("link-mismatch", link=self.link.id, segment=segment.segment)
        self._burn(segment.segment, "link-mismatch")

    def _burn(self, name: str, cause: str) -> None:
        self._announced_at.pop(name, None)
        if name in self._pads:
            self._context.outbox.cancel(self.link.neighbour, Segments.kind, name)
            self._context.pads[self.link.neighbour].burn(name, cause)

    def expire(self) -> None:
        """Burn own segments that the neighbour never confirmed, and hand over what lies here too long."""
        now = self._context.clock.now()
        for name in [name for name, then in self._announced_at.items() if then + limits.HANDOVER_TIME <= now]:
            self._burn(name, "handover-timeout")
        self._announce_if_full(now, dry=True)

    def dropped(self) -> None:
        """Segments were burned by a meeting: forget what was under way for those that are gone."""
        for name in [name for name in self._fetches if name not in self._pads]:
            del self._fetches[name]
        for name in [name for name in self._announced_at if name not in self._pads]:
            del self._announced_at[name]

    def close(self, cause: str) -> None:
        """The link is gone: burn what is under hand-over, and forget the keys that it has seen."""
        for fresh in self._gathered:
            fresh.key.wipe()
        self._gathered, self._gathered_bytes = [], 0
        for name in list(self._fetches):
            self._give_up(name)
        for name in list(self._announced_at):
            self._burn(name, cause)
        for record in self._seen:
            self._context.journal.delete(record, lazy=True)

    # --- keys seen before -----------------------------------------------------------------------------------------

    def _fresh(self, key_id: str, key: Secret) -> _Fresh | None:
        """The key with its fingerprints; None where it or its key_ID was seen before."""
        marks = _fingerprint(self._name_hash, key_id.lower().encode()), _fingerprint(self._key_hash, key.reveal())
        return _Fresh(key_id, key, marks) if self._fingerprints.isdisjoint(marks) else None

    def _remember(self, segment: Segment, keys: Iterable[_Fresh]) -> None:
        marks = [mark for fresh in keys for mark in fresh.marks]
        order = self._seen[-1].order + 1 if self._seen else 0
        record = Seen(segment=segment.segment, link=self.link.id, order=order, fingerprints=marks)
        self._seen.append(record)
        self._fingerprints.update(marks)
        self._context.journal.put(record)
        while len(self._fingerprints) > limits.SEEN_PER_LINK and len(self._seen) > 1:
            oldest = self._seen.pop(0)
            self._fingerprints.difference_update(oldest.fingerprints)
            self._context.journal.delete(oldest, lazy=True)


def _fingerprint(begun: "hashlib.blake2b", what: bytes) -> int:
    whole = begun.copy()
    whole.update(what)
    return int.from_bytes(whole.digest(), "big") >> 1  # 63 bits fit any database's integer
