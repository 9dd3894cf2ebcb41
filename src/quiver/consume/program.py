"""Any program as a consumer: called with each new key at both ends, in step.

It finds the key on descriptor 3 (read it to its end) and what it is about in its environment:

    QUIVER_STEP      stage, switch, prove, retire or block, of those that the configuration asks for
    QUIVER_KEY_ID    of the key, as ETSI GS QKD 014 gives it
    QUIVER_KEY_BITS  its size
    QUIVER_ROLE      initiator or responder
    QUIVER_PARTNER   SAE ID of the other end

`stage` comes at both ends before `switch` at either: a program that can receive under two keys loses nothing between the
two. Exit code 0 means done; in `prove` anything else means not yet. Each call has to end, and all that it started and that
still holds its stdout or stderr: a program that goes on in the background gives them away.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from quiver.consume import programs
from quiver.consume.config_tables import ExecTable
from quiver.consume.held import HeldKeys
from quiver.consume.tunnel import TunnelError
from quiver.domain.reply import DeliveredKey

__all__ = ["Program"]

_log = structlog.get_logger("quiver.consume.program")


class Program:
    """One end.

    Args:
        table: the program.
        role: of this end.
        partner: SAE ID of the other end.
    """

    kind: Final = "exec"
    lead: Final = 0.0

    def __init__(self, table: ExecTable, *, role: str, partner: str) -> None:
        self._table: Final = table
        self._about: Final = {"QUIVER_ROLE": role, "QUIVER_PARTNER": partner, "QUIVER_KEY_BITS": str(table.key_bits)}
        self.key_bits: Final = table.key_bits
        self._keys: Final = HeldKeys()
        self._calls = 0

    async def open(self) -> None:
        """Nothing is known of the program before its first key."""

    async def stage(self, key: DeliveredKey) -> None:
        """Call it with a key that is to be used soon; one that was ready and never used is over.

        Raises:
            TunnelError: it failed with the new key. That it could not forget the old one is logged, and hinders nothing.
        """
        for replaced in self._keys.stage(key):
            try:
                await self._call("retire", replaced, with_key=False)
            except TunnelError as error:
                _log.warning("the program did not forget a key that was never used", reason=error.message)
        await self._call("stage", key.key_id)

    async def switch(self, key_id: str) -> None:
        """Call it with the key that is to be used now.

        Raises:
            TunnelError: it failed, or the key is not ready.
        """
        await self._call("switch", key_id)
        self._keys.switch(key_id)

    async def proven(self, key_id: str) -> bool:
        """Whether it says so; where it is not asked, that it has switched."""
        try:
            await self._call("prove", key_id, with_key=False)
        except TunnelError:
            return False
        return key_id == self._keys.active

    async def intact(self) -> bool:
        """Whether it has a key; what became of that is its own matter."""
        return self._keys.active is not None

    async def retire(self) -> None:
        """Tell it of each key that is over, by its key_ID.

        Raises:
            TunnelError: it failed.
        """
        for key_id in self._keys.retire():
            await self._call("retire", key_id, with_key=False)

    async def block(self) -> None:
        """Tell it to carry nothing more.

        Raises:
            TunnelError: it failed, or is not called for this step: then it carries on.
        """
        if "block" not in self._table.steps:
            raise TunnelError(
                "the program is not called for the step block; exec.steps names those that it is called for"
            )
        await self._call("block", self._keys.active or "", with_key=False)
        self._keys.block()

    async def close(self) -> None:
        """What the program does without us is its own matter."""

    def hungry(self) -> bool:
        """Never."""
        return False

    async def packets(self) -> None:
        """None: what the program carries is its own matter."""

    def figures(self) -> Mapping[str, float]:
        """How often it was called."""
        return {"program_calls_total": float(self._calls)}

    async def _call(self, step: str, key_id: str, *, with_key: bool = True) -> None:
        key = self._keys[key_id] if with_key else None
        if step not in self._table.steps:
            return
        self._calls += 1
        await programs.run(
            self._table.command,
            time_limit=self._table.timeout,
            key=key,
            variables={**self._about, "QUIVER_STEP": step, "QUIVER_KEY_ID": key_id},
        )
