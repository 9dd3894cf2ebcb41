"""What SAEs may ask of a node, and who may ask for what (ETSI GS QKD 014 clause 5): judged before anything is consumed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.delivery import Delivery
from quiver.domain.errors import RequestError, UnauthorizedError, UnavailableError
from quiver.domain.reply import Reply
from quiver.domain.requests import Request
from quiver.domain.source import Source
from quiver.domain.vault import Vault

__all__ = ["SaeDesk"]


class SaeDesk:
    """The three methods of the standard, for SAEs whose certificates were verified.

    Args:
        context: the node.
        sources: path versions that start here.
        delivery: new keys for SAEs of other nodes.
        vault: keys that wait for SAEs of this node.
        met_any_of: whether one of some nodes was met since the start (rule 2).
    """

    def __init__(
        self,
        context: Context,
        sources: Mapping[str, Source],
        delivery: Delivery,
        vault: Vault,
        met_any_of: Callable[[Iterable[str]], bool],
    ) -> None:
        self._context: Final = context
        self._sources: Final = sources
        self._delivery: Final = delivery
        self._vault: Final = vault
        self._met_any_of: Final = met_any_of

    def ask(self, master: str, slaves: Sequence[str], count: int, size: int) -> Reply:
        """New keys for a master and its slaves (ETSI GS QKD 014 clause 5.3).

        Args:
            master: the calling SAE, as its certificate names it.
            slaves: the other SAEs; all at home at one node.
            count: number of keys, 1 to `limits.KEYS_PER_REQUEST`.
            size: bits of each, a multiple of 8.

        Raises:
            RequestError: a slave is unknown, or `count` or `size` is out of range.
            UnauthorizedError: the master is not at home here, or may not share keys with a slave.
            UnavailableError: nothing can be promised now.
        """
        directory = self._context.network.directory
        destination = self._destination(master, slaves)
        request = Request(
            master=master,
            slaves=tuple(slaves),
            destination=destination,
            count=count,
            size=size,
            deadline=self._context.clock.now() + self._context.network.wait,
            reply=Reply(),
        )
        if not 1 <= count <= limits.KEYS_PER_REQUEST or request.key_bytes > limits.KEY_BYTES_PER_REQUEST or size % 8:
            raise RequestError("number or size is out of range")
        if directory.homes[slaves[0]] == self._context.network.node:
            self._delivery.requests.serve_local(request, self._vault.store_local)
        else:
            self._delivery.requests.add(request)
        return request.reply

    def _destination(self, master: str, slaves: Sequence[str]) -> str:
        directory = self._context.network.directory
        for slave in slaves:
            if slave not in directory.homes:
                raise RequestError("slave_SAE_ID: unknown SAE", details={"slave_SAE_ID": f"{slave[:64]} is not known"})
        if directory.homes.get(master) != self._context.network.node:
            raise UnauthorizedError("the calling SAE is not at home at this KME")
        if not all(directory.permits(master, slave) for slave in slaves):
            raise UnauthorizedError("the calling SAE may not share keys with this SAE")
        destinations = {directory.homes[slave] for slave in slaves}
        if len(destinations) != 1:
            raise RequestError("additional_slave_SAE_IDs shall be at home at the slave SAE's own KME")
        return destinations.pop()

    def abandon(self, reply: Reply) -> None:
        """The SAE has gone: its request, if it still waits, is dropped."""
        self._delivery.requests.abandon(reply)

    def fetch(self, caller: str, master: str, key_ids: Sequence[str]) -> Reply:
        """Keys for a slave by their key_IDs, all or none (ETSI GS QKD 014 clause 5.4); leaves after the commit.

        Raises:
            RequestError: a key_ID is not a UUID, or named twice, or the master is unknown.
            KeyNotFoundError: a key is not here, or was taken before.
            UnauthorizedError: the caller is not at home here, or was not named for one of the keys.
            UnavailableError: no other node was met since the start (rule 2).
        """
        directory = self._context.network.directory
        if master not in directory.homes:
            raise RequestError("master_SAE_ID: unknown SAE", details={"master_SAE_ID": f"{master[:64]} is not known"})
        if directory.homes.get(caller) != self._context.network.node or not directory.permits(master, caller):
            raise UnauthorizedError("the calling SAE may not share keys with this SAE")
        if self._context.pads and not self._met_any_of(self._context.pads):
            raise UnavailableError("this KME has not met a neighbour since its start")
        return self._vault.fetch(caller, master, key_ids)

    def stock(self, caller: str, other: str) -> tuple[str, int, int]:
        """The other SAE's node, and the bytes of pad that are ready for the pair and that its buffers hold when full.

        Raises:
            RequestError: the other SAE is unknown.
            UnauthorizedError: the caller is not at home here, or may not share keys with it.
        """
        destination = self._destination(caller, [other])
        sources = [s for s in self._sources.values() if s.entry.destination == destination]
        depth = sum(source.entry.depth for source in sources if not source.standing.retiring)
        return destination, sum(source.ready for source in sources), depth
