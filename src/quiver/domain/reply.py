"""What a node owes an SAE: keys or an error, given when what stands behind it is durable."""

from collections.abc import Callable

import msgspec

from quiver.domain.errors import QuiverError
from quiver.domain.key_ids import key_id
from quiver.domain.secret import Secret

__all__ = ["DeliveredKey", "Reply"]


class DeliveredKey(msgspec.Struct, frozen=True):
    """One key with its key_ID."""

    key_id: str
    key: Secret


class Reply(msgspec.Struct, eq=False):
    """The answer to one request of an SAE.

    Attributes:
        keys: the keys, once it is granted.
        error: why not, once it is refused.
        at_once: it needs no commit of this step: what it says is durable elsewhere already.
        when_done: called once it is granted or refused.
    """

    keys: list[DeliveredKey] | None = None
    error: QuiverError | None = None
    at_once: bool = False
    when_done: Callable[["Reply"], None] | None = None

    @property
    def done(self) -> bool:
        """Whether it was granted or refused."""
        return self.keys is not None or self.error is not None

    def grant(self, batch: str, material: Secret, count: int, *, at_once: bool = False) -> None:
        """Answer with `count` keys of equal length, cut from `material`."""
        length = len(material) // count
        self.keys = [DeliveredKey(key_id(batch, i), material.part(i * length, length)) for i in range(count)]
        self.at_once = at_once
        self._tell()

    def refuse(self, error: QuiverError) -> None:
        """Answer with an error."""
        self.error = error
        self._tell()

    def _tell(self) -> None:
        if self.when_done is not None:
            self.when_done(self)
