"""QKD links of the simulation: two devices that hand out the same keys, once."""

from collections import deque

from quiver.domain.secret import Secret

from .world import World


class LinkDevices:
    """The devices of one link.

    Args:
        rate: bytes of key per second, made all the time while the link is up.
        key_bytes: of one key.
        stock: bytes that are there at the start.
    """

    def __init__(self, world: World, name: str, ends: tuple[str, str], rate: float, key_bytes: int, stock: int):
        self.world, self.name, self.ends = world, name, ends
        self.rate, self.key_bytes = rate, key_bytes
        self.most = 128
        self.up = True
        self.reachable = dict.fromkeys(ends, True)
        self.corrupt = False  # the second end gets a wrong byte
        self.made: dict[str, bytes] = {}
        self._stock: deque[str] = deque()
        self._waiting: dict[str, set[str]] = {end: set() for end in ends}
        self._then = world.now()
        self._credit = 0.0
        self._count = 0
        self._make(stock // key_bytes)

    def _make(self, count: int) -> None:
        size = 4 + self.key_bytes  # the end of the key_ID, and the key
        drawn = self.world.draw(count * size)  # all at once: one call for each part of each key was a fiftieth of a run
        for start in range(0, len(drawn), size):
            self._count += 1
            key_id = f"{self.name}-{self._count:08x}-{drawn[start : start + 4].hex()}"
            self.made[key_id] = drawn[start + 4 : start + size]
            self._stock.append(key_id)

    def _fill(self) -> None:
        now = self.world.now()
        if self.up:
            self._credit = min(self._credit + (now - self._then) * self.rate, 65536)
        self._then = now
        count = int(self._credit // self.key_bytes)
        self._credit -= count * self.key_bytes
        self._make(count)

    def get(self, end: str, number: int) -> list[tuple[str, Secret]] | None:
        self._fill()
        if not self.up or not self.reachable[end] or not self._stock:
            return None
        taken = [self._stock.popleft() for _ in range(min(number, self.most, len(self._stock)))]
        other = self.ends[1 - self.ends.index(end)]
        self._waiting[other].update(taken)
        return [(self._spelt(end, key_id), Secret(self.made[key_id])) for key_id in taken]

    def fetch(self, end: str, key_ids) -> list[tuple[str, Secret]] | None:
        wanted = [key_id.lower() for key_id in key_ids]
        if not self.reachable[end] or not self._waiting[end].issuperset(wanted):
            return None
        self._waiting[end].difference_update(wanted)
        found = [(self._spelt(end, key_id), Secret(self._given(key_id))) for key_id in wanted]
        self.world.random.shuffle(found)  # order is not part of the promise
        return found

    def _given(self, key_id: str) -> bytes:
        key = self.made[key_id]
        return bytes([key[0] ^ 1]) + key[1:] if self.corrupt else key

    def _spelt(self, end: str, key_id: str) -> str:
        return key_id.upper() if end == self.ends[1] else key_id
