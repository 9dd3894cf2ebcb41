"""What SAEs get from this node, in the standard's terms."""

from collections.abc import Sequence
from typing import Final

from quiver.agent.engine import Engine
from quiver.agent.sae_plane import REQUEST_LIMITS
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.protocols.etsi014 import Status

__all__ = ["NodeService"]


class NodeService:
    """The `KeyService` of an engine's node.

    Args:
        engine: the node.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine: Final = engine

    def status(self, caller: str, slave: str) -> Status:
        """Clause 6.1. Keys in stock are those of the default size that the ready pad allows, tags not counted.

        Raises:
            QuiverError: as `KeyService.status`.
        """
        node = self._engine.node
        destination, ready, depth = node.saes.stock(caller, slave)
        key_bytes = limits.KEY_SIZE_DEFAULT // 8
        local = destination == node.network.node
        most = limits.UNFETCHED_BATCHES if local else depth // key_bytes
        stored = most if local else max(0, ready - limits.TAG) // key_bytes
        return Status(
            source_kme_id=node.network.node,
            target_kme_id=destination,
            master_sae_id=caller,
            slave_sae_id=slave,
            key_size=limits.KEY_SIZE_DEFAULT,
            stored_key_count=stored,
            max_key_count=most,
            max_key_per_request=REQUEST_LIMITS.max_keys,
            max_key_size=REQUEST_LIMITS.max_key_size,
            min_key_size=REQUEST_LIMITS.min_key_size,
            max_sae_id_count=REQUEST_LIMITS.max_sae_ids,
        )

    async def enc_keys(self, caller: str, slaves: tuple[str, ...], number: int, size: int) -> list[DeliveredKey]:
        """Clause 5.3.

        Raises:
            QuiverError: as `KeyService.enc_keys`.
        """
        return await self._engine.ask(caller, slaves, number, size)

    async def dec_keys(self, caller: str, master: str, key_ids: Sequence[str]) -> list[DeliveredKey]:
        """Clause 5.4.

        Raises:
            QuiverError: as `KeyService.dec_keys`.
        """
        return await self._engine.fetch(caller, master, key_ids)
