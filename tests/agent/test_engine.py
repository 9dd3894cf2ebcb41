"""The engine: real database, real time, real devices' rules; only the sockets between the nodes are left out."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from quiver.agent.engine import Engine, SystemClock
from quiver.agent.randomness import Randomness
from quiver.domain import limits
from quiver.domain.errors import (
    ConfigurationError,
    KeyNotFoundError,
    LimitError,
    RemoteError,
    StorageError,
    UnauthorizedError,
    UnavailableError,
)
from quiver.domain.events import CreditLost, Event
from quiver.domain.messages import LinkBeat, Outcome
from quiver.domain.network import Directory, LinkEntry, Network, PathEntry
from quiver.domain.node import Node
from quiver.domain.provision import Provision
from quiver.domain.report import DeviceState, LinkState
from quiver.protocols import peer
from quiver.qkd.channel import Fibre
from quiver.qkd.control import SystemEntropy
from quiver.qkd.device import DirectDevice
from quiver.qkd.kme import End, Link
from quiver.qkd.profiles import profile_named
from quiver.store.sqlite import SqliteDatabase

NAMES = ("alice", "bob", "carol")
PATH = PathEntry(virtual_link="alice-carol", path=1, version=1, nodes=NAMES)
DIRECTORY = Directory(
    homes={"sae-a": "alice", "sae-a2": "alice", "sae-c": "carol", "sae-x": "carol"},
    pairs=frozenset({frozenset({"sae-a", "sae-c"}), frozenset({"sae-a", "sae-a2"})}),
)


class Disk(SqliteDatabase):
    """The real database on a disk that can be full."""

    full = False

    def commit(self, writes, audit):
        if self.full:
            raise StorageError("no space left on the device")
        return super().commit(writes, audit)


class Wire:
    """Messages from engine to engine, through the codec."""

    def __init__(self, sender: str, engines: dict[str, Engine]):
        self.sender, self.engines = sender, engines
        self.cut: set[str] = set()  # links along which nothing passes
        self.dropped: list[tuple[str, str]] = []

    async def drop(self, receiver, link):
        self.dropped.append((receiver, link))

    async def send(self, receiver, kind, header, items, link=""):
        if link in self.cut:
            raise RemoteError("cut")
        read = peer.decode_message(kind, peer.encode_message(kind, header, items))
        try:
            answered = await self.engines[receiver].receive(self.sender, kind, *read)
        except UnavailableError as error:
            raise RemoteError(error.message, status=503) from None
        return peer.decode_answers(kind, peer.encode_answers(kind, *answered))


def network_of(name: str, links: dict[str, Link]) -> Network:
    entries = [LinkEntry(id=link, neighbour=_other(link, name), level=64 * 1024) for link in links if name in link]
    return Network(node=name, links=tuple(entries), paths=(PATH,), directory=DIRECTORY, wait=limits.DELIVERY_WAIT_MAX)


def _other(link: str, name: str) -> str:
    one, other = link.split("-")
    return other if one == name else one


def link_between(one: str, other: str) -> Link:
    ends = (End(kme_id=f"KME-{one}", sae_id=one), End(kme_id=f"KME-{other}", sae_id=other))
    return Link(
        profile_named("alder"),
        Fibre(length_km=10),
        ends,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        randomness=random.Random(1),
    )


@contextmanager
def databases(directory: Path) -> Iterator[dict[str, Disk]]:
    made = {name: Disk(directory / name / "keys.sqlite") for name in NAMES}
    try:
        yield made
    finally:
        for database in made.values():
            database.close()


@asynccontextmanager
async def running(
    directory: Path, randomness: Randomness | None = None
) -> AsyncIterator[tuple[dict[str, Engine], dict[str, Disk]]]:
    """Three nodes in a chain; each has met its neighbours and knows its devices when this is entered.

    Args:
        directory: of the databases.
        randomness: alice's.
    """
    links = {"alice-bob": link_between("alice", "bob"), "bob-carol": link_between("bob", "carol")}
    engines: dict[str, Engine] = {}
    with databases(directory) as disks:
        for name in NAMES:
            devices = {
                link: DirectDevice(made.kmes[link.split("-").index(name)], made.profile.dialect)
                for link, made in links.items()
                if name in link
            }
            engines[name] = Engine(
                network_of(name, links),
                bytes(32),
                disks[name],
                Wire(name, engines),
                devices,
                randomness=randomness if name == "alice" else None,
            )
        tasks = [asyncio.create_task(engine.run()) for engine in engines.values()]
        try:
            await until(lambda: engines["alice"].trouble is None and _credit(engines["alice"]) > 0)
            yield engines, disks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _credit(engine: Engine) -> int:
    return engine.node.paths.sources[PATH.key].credit


async def until(holds, seconds: float = 90.0) -> None:
    """Until a condition holds; the limit is for a test that would never end."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # the engine's state has no event of its own
            await asyncio.sleep(0.01)


def run(test) -> None:
    asyncio.run(test())


def test_a_key_that_a_master_got_waits_for_its_slave_once(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, _):
            keys = await engines["alice"].ask("sae-a", ["sae-c"], 3, 256)
            names = [key.key_id for key in keys]
            fetched = await engines["carol"].fetch("sae-c", "sae-a", names)
            assert [(one.key_id, one.key.reveal()) for one in fetched] == [(k.key_id, k.key.reveal()) for k in keys]
            with pytest.raises(KeyNotFoundError):
                await engines["carol"].fetch("sae-c", "sae-a", names[:1])

    run(scenario)


def test_another_sae_gets_nothing(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, _):
            keys = await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)
            with pytest.raises(UnauthorizedError):
                await engines["carol"].fetch("sae-x", "sae-a", [keys[0].key_id])
            with pytest.raises(UnauthorizedError):
                await engines["carol"].ask("sae-x", ["sae-a"], 1, 256)

    run(scenario)


def test_concurrent_requests_share_commits(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, _):
            before = engines["alice"].commits
            got = await asyncio.gather(*(engines["alice"].ask("sae-a", ["sae-a2"], 1, 256) for _ in range(200)))
            assert len({keys[0].key_id for keys in got}) == 200
            assert engines["alice"].commits - before < 50

    run(scenario)


def test_a_full_disk_promises_nothing_and_the_agent_recovers_without_a_restart(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, disks):
            disks["alice"].full = True
            with pytest.raises(StorageError):
                await engines["alice"].ask("sae-a", ["sae-a2"], 1, 256)
            disks["alice"].full = False
            await until(lambda: engines["alice"].trouble is None and _credit(engines["alice"]) > 0)
            keys = await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)
            assert await engines["carol"].fetch("sae-c", "sae-a", [keys[0].key_id])

    run(scenario)


def test_while_the_disk_stays_full_the_agent_tries_less_and_less_often_and_says_that_it_cannot_work(
    tmp_path, monkeypatch
):
    pauses, sleep = [], asyncio.sleep

    async def noted(seconds, *rest):
        if seconds >= limits.REPEAT_FIRST:  # nobody else here sleeps as long
            pauses.append(seconds)
            await sleep(0.001)
        else:
            await sleep(seconds, *rest)

    async def scenario():
        async with running(tmp_path) as (engines, disks):
            engine = engines["alice"]
            monkeypatch.setattr("quiver.agent.turns.asyncio.sleep", noted)
            disks["alice"].full = True
            await until(lambda: len(pauses) >= 6)
            assert pauses[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
            assert engine.restarts <= len(pauses) + 1
            disks["alice"].full = False
            await until(lambda: engine.trouble is None and _credit(engine) > 0)

    run(scenario)


def test_a_full_disk_at_the_destination_answers_no_master(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, disks):
            disks["carol"].full = True
            hasty = msgspec.structs.replace(engines["alice"].node.network, wait=1.0)
            await engines["alice"].reconfigure(hasty)
            with pytest.raises(UnavailableError):
                await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)
            disks["carol"].full = False
            await until(lambda: engines["carol"].trouble is None)

    run(scenario)


def test_a_failure_of_the_nodes_own_code_loses_its_memory_and_nothing_else(tmp_path, monkeypatch):
    async def scenario():
        async with running(tmp_path) as (engines, _):
            kept = await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)
            step, broken = Node.step, [True]

            def failing(node):
                if node.network.node == "carol" and broken:
                    broken.clear()
                    raise AssertionError("what no test has foreseen")
                step(node)

            monkeypatch.setattr(Node, "step", failing)
            await until(lambda: not broken)
            await until(lambda: engines["carol"].trouble is None and engines["carol"].node.meeting.met("bob"))
            assert engines["carol"].restarts == 1
            assert (await engines["carol"].fetch("sae-c", "sae-a", [kept[0].key_id]))[0].key == kept[0].key

    run(scenario)


def test_a_request_whose_sae_has_gone_is_dropped(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, disks):
            disks["carol"].full = True  # so that the request waits
            request = asyncio.create_task(engines["alice"].ask("sae-a", ["sae-c"], 128, 4096))
            await until(lambda: len(engines["alice"].node.delivery.requests) > 0)
            request.cancel()
            await until(lambda: len(engines["alice"].node.delivery.requests) == 0)

    run(scenario)


def test_too_much_at_once_is_refused_and_what_was_taken_is_served(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "EVENTS", 10)

    async def scenario():
        async with running(tmp_path) as (engines, _):
            asked = [engines["alice"].ask("sae-a", ["sae-a2"], 1, 256) for _ in range(40)]
            got = await asyncio.gather(*asked, return_exceptions=True)
            refused = [one for one in got if isinstance(one, LimitError)]
            served = [one for one in got if isinstance(one, list)]
            assert refused
            assert served
            assert len(refused) + len(served) == 40

    run(scenario)


def test_a_path_is_changed_while_the_agents_run(tmp_path):
    newer = PathEntry(virtual_link="alice-carol", path=1, version=2, nodes=NAMES, depth=8192)

    async def scenario():
        async with running(tmp_path) as (engines, _):
            kept = await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)
            for paths in ((PATH, newer), (newer,)):
                for name in ("carol", "bob", "alice"):
                    network = msgspec.structs.replace(engines[name].node.network, paths=paths)
                    await engines[name].reconfigure(network)
            await until(lambda: engines["alice"].node.paths.sources[newer.key].ready > 0)
            assert list(engines["alice"].node.paths.sources) == [newer.key]
            keys = [*kept, *await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)]
            fetched = await engines["carol"].fetch("sae-c", "sae-a", [key.key_id for key in keys])
            assert [one.key.reveal() for one in fetched] == [key.key.reveal() for key in keys]
            assert sum(engine.restarts for engine in engines.values()) == 0

    run(scenario)


def test_a_version_number_is_never_used_for_another_route(tmp_path):
    other = PathEntry(virtual_link="alice-carol", path=1, version=1, nodes=NAMES, depth=8192)

    async def scenario():
        async with running(tmp_path) as (engines, _):
            network = engines["alice"].node.network
            with pytest.raises(ConfigurationError, match="alice-carol/1/1"):
                await engines["alice"].reconfigure(msgspec.structs.replace(network, paths=(other,)))
            assert engines["alice"].node.network is network
            assert await engines["alice"].ask("sae-a", ["sae-c"], 1, 256)

    run(scenario)


# --- links, NETCONF and reports ---------------------------------------------------------------------------------------


def test_the_beats_of_a_link_are_answered_while_a_commit_hangs(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, disks):
            alice, hanging, held = engines["alice"], threading.Event(), threading.Event()
            commit = disks["alice"].commit

            def slow(writes, audit):
                held.set()
                hanging.wait(30)
                return commit(writes, audit)

            disks["alice"].commit = slow
            request = asyncio.create_task(alice.ask("sae-a", ["sae-a2"], 1, 256))
            await until(held.is_set)
            try:
                header = engines["bob"].node.header_for("alice")
                async with asyncio.timeout(10):
                    _, answers = await alice.receive("bob", "beat", header, [LinkBeat(link="alice-bob")])
                assert [answer.outcome for answer in answers] == [Outcome.DONE]
                assert not request.done()
            finally:
                disks["alice"].commit = commit
                hanging.set()
            assert await request

    run(scenario)


def test_calls_along_a_link_are_dropped_when_it_is_down_and_its_credit_is_gone(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, _):
            told: list[Event] = []
            engines["alice"].listen(lambda run, event: told.append(event.body))
            for engine in engines.values():
                engine._effects._peers.cut.add("bob-carol")
            await until(lambda: CreditLost(path=PATH.key) in told)
            assert _credit(engines["alice"]) == 0
            await until(lambda: ("carol", "bob-carol") in engines["bob"]._effects._peers.dropped)
            states = {link.id: link.state for link in engines["bob"].report().links}
            assert states == {"alice-bob": LinkState.UP, "bob-carol": LinkState.DOWN}
            for engine in engines.values():
                engine._effects._peers.cut.clear()
            await until(lambda: _credit(engines["alice"]) > 0)

    run(scenario)


def test_what_came_over_netconf_holds_beside_the_file_until_it_contradicts_it(tmp_path):
    newer = PathEntry(virtual_link="alice-carol", path=1, version=2, nodes=NAMES, depth=8192)
    elsewhere = PathEntry(virtual_link="alice-dave", path=1, version=1, nodes=("alice", "dave"))

    async def scenario():
        async with running(tmp_path) as (engines, _):
            alice = engines["alice"]
            given = Provision(term=7, paths={newer.key: newer}, homes={"sae-z": "carol"})
            alice.check(given)
            assert newer.key not in alice.node.paths.sources, "a check changes nothing"
            await alice.provision(given)
            assert set(alice.node.paths.sources) == {PATH.key, newer.key}
            said = alice.report()
            assert (said.term, said.configured, said.homes["sae-z"]) == (7, (newer,), "carol")
            with pytest.raises(ConfigurationError, match="no link from alice to dave"):
                await alice.provision(Provision(term=8, paths={elsewhere.key: elsewhere}))
            assert alice.report().term == 7
            other = msgspec.structs.replace(network_of("alice", {"alice-bob": None}), paths=())
            await alice.reconfigure(other)  # another file: what came over NETCONF stays
            assert alice.node.network.paths == (newer,)
            with pytest.raises(ConfigurationError, match="excludes bob"):
                await alice.reconfigure(other, excluded=frozenset({"bob"}))
            assert alice.node.network.paths == (newer,)

    run(scenario)


def test_an_engine_starts_with_what_came_over_netconf_before(tmp_path):
    given = Provision(term=3, paths={PATH.key: PATH})
    network = msgspec.structs.replace(network_of("alice", {"alice-bob": None}), paths=())

    async def scenario():
        with databases(tmp_path) as disks:
            engine = Engine(network, bytes(32), disks["alice"], Wire("alice", {}), {}, provision=given)
            task = asyncio.create_task(engine.run())
            await until(lambda: engine.trouble is None)
            assert (engine.report().term, engine.node.network.paths) == (3, (PATH,))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            with pytest.raises(ConfigurationError, match="excludes bob"):
                Engine(
                    network,
                    bytes(32),
                    disks["alice"],
                    Wire("alice", {}),
                    {},
                    provision=given,
                    excluded=frozenset({"bob"}),
                )

    run(scenario)


def test_a_link_joins_running_agents_and_leaves_them_again(tmp_path):
    async def scenario():
        async with running(tmp_path) as (engines, _):
            made = link_between("alice", "carol")
            before = {name: engines[name].node.network for name in ("alice", "carol")}
            for index, name in enumerate(before):
                links = (*before[name].links, LinkEntry("alice-carol", _other("alice-carol", name), level=64 * 1024))
                device = DirectDevice(made.kmes[index], made.profile.dialect)
                devices = {**engines[name]._devices._devices, "alice-carol": device}
                await engines[name].reconfigure(msgspec.structs.replace(before[name], links=links), devices)
            await until(lambda: all(engines[name].node.context.pads.get(other) for name, other in PAIR))
            await until(lambda: all(engines[name].node.context.pads[other].owned > 0 for name, other in PAIR))
            assert all(device.device is DeviceState.READY for device in engines["alice"].report().links)
            for name, network in before.items():
                devices = {k: v for k, v in engines[name]._devices._devices.items() if k != "alice-carol"}
                await engines[name].reconfigure(network, devices)
                assert "alice-carol" not in engines[name]._devices.facts
            assert [pads.neighbour for pads in engines["alice"].report().pads] == ["bob"]
            assert await engines["alice"].ask("sae-a", ["sae-c"], 1, 256), "the path over bob carries on"
            assert sum(engine.restarts for engine in engines.values()) == 0

    run(scenario)


PAIR = (("alice", "carol"), ("carol", "alice"))
