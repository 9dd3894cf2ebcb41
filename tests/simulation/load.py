"""SAEs: masters that ask, slaves that fetch, and a book of who got what."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from quiver.domain.errors import QuiverError, UnavailableError

from .scenery import Scenery
from .world import World

SHARED = 0.3  # of the requests: their keys are for two slaves of one node


@dataclass
class Asked:
    """One request of a master and what became of it. Each of the slaves gets the keys, by itself."""

    time: float
    master: str
    slaves: tuple[str, ...]
    home: str
    far: str
    count: int
    size: int
    error: QuiverError | None = None
    lost: bool = False  # the master's node died with the request
    done_at: float = 0.0
    keys: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Fetched:
    """One attempt of a slave to fetch one key."""

    key_id: str
    slave: str
    time: float
    key: bytes | None = None
    error: QuiverError | None = None
    lost: bool = False  # the slave's node died with the request


class Load:
    """All SAEs of a network."""

    def __init__(self, world: World, scenery: Scenery):
        self.world, self.scenery = world, scenery
        self.asked: list[Asked] = []
        self.fetched: list[Fetched] = []

    def ask(self, master: str, slave: str, count: int = 1, size: int = 256, *, others: tuple[str, ...] = ()) -> Asked:
        """A master asks for keys for a slave, and for others of the same node."""
        homes = self.scenery.homes
        home = homes[master]
        site = self.scenery.sites[home]
        slaves = (slave, *others)
        asked = Asked(self.world.now(), master, slaves, home, homes[slave], count, size)
        self.asked.append(asked)

        def on_reply(reply) -> None:
            asked.done_at = self.world.now()
            asked.error = reply.error
            for delivered in reply.keys or ():
                asked.keys[delivered.key_id] = delivered.key.reveal()

        if not site.request(lambda driver, replied: driver.ask(master, slaves, count, size, replied), on_reply):
            asked.lost = True
            return asked
        self.world.after(9.0, lambda: self._mark_lost(asked))
        return asked

    def _mark_lost(self, asked: Asked) -> None:
        asked.lost = asked.error is None and not asked.keys

    def fetch(self, master: str, slave: str, key_ids: list[str]) -> None:
        site = self.scenery.sites[self.scenery.homes[slave]]
        attempts = [Fetched(key_id, slave, self.world.now()) for key_id in key_ids]
        self.fetched += attempts

        def on_reply(reply) -> None:
            for attempt, index in zip(attempts, range(len(attempts)), strict=True):
                attempt.error = reply.error
                if reply.keys is not None:
                    assert reply.keys[index].key_id == attempt.key_id
                    attempt.key = reply.keys[index].key.reveal()

        if not site.request(lambda driver, replied: driver.fetch(slave, master, key_ids, replied), on_reply):
            for attempt in attempts:
                attempt.lost = True

    def _tried(self) -> set[tuple[str, str]]:
        """Keys that were asked for; a KME that says 503 was not there yet."""
        return {(a.key_id, a.slave) for a in self.fetched if not isinstance(a.error, UnavailableError)}

    def random_requests(self, count: int, seconds: float, *, fetch: float = 0.5) -> None:
        """Requests of all permitted pairs, spread over the time; half of the keys are fetched soon, others at the end."""
        random = self.world.random
        pairs = [(f"sae-{e.source}-{k}", f"sae-{e.destination}-{k}") for e in self.scenery.paths for k in (0, 1)]
        local = random.choice(self.scenery.names)
        pairs.append((f"sae-{local}-0", f"sae-{local}-1"))
        for _ in range(count):
            master, slave = random.choice(pairs)
            number = random.choice((1, 1, 1, 3, 10))
            size = random.choice((128, 256, 256, 512, 2048))
            others = (f"{slave[:-1]}2",) if random.random() < SHARED else ()
            self.world.after(
                random.uniform(0, seconds),
                lambda m=master, s=slave, n=number, z=size, o=others: self.ask(m, s, n, z, others=o),
            )
        for _ in range(count):
            self.world.after(random.uniform(1, seconds + 1), lambda: self._fetch_some(fetch))

    def _fetch_some(self, chance: float) -> None:
        tried = self._tried()
        for asked, slave in self._owed():
            fresh = [key_id for key_id in asked.keys if (key_id, slave) not in tried]
            if fresh and self.world.chance(chance):
                self.fetch(asked.master, slave, fresh)
                return

    def _owed(self) -> Iterator[tuple[Asked, str]]:
        """Each request with each of its slaves."""
        return ((asked, slave) for asked in self.asked for slave in asked.slaves)

    def fetch_rest(self, slave: str = "") -> None:
        """Every key that nobody has tried to fetch yet; of one slave only, where it is named."""
        tried = self._tried()
        for asked, owed in self._owed():
            fresh = [key_id for key_id in asked.keys if (key_id, owed) not in tried]
            if fresh and slave in ("", owed):
                self.fetch(asked.master, owed, fresh)

    def fetch_all_again(self) -> None:
        """Every key that was fetched, once more: nobody may get it."""
        for attempt in [attempt for attempt in self.fetched if attempt.key is not None]:
            master = next(asked.master for asked in self.asked if attempt.key_id in asked.keys)
            self.fetch(master, attempt.slave, [attempt.key_id])

    def fetch_everything(self) -> None:
        """The end of a run: every key is fetched once, and then asked for once more."""
        self.fetch_rest()
        self.world.run(0.5)
        self.fetch_all_again()
        self.world.run(0.5)
        for attempt in self.fetched:  # those without an answer died with their node
            attempt.lost |= attempt.key is None and attempt.error is None
