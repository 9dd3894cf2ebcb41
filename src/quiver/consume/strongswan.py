"""strongSwan: the relayed key becomes a post-quantum pre-shared key of IKEv2 (RFC 8784), its key_ID the PPK_ID.

At each change the initiator has charon make a *new* IKE_SA with full authentication beside the old one, and lets the old one go
once both ends have seen that the new one carries traffic: re-authentication, make before break. It is not charon's own
(`charon.make_before_break`), which goes on with the key that the old IKE_SA was made with, but its effect is the same, and
that option has no part in it. An IKE_SA whose peer has another key is refused in IKE_AUTH, and the old one goes on.

The responder sends under the new IKE_SA as soon as it has answered, a moment before the initiator can receive: what arrives
there within that moment is lost. So it is counted, at both ends (`PacketTally`).
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from quiver.consume.charon import Charon, IkeSa, PacketTally
from quiver.consume.config_tables import StrongswanTable
from quiver.consume.held import HeldKeys
from quiver.consume.ike_connection import children_of, connection_message, fence_message, fence_name
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.domain.errors import RequestError
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.losses import Packets
from quiver.protocols.etsi014_checks import check_key_id

__all__ = ["Strongswan"]

_log = structlog.get_logger("quiver.consume.strongswan")

_KEY_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as of ETSI GS QKD 014, in lower case
_BITS: Final = 256  # RFC 8784 section 2: at least twice what the tunnel's security level is to be, which is 128
_TRYING: Final = (
    limits.ROLLOVER_PROOF + limits.ROLLOVER_PATIENCE
)  # seconds; the initiator counts from its own switch, a later one


class Strongswan:
    """One connection of one charon.

    Args:
        table: which.
        initiates: whether this end makes IKE_SAs; the other one only answers.
        clock: monotonic, in seconds.
    """

    kind: Final = "strongswan"
    key_bits: Final = _BITS
    lead: Final = 0.0

    def __init__(self, table: StrongswanTable, *, initiates: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._table: Final = table
        self._initiates: Final = initiates
        self._clock: Final = clock
        self._charon: Final = Charon(table.socket)
        self._children: Final = children_of(table.connection)
        self._fence: Final = fence_name(table.name)
        self._prefix: Final = f"quiver-{table.name}-"  # of the names of secrets
        self._keys: Final = HeldKeys()
        self._before: frozenset[int] = frozenset()  # IKE_SAs that there were when the key in use was switched to
        self._unproven_until = 0.0  # the tunnel may be down until then: the key in use is still being tried
        self._retry_at = 0.0
        self._said: str | None = None  # why the last IKE_SA did not come up
        self._sas = 0
        self._failed = 0
        self._restored = 0
        self._packets: Final = PacketTally()

    async def open(self) -> None:
        """Load the connection without a key, and its fence: nothing comes up. An IKE_SA that an earlier run made goes on.

        Raises:
            TunnelError: charon cannot be reached, or refuses the connection.
        """
        if self._table.fence:
            await self._charon.load_connection(self._fence, fence_message(self._table.connection))
        await self._charon.load_connection(self._table.name, connection_message(self._table.connection, None))
        for sa in await self._look():
            if not sa.ppk:
                await self._end(sa, force=True)

    async def stage(self, key: DeliveredKey) -> None:
        """Load it as a secret: this end accepts it from now on, beside the one in use.

        Raises:
            TunnelError: as `open`, or the key_ID is no UUID.
        """
        try:
            check_key_id(key.key_id)
        except RequestError as error:
            raise TunnelError(f"as PPK_ID serves a key_ID of ETSI GS QKD 014 only: {error.message}") from None
        for replaced in self._keys.stage(key):
            await self._charon.unload_secret(self._secret(replaced))
        await self._load(key.key_id)

    async def switch(self, key_id: str) -> None:
        """Have the connection use the key; the initiator makes an IKE_SA with it. That this fails shows in `proven` only.

        Raises:
            TunnelError: as `open`, or the key is not ready.
        """
        await self._end_older()  # what rounds that failed have left
        if key_id != self._keys.active:  # else it is a repeat: what was begun by the first call counts
            self._before = frozenset(sa.number for sa in await self._look())
            self._unproven_until = self._clock() + _TRYING
        await self._hold(key_id)
        self._keys.switch(key_id)
        await self._initiate(await self._fresh())

    async def proven(self, key_id: str) -> bool:
        """Whether an IKE_SA that was made after the switch carries all children.

        Of the initiator's connection only the new key can be used; both ends have proven to each other in IKE_AUTH that they
        have it (RFC 8784 section 3). The initiator tries again where not all came up.

        Raises:
            TunnelError: as `open`.
        """
        fresh = await self._fresh()
        if not self._up(fresh) and await self._try_again(fresh):
            fresh = await self._fresh()
        proven = key_id == self._keys.active and self._up(fresh)
        if proven:
            self._unproven_until = 0.0
        return proven

    async def intact(self) -> bool:
        """Whether the tunnel is up, or its key still has time to be proven: a peer that does not answer costs no further key.

        What charon has lost of it is given to it again, and the initiator has it come up again.

        So a tunnel whose peer was away for long comes back under the last key when the network has no other, and one whose
        secrets `swanctl --load-creds` has unloaded, as it does with all that are not in its files, stays complete.

        Raises:
            TunnelError: as `open`.
        """
        active = self._keys.active
        if active is None:
            return False
        sas = await self._look()  # before the connection is there again: a charon that was started anew has none yet
        if not await self._held(active):
            self._restored += 1
            _log.warning("charon had lost the connection or its key; they were loaded again")
            await self._hold(active)
        if not self._up(sas) and await self._try_again(sas):
            self._restored += 1
            sas = await self._look()
            _log.warning("the tunnel was down; it was started again", up=self._up(sas))
        return self._up(sas) or self._clock() < self._unproven_until

    async def retire(self) -> None:
        """Let all IKE_SAs go but the newest, which is of the key in use, and unload and wipe all other keys.

        Raises:
            TunnelError: as `open`.
        """
        await self._end_older()
        self._keys.retire()
        await self._unload(but=self._keys.active)

    async def block(self) -> None:
        """Take away the connection, its keys and its IKE_SAs; the fence stays.

        Raises:
            TunnelError: as `open`.
        """
        await self._charon.unload_connection(self._table.name)
        await self._unload(but=None)
        for sa in await self._look():
            await self._end(sa, force=True)
        self._keys.block()

    async def close(self) -> None:
        """The tunnel goes on as it is, under the last key."""

    def hungry(self) -> bool:
        """Never: charon itself renews the keys of CHILD_SAs, as the connection says."""
        return False

    async def packets(self) -> Packets:
        """Of ESP, over all CHILD_SAs of the connection.

        Raises:
            TunnelError: as `open`.
        """
        await self._look()
        return Packets(self._packets.packets_in, self._packets.packets_out)

    def figures(self) -> Mapping[str, float]:
        """Packets by this end's count, IKE_SAs that exist, that failed, and what had to be given to charon again."""
        return {
            "esp_packets_in_total": float(self._packets.packets_in),
            "esp_packets_out_total": float(self._packets.packets_out),
            "ike_sas": float(self._sas),
            "ike_failures_total": float(self._failed),
            "ike_restored_total": float(self._restored),
        }

    # --- charon ---------------------------------------------------------------------------------------------------

    async def _look(self) -> list[IkeSa]:
        sas = await self._charon.ike_sas(self._table.name)
        self._packets.read(sas)
        self._sas = len(sas)
        self._before &= {sa.number for sa in sas}  # a charon that was started anew gives numbers again
        return sas

    async def _fresh(self) -> list[IkeSa]:
        """IKE_SAs that were begun after the switch, whether or not they are established."""
        return [sa for sa in await self._look() if sa.number not in self._before and not sa.going]

    def _up(self, sas: list[IkeSa]) -> bool:
        return any(sa.carries(self._children) for sa in sas)

    async def _hold(self, key_id: str) -> None:
        """Load a key and the connection with it; the responder's accepts any key that was loaded."""
        if self._table.fence and self._fence not in await self._charon.connections():
            await self._charon.load_connection(self._fence, fence_message(self._table.connection))
        await self._load(key_id)
        ppk_id = key_id.lower() if self._initiates else None
        await self._charon.load_connection(self._table.name, connection_message(self._table.connection, ppk_id))

    async def _held(self, key_id: str) -> bool:
        names = {self._table.name, self._fence} if self._table.fence else {self._table.name}
        return names <= await self._charon.connections() and self._secret(key_id) in await self._charon.secrets()

    async def _try_again(self, sas: list[IkeSa]) -> bool:
        """Have come up what is not there, once the last try has had its time; whether that was done.

        An IKE_SA that is still being made is given up: charon repeats its message ever more seldom.
        """
        if not self._initiates or self._clock() < self._retry_at:
            return False
        for sa in sas:
            if not sa.up and not sa.going:
                await self._end(sa, force=True)
        await self._initiate(sas)
        return True

    async def _initiate(self, sas: list[IkeSa]) -> None:
        """Have the children come up that none of these carries; it is the initiator's to do."""
        if not self._initiates:
            return
        self._retry_at = self._clock() + limits.IKE_RETRY
        there = {child.name for sa in sas if sa.up for child in sa.children if child.up}
        for child in self._children:
            if child in there:
                continue
            reason = await self._charon.initiate(self._table.name, child, limits.IKE_TIME)
            if reason is not None:
                self._failed += 1
                if reason != self._said:
                    _log.warning("no IKE_SA under the key", child=child, reason=reason)
                self._said = reason
                return
        self._said = None

    async def _end_older(self) -> None:
        """End all IKE_SAs but the newest one that carries all children, or else is up at all; it is the initiator's to do."""
        if not self._initiates:
            return
        sas = await self._look()
        whole = [sa.number for sa in sas if sa.carries(self._children)] or [sa.number for sa in sas if sa.up]
        for sa in sas:
            if sa.number != max(whole, default=None) and not sa.going:
                await self._end(sa, force=False)

    async def _end(self, sa: IkeSa, *, force: bool) -> None:
        try:
            await self._charon.terminate(sa.number, force=force)
        except TunnelError:
            if any(one.number == sa.number for one in await self._look()):  # else it has gone by itself
                raise

    # --- secrets --------------------------------------------------------------------------------------------------

    def _secret(self, key_id: str) -> str:
        """Under what charon keeps a key."""
        return f"{self._prefix}{key_id.lower()}"

    async def _load(self, key_id: str) -> None:
        await self._charon.load_ppk(self._secret(key_id), key_id.lower(), self._keys[key_id])

    async def _unload(self, *, but: str | None) -> None:
        """Unload the keys of this connection, those of earlier runs too.

        They are told by the prefix *and* a key_ID after it: "site" must not take the keys of "site-2" for its own.
        """
        kept = None if but is None else self._secret(but)
        for identifier in await self._charon.secrets():
            ours = identifier.startswith(self._prefix) and _KEY_ID.fullmatch(identifier.removeprefix(self._prefix))
            if ours and identifier != kept:
                await self._charon.unload_secret(identifier)
