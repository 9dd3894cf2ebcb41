"""SAEs that never stop asking, and what they hold the network to."""

import asyncio

import pytest

from quiver.client import KmeClient
from quiver.domain.errors import KeyNotFoundError, RemoteError, UnavailableError
from quiver.domain.reply import DeliveredKey

KEYS = 5  # in each request
PAUSE = 0.05  # seconds before an SAE tries again
Batch = list[DeliveredKey]


class Traffic:
    """One direction of a pair: a master that never stops asking, a slave that fetches every other batch at once.

    Args:
        master: asks at its node.
        slave: fetches at its own.
        names: of both SAEs.
        count: keys in each request.
        rest: seconds between two requests.
    """

    def __init__(
        self, master: KmeClient, slave: KmeClient, names: tuple[str, str], count: int = KEYS, rest: float = 0.0
    ) -> None:
        self.master, self.slave, self.names, self.count, self.rest = master, slave, names, count, rest
        self.answered = 0
        self.unfetched: list[Batch] = []
        self.fetched: list[Batch] = []
        self.uncertain: list[Batch] = []  # the slave's answer was lost on the way
        self.progress = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                batch = await self.master.get_keys(self.names[1], self.count, 256)
            except (RemoteError, UnavailableError):
                await asyncio.sleep(PAUSE)
                continue
            self.answered += 1
            self.unfetched.append(batch)
            if self.answered % 2:
                await self.fetch(self.unfetched.pop())
            self.progress.set()
            await asyncio.sleep(self.rest)

    async def fetch(self, batch: Batch) -> None:
        """What the master was answered with is there; only a lost answer leaves open whether it still is."""
        try:
            got = await self.slave.get_keys_by_id(self.names[0], [key.key_id for key in batch])
        except UnavailableError:  # the slave's node has just started: nothing was taken
            self.unfetched.append(batch)
        except RemoteError:
            self.uncertain.append(batch)
        else:
            assert got == batch
            self.fetched.append(batch)

    async def served_again(self, times: int) -> None:
        for _ in range(times):
            self.progress.clear()
            await self.progress.wait()

    async def settle(self) -> None:
        """Fetch all that is left, then find that nothing is left."""
        while self.unfetched:
            await self.fetch(self.unfetched.pop())
        for batch in self.uncertain:
            ids = [key.key_id for key in batch]
            try:
                assert await self.slave.get_keys_by_id(self.names[0], ids) == batch
            except KeyNotFoundError:
                continue
        for batch in (*self.fetched, *self.uncertain):
            for key in batch:
                with pytest.raises(KeyNotFoundError):
                    await self.slave.get_keys_by_id(self.names[0], [key.key_id])

    @property
    def keys(self) -> list[DeliveredKey]:
        """Those that came to both sides, or may have."""
        return [key for batch in (*self.fetched, *self.uncertain) for key in batch]
