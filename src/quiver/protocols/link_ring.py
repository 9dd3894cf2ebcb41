"""The keys of one end of the link encryptor: what is sent under which, and what is accepted.

It sends under the active key. It accepts the active one, the one that is ready and the one before: whichever end changes first,
nothing is lost at a change. It also accepts what comes under its first key before it is told to send. Nothing passes without a
key, and nothing at all while it is blocked.
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.errors import ConflictError, NotFoundError
from quiver.domain.secret import Secret
from quiver.protocols.link_frames import OVERHEAD, Carrier, Drop, Header, Subkey, key_tag, read_header
from quiver.protocols.link_window import ReplayWindow

__all__ = ["KeyRing"]

_COUNTERS: Final = 1 << 64


class _Held:
    """One key, with what was done under it."""

    def __init__(self, key_id: str, key: Secret, *, initiator: bool, window: int) -> None:
        self.key_id: Final = key_id
        self.tag: Final = key_tag(key_id)
        self.outward: Final = Subkey(key, key_id, initiator=initiator)
        self.inward: Final = Subkey(key, key_id, initiator=not initiator)
        self.window: Final = ReplayWindow(window)
        self.sealed = 0  # frames
        self.opened = 0  # frames
        self.carried = 0  # bytes of payload in both directions
        self.heard = False  # whether a frame came since it was switched to, or ready


class KeyRing:
    """At most three keys.

    Args:
        carrier: what frames are for.
        initiator: whether this is the end that begins rollovers.
        frames: that may be sealed under one key.

    Attributes:
        active: key_ID of the key that it sends under; None before the first, and while it is blocked.
        blocked: whether nothing passes.
        sent, received: frames; `sent_bytes` and `received_bytes`: of their payloads.
        dropped: how much, by cause.
    """

    def __init__(self, carrier: Carrier, *, initiator: bool, frames: int = limits.ENCRYPTOR_FRAMES) -> None:
        self._carrier: Final = carrier
        self._initiator: Final = initiator
        self._frames: Final = frames
        self._window: Final = 1 if carrier is Carrier.TCP else limits.ENCRYPTOR_WINDOW  # TCP: what comes is higher
        self._active: _Held | None = None
        self._before: _Held | None = None
        self._ready: _Held | None = None
        self._counter = 0  # of the next frame; never set back, so that no key sees one twice
        self.blocked = False
        self.sent = self.received = 0
        self.sent_bytes = self.received_bytes = 0
        self.dropped: Final[dict[Drop, int]] = dict.fromkeys(Drop, 0)

    # --- keys -----------------------------------------------------------------------------------------------------

    @property
    def active(self) -> str | None:
        """Described above."""
        return self._active.key_id if self._active is not None else None

    def stage(self, key_id: str, key: Secret) -> None:
        """Accept frames under a key from now on, and wipe it: what is needed is derived. An older one that was ready goes.

        Raises:
            ConflictError: a key of this tag is held.
        """
        tag = key_tag(key_id)
        if any(held.tag == tag for held in (self._active, self._before) if held is not None):
            raise ConflictError(f"the key {key_id} was given before")
        self._ready = _Held(key_id, key, initiator=self._initiator, window=self._window)
        key.wipe()

    def switch(self, key_id: str) -> None:
        """Send under the key that is ready, or under the one before again; it is no longer blocked.

        Raises:
            NotFoundError: neither has this key_ID.
        """
        if self.active != key_id:
            held = next((one for one in (self._ready, self._before) if one is not None and one.key_id == key_id), None)
            if held is None:
                raise NotFoundError(f"no key {key_id} is ready")
            if held is self._ready:
                self._ready = None
            else:
                held.heard = False  # it is to be proven anew
            self._active, self._before = held, self._active or (self._before if self._before is not held else None)
        self.blocked = False

    def proven(self, key_id: str) -> bool:
        """Whether the other end was heard under this key, which is the active one."""
        return self._active is not None and self._active.key_id == key_id and self._active.heard

    def retire(self) -> None:
        """Forget all keys but the active one."""
        self._before = self._ready = None

    def block(self) -> None:
        """Let nothing pass until the next switch."""
        self._active, self._before = None, self._active or self._before
        self.blocked = True

    def hungry(self, most: int) -> bool:
        """Whether a new key is wanted.

        Args:
            most: bytes of payload in both directions.
        """
        held = self._active
        return held is not None and (
            held.carried >= most
            or max(held.sealed, held.opened) >= min(limits.ENCRYPTOR_FRAMES_HUNGRY, self._frames // 2)
        )

    # --- frames ---------------------------------------------------------------------------------------------------

    def seal(self, payload: bytes) -> bytes | Drop:
        """A payload as a frame under the active key; why it cannot be sent, which is counted."""
        held = self._active
        if held is None:
            return self.drop(Drop.BLOCKED if self.blocked else Drop.NO_KEY)
        if not 0 < len(payload) <= limits.ENCRYPTOR_PAYLOAD:
            return self.drop(Drop.OVERSIZE)
        if held.sealed >= self._frames or self._counter >= _COUNTERS:
            return self.drop(Drop.EXHAUSTED)
        header = Header(self._carrier, len(payload), held.tag, self._counter)
        self._counter += 1
        held.sealed += 1
        held.carried += len(payload)
        self.sent += 1
        self.sent_bytes += len(payload)
        return held.outward.seal(header, payload)

    def open(self, frame: bytes) -> bytes | Drop:
        """The payload of a whole frame; why it is not accepted, which is counted."""
        header = read_header(frame)
        if isinstance(header, Drop):
            return self.drop(header)
        found = self._found(header, len(frame))
        if isinstance(found, Drop):
            return self.drop(found)
        payload = found.inward.open(header, frame)
        if payload is None:
            return self.drop(Drop.WRONG_TAG)
        found.window.mark(header.counter)  # now that it is known to be genuine
        found.heard = True
        found.opened += 1
        found.carried += len(payload)
        self.received += 1
        self.received_bytes += len(payload)
        return payload

    def drop(self, cause: Drop) -> Drop:
        """Count something that was dropped; its cause."""
        self.dropped[cause] += 1
        return cause

    def _found(self, header: Header, length: int) -> _Held | Drop:
        """The key under which a frame of this length may be opened."""
        if header.length + OVERHEAD != length:
            return Drop.MALFORMED
        if header.carrier != self._carrier:
            return Drop.OTHER_CARRIER
        if self.blocked:
            return Drop.BLOCKED
        for held in (self._active, self._ready, self._before):
            if held is not None and held.tag == header.tag:
                return held if held.window.fresh(header.counter) else Drop.REPLAYED
        return Drop.UNKNOWN_KEY
