"""The two key management entities at the ends of one QKD link, as their vendor makes them.

A `Link` is the channel, the keys and two `Kme`; each answers the three methods of ETSI GS QKD 014 as objects, without
sockets. The simulator puts HTTPS in front of it, the network simulation calls it directly. The errors of the one tree
come out; `Profile.render` says how the vendor words them.
"""

import random
from typing import Final

import msgspec

from quiver.domain.errors import RequestError, UnauthorizedError
from quiver.domain.ports import Clock, Entropy
from quiver.protocols import etsi014_checks as checks
from quiver.protocols.etsi014 import Extension, Key, KeyContainer, KeyIDs, KeyRequest, Status
from quiver.qkd.buffer import KeyBuffer, RawKey
from quiver.qkd.channel import ChannelState, Fibre, QuantumChannel
from quiver.qkd.profiles import Profile

__all__ = ["End", "Kme", "Link"]

ROOM: Final = 4  # keys that may wait at an end, as a multiple of the buffer's size


class End(msgspec.Struct, frozen=True, kw_only=True):
    """Names at one end: of the KME, and of the one SAE (the agent) that it serves."""

    kme_id: str
    sae_id: str


class Link:
    """Two KMEs behind one quantum channel.

    Args:
        profile: the vendor's device.
        fibre: length and loss.
        ends: names at either end.
        clock: monotonic.
        entropy: random bytes for keys; the operating system's, or seeded in tests.
        randomness: for the fluctuation of the channel.
        time_scale: seconds of channel time per second.
    """

    def __init__(
        self,
        profile: Profile,
        fibre: Fibre,
        ends: tuple[End, End],
        *,
        clock: Clock,
        entropy: Entropy,
        randomness: random.Random,
        time_scale: float = 1.0,
    ) -> None:
        self.profile = profile
        self.clock = clock
        self.channel = QuantumChannel(profile.physics, fibre, randomness=randomness, time_scale=time_scale)
        self.buffer = KeyBuffer(
            capacity=profile.buffer_keys * profile.key_size,
            room=ROOM * profile.buffer_keys,
            keep=profile.keep,
            entropy=entropy,
        )
        self.channel.advance(clock.now())
        self.kmes = (Kme(self, 0, ends[0], ends[1]), Kme(self, 1, ends[1], ends[0]))

    def advance(self) -> float:
        """Let the channel fill the buffer until now; returns the time."""
        now = self.clock.now()
        self.buffer.fill(self.channel.advance(now))
        return now

    def set_state(self, state: ChannelState) -> None:
        """Break or repair the channel."""
        self.buffer.fill(self.channel.set_state(state, self.clock.now()))


class Kme:
    """One end of a link. Calls name the peer's SAE, as the URL of the standard does."""

    def __init__(self, link: Link, number: int, here: End, there: End) -> None:
        self._link = link
        self._number = number
        self.here = here
        self.there = there
        profile = link.profile
        self.limits = checks.RequestLimits(
            key_size=profile.key_size,
            min_key_size=profile.min_key_size,
            max_key_size=profile.max_key_size,
            max_keys=profile.max_keys,
        )

    def authorise(self, names: "set[str]", peer: str) -> None:
        """The caller, with these names in its certificate, may ask for keys that it shares with `peer`.

        Raises:
            UnauthorizedError: it is not the SAE of this end.
            RequestError: `peer` is not the SAE of the other end.
        """
        if self.here.sae_id not in names:
            raise UnauthorizedError("the certificate does not name an SAE of this KME")
        if peer != self.there.sae_id:
            raise RequestError(f"SAE_ID in the path: no QKD link leads there; allowed is {self.there.sae_id}")

    def status(self) -> Status:
        """Get status, with the vendor's extensions."""
        self._link.advance()
        profile, limits = self._link.profile, self.limits
        return Status(
            source_kme_id=self.here.kme_id,
            target_kme_id=self.there.kme_id,
            master_sae_id=self.here.sae_id,
            slave_sae_id=self.there.sae_id,
            key_size=profile.key_size,
            stored_key_count=self._link.buffer.bits // profile.key_size,
            max_key_count=profile.buffer_keys,
            max_key_per_request=limits.max_keys,
            max_key_size=limits.max_key_size,
            min_key_size=limits.min_key_size,
            max_sae_id_count=0,
            status_extension=self._status_extension(),
        )

    def get_key(self, request: KeyRequest) -> KeyContainer:
        """Get key: new keys, which the other end can fetch from now on.

        Raises:
            RequestError: the request is not one that this device takes.
            UnavailableError: there are not enough keys.
        """
        checks.check_extensions(request, ())
        number, size = checks.check_key_request(request, self.limits)
        now = self._link.advance()
        partial = self._link.profile.partial
        return self._container(self._link.buffer.take(self._number, number, size, now, partial=partial))

    def get_key_with_ids(self, key_ids: KeyIDs) -> KeyContainer:
        """Get key with key IDs: keys that the other end got, each once.

        Raises:
            RequestError: the request is not one that this device takes.
            KeyNotFoundError: one of the keys is not here; none was consumed.
        """
        wanted = checks.check_key_ids(key_ids, self.limits.max_keys)
        now = self._link.advance()
        if self._link.profile.exact_case and any(
            entry.key_id != self._spell(key_id) for entry, key_id in zip(key_ids.key_ids, wanted, strict=True)
        ):
            wanted = ["" for _ in wanted]  # this vendor looks up the text itself
        return self._container(self._link.buffer.fetch(self._number, wanted, now))

    def _spell(self, key_id: str) -> str:
        return key_id.upper() if self._link.profile.upper_case else key_id

    def _container(self, keys: list[RawKey]) -> KeyContainer:
        profile = self._link.profile
        name = profile.name
        return KeyContainer(
            keys=tuple(
                Key(
                    key_id=self._spell(raw.key_id),
                    key=raw.key,
                    key_id_extension={f"{name}_link": self.there.kme_id} if profile.id_metadata else None,
                    key_extension={f"{name}_size": len(raw.key) * 8} if profile.key_metadata else None,
                )
                for raw in keys
            ),
            key_container_extension=(
                {f"{name}_left": self._link.buffer.bits // profile.key_size} if profile.container_metadata else None
            ),
        )

    def _status_extension(self) -> Extension | None:
        dialect, channel = self._link.profile.dialect, self._link.channel
        extension: Extension = {}
        if dialect.qber_field and channel.qber is not None:
            _place(extension, dialect.qber_field, round(channel.qber / dialect.qber_scale, 6))
        if dialect.state_field:
            up = channel.rate > 0
            first = dialect.up_values[0]
            down: str | bool | int = "down" if isinstance(first, str) else type(first)(0)
            _place(extension, dialect.state_field, first if up else down)
        return extension or None


def _place(extension: Extension, field: str, value: object) -> None:
    """Put a value at a dotted place."""
    *path, last = field.split(".")
    for name in path:
        extension = extension.setdefault(name, {})
    extension[last] = value
