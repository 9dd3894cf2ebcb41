"""The keys that one end of a tunnel holds: the one in use, the one before it, and the newest that is ready."""

from quiver.consume.tunnel import TunnelError
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret

__all__ = ["HeldKeys"]


class HeldKeys:
    """At most three keys; what is forgotten is wiped. Rounds that fail leave nothing behind but the newest key.

    Attributes:
        active: key_ID of the one in use; None before the first, and while the tunnel is blocked.
    """

    def __init__(self) -> None:
        self.active: str | None = None
        self._before: str | None = None
        self._keys: dict[str, Secret] = {}

    def __getitem__(self, key_id: str) -> Secret:
        """A key that is held.

        Raises:
            TunnelError: it is not; a switch came so late that it was forgotten.
        """
        if key_id not in self._keys:
            raise TunnelError(f"no key {key_id} is ready")
        return self._keys[key_id]

    def stage(self, key: DeliveredKey) -> list[str]:
        """A key is ready; the key_IDs of those that it replaces, which were never used."""
        replaced = self._keep(self.active, self._before, key.key_id)
        self._keys[key.key_id] = key.key
        return replaced

    def switch(self, key_id: str) -> None:
        """A held key is in use now."""
        if key_id != self.active:
            self.active, self._before = key_id, self.active or self._before

    def retire(self) -> list[str]:
        """Forget all but the one in use; their key_IDs."""
        self._before = None
        return self._keep(self.active)

    def block(self) -> None:
        """None is in use now; the last one may be again."""
        self.active, self._before = None, self.active or self._before

    def _keep(self, *wanted: str | None) -> list[str]:
        others = [key_id for key_id in self._keys if key_id not in wanted]
        for key_id in others:
            self._keys.pop(key_id).wipe()
        return others
