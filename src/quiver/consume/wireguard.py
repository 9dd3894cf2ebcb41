"""WireGuard: the relayed key becomes the pre-shared key of one peer, by the tool `wg`, in the kernel or in userspace.

A new pre-shared key counts from the next handshake on, which WireGuard makes every 120 s while packets flow; the session under
the old one goes on until then, so that nothing is lost at the change. Where only one end has changed when a handshake is due,
it fails and is tried again 5 s later. Sessions end 180 s after their handshake (J. Donenfeld, WireGuard, NDSS 2017, section 6.1).

A handshake proves the key: its second message is made with it. Of one that began before the change, the end that answered may
learn of its success after the change; the end that began it never does. So a key is proven when *both* ends have seen a
handshake since they changed.

Whoever makes the interface anew, as `wg-quick` does, takes the pre-shared key away: two ends without one would agree without
anything of the network. So at each look a peer without the key in use gets it again, and before the first key, or while the
tunnel is blocked, one that nobody else has.
"""

import base64
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from quiver.consume import programs
from quiver.consume.config_tables import WireguardTable
from quiver.consume.held import HeldKeys
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret

__all__ = ["Wireguard"]

_log = structlog.get_logger("quiver.consume.wireguard")

_BITS: Final = 256  # of a pre-shared key
_LEAD: Final = 15.0  # seconds; a round takes less than one, and its key then waits for the handshake
_NONE: Final = "(none)"
_LACKING: Final = frozenset({None, _NONE})  # what is shown of a peer that is not there, or has nothing of the kind
_ONE_TRY: Final = {"WG_ENDPOINT_RESOLUTION_RETRIES": "0"}  # `wg` would go on for longer than a call may take


class Wireguard:
    """One peer of one interface.

    Args:
        table: which.
        wall_clock: seconds since 1970, as `wg` tells handshakes.
    """

    kind: Final = "wireguard"
    key_bits: Final = _BITS
    lead: Final = _LEAD

    def __init__(self, table: WireguardTable, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._table: Final = table
        self._wall_clock: Final = wall_clock
        self._keys: Final = HeldKeys()
        self._since = 0.0  # wall clock of the last switch
        self._before = 0  # the last handshake before it: where a clock was set back, it lies ahead of the switch
        self._handshake = 0  # the last one that was seen
        self._restored = 0
        self._endpoint: str | None = None  # where the peer was when it was taken away
        self._astray = False  # the peer is there, and where it is could not be said

    async def open(self) -> None:
        """A peer without a pre-shared key gets one that nobody else has: nothing passes before the first relayed key.

        Raises:
            TunnelError: the interface or its peer is not there.
        """
        if await self._held() is None:
            await self._bar()

    async def stage(self, key: DeliveredKey) -> None:
        """Nothing is told to WireGuard: it has room for one key."""
        self._keys.stage(key)

    async def switch(self, key_id: str) -> None:
        """Set the key for the next handshake.

        Raises:
            TunnelError: as `open`, or the key is not ready.
        """
        key = self._keys[key_id]
        before = int(await self._shown("latest-handshakes") or 0)
        await self._set(key)
        self._keys.switch(key_id)
        self._before = before
        self._since = self._wall_clock()

    async def proven(self, key_id: str) -> bool:
        """Whether there was a handshake after the switch. `wg` tells whole seconds: that of the switch does not count.

        Raises:
            TunnelError: as `open`.
        """
        self._handshake = int(await self._shown("latest-handshakes") or 0)
        return key_id == self._keys.active and int(self._since) < self._handshake != self._before

    async def intact(self) -> bool:
        """Whether the peer has the key in use, which is set again where it has not; False before the first one.

        An interface that was made anew has none: without this, two of them would do without. A session that began so ends.

        Raises:
            TunnelError: the interface is not there, or does not take the key.
        """
        active, held = self._keys.active, await self._held()
        self._handshake = int(await self._shown("latest-handshakes") or 0)
        if active is None:
            if await self._shown("preshared-keys") == _NONE:
                await self._bar()
                _log.warning("the peer had no pre-shared key; it got one that nobody else has", peer=self._table.peer)
            return False
        if held is None or held != self._keys[active]:
            await self._renew(self._keys[active])
            self._restored += 1
            _log.warning("the peer had lost its pre-shared key; it was set again", peer=self._table.peer)
        elif self._astray:
            await self._point()
        return True

    async def retire(self) -> None:
        """Wipe all keys but the one in use."""
        self._keys.retire()

    async def block(self) -> None:
        """Take the peer away: its session ends at once, and its packets are dropped rather than sent elsewhere.

        Raises:
            TunnelError: the interface is not there.
        """
        await self._remove()
        self._keys.block()

    async def close(self) -> None:
        """The tunnel goes on as it is, under the last key."""

    def hungry(self) -> bool:
        """Never: WireGuard itself renews its session keys every 120 s."""
        return False

    async def packets(self) -> None:
        """None: `wg` counts bytes, those of handshakes among them."""

    def figures(self) -> Mapping[str, float]:
        """When the last handshake was, and how often the key in use had to be set again."""
        return {
            "handshake_timestamp_seconds": float(self._handshake),
            "psk_restored_total": float(self._restored),
        }

    # --- the tool -------------------------------------------------------------------------------------------------

    async def _set(self, key: Secret) -> None:
        """Set the pre-shared key, and what the configuration says of the peer and it lacks: this makes it where it is missing.

        What it has stays: networks that are set again lose packets, and a peer that has moved would be sent for to its old place.
        """
        table = self._table
        words = ["set", table.interface, "peer", table.peer, "preshared-key", "/dev/stdin"]
        if table.keepalive:
            words += ["persistent-keepalive", str(table.keepalive)]
        if table.allowed_ips and await self._shown("allowed-ips") in _LACKING:
            words += ["allowed-ips", ",".join(table.allowed_ips)]
        await self._wg(*words, stdin=Secret(base64.b64encode(key.reveal()) + b"\n"))
        await self._point()

    async def _point(self) -> None:
        """Say where the peer is, unless it knows. A call of its own: a name that does not resolve must not keep the key away."""
        known = self._table.endpoint or self._endpoint
        if known is None or await self._shown("endpoints") not in _LACKING:
            self._astray = False
            return
        reason = ""
        places = dict.fromkeys((known, self._endpoint or known))  # where it was last serves while names do not resolve
        for endpoint in places:
            try:
                await self._wg("set", self._table.interface, "peer", self._table.peer, "endpoint", endpoint)
            except TunnelError as error:
                reason = error.message
            else:
                self._astray = False
                return
        if not self._astray:
            _log.warning("the peer has its key, but no endpoint", reason=reason)
        self._astray = True

    async def _bar(self) -> None:
        """Give the peer a pre-shared key that nobody else has."""
        await self._renew(Secret(os.urandom(_BITS // 8)))

    async def _renew(self, key: Secret) -> None:
        """Give a pre-shared key to a peer that had none, or another one.

        Where the configuration says how to make it, it is made anew: a session that runs without the key ends at once. Else
        such a session ends within 180 s of its handshake.
        """
        if self._table.allowed_ips and await self._shown("preshared-keys") is not None:
            await self._remove()
        await self._set(key)

    async def _remove(self) -> None:
        """Take the peer away."""
        endpoint = await self._shown("endpoints")
        if endpoint not in _LACKING:
            self._endpoint = endpoint
        await self._wg("set", self._table.interface, "peer", self._table.peer, "remove")

    async def _held(self) -> Secret | None:
        """The pre-shared key that the peer has.

        Raises:
            TunnelError: the peer is not there, and the configuration does not say how to make it; or the interface is not.
        """
        shown = await self._shown("preshared-keys")
        if shown is None and not self._table.allowed_ips:
            raise TunnelError(f"{self._table.interface} has no peer {self._table.peer}; allowed_ips would make it")
        return None if shown in _LACKING else Secret(base64.b64decode(shown or ""))

    async def _shown(self, what: str) -> str | None:
        """What `wg show INTERFACE WHAT` says of the peer; None where it is not there."""
        lines = (await self._wg("show", self._table.interface, what)).decode().splitlines()
        found = dict(line.split("\t", 1) for line in lines if "\t" in line)
        return found.get(self._table.peer)

    async def _wg(self, *words: str, stdin: Secret | None = None) -> bytes:
        return await programs.run(
            (self._table.program, *words), time_limit=limits.PROGRAM_TIME, stdin=stdin, variables=_ONE_TRY
        )
