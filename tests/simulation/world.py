"""Virtual time and seeded randomness."""

import random
from collections.abc import Callable
from heapq import heappop, heappush


class World:
    """An event queue; time passes only between events."""

    def __init__(self, seed: int):
        self.seed = seed
        self.random = random.Random(seed)
        self._entropy = random.Random(f"entropy {seed}")
        self._time = 1000.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._time

    def draw(self, count: int) -> bytes:
        return self._entropy.randbytes(count)

    def draw_key(self, count: int) -> bytes:
        return self.draw(count)

    def after(self, delay: float, event: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._queue, (self._time + delay, self._count, event))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def run(self, seconds: float) -> None:
        until, queue = self._time + seconds, self._queue
        while queue and queue[0][0] <= until:
            self._time, _, event = heappop(queue)
            event()
        self._time = until
