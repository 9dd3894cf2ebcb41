"""The emulation that reroutes are timed on: links make equal keys at both ends, and a cut one swallows what goes along it."""

import asyncio
from pathlib import Path

import pytest

from quiver.bench.emulated.device import EmulatedDevice
from quiver.bench.emulated.exchange import Exchange, Way
from quiver.bench.emulated.plan import EmulatedLink, EmulationPlan
from quiver.bench.emulated.reroute import demands_between, spare
from quiver.domain.errors import RemoteError, UnavailableError
from quiver.domain.messages import Answer, Header, Heartbeat, LinkBeat, Outcome
from quiver.domain.sdn.live import PathLive
from quiver.domain.secret import Secret
from quiver.qkd.device import DeviceError
from quiver.simulate.networks import network_named

SEED = Secret(bytes(range(32)))
HEADER = Header(incarnation="0" * 32, run="1" * 32, number=1, mac="2" * 64)
SQUARE = tuple(EmulatedLink(f"{one}{other}", one, other, 1000) for one, other in ("ab", "bc", "cd", "ad", "de"))


def end(link: str, node: str, seed: Secret = SEED) -> EmulatedDevice:
    return EmulatedDevice(link, node, "b" if node == "a" else "a", 1000.0, seed)


def test_both_ends_of_a_link_have_the_same_keys_by_their_key_ids_and_no_other_link_has_them():
    async def fetched() -> None:
        keys = await end("a-b", "a").get_keys(3)
        names = [key.key_id for key in keys]
        assert len(set(names)) == 3
        assert [key.key for key in await end("a-b", "b").get_keys_by_id([name.upper() for name in names])] == [
            key.key for key in keys
        ]
        for other in (end("a-c", "b"), end("a-b", "b", Secret(bytes(32)))):
            assert not any(
                mine.key == theirs.key for mine, theirs in zip(keys, await other.get_keys_by_id(names), strict=True)
            )

    asyncio.run(fetched())


def test_a_device_hands_out_no_more_than_its_stock_and_makes_nothing_in_the_dark():
    async def emptied() -> None:
        device = end("a-b", "a")
        device.light = False
        while (await device.status()).status.stored_key_count:
            await device.get_keys(16)
        assert (await device.status()).link_up is False
        with pytest.raises(DeviceError):
            await device.get_keys(1)

    asyncio.run(emptied())


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_node_is_emulated_once_by_equal_shares_and_most_neighbours_together(processes: int, tmp_path: Path):
    network = network_named("backbone-145+12")
    plan = EmulationPlan.of(network, processes, tmp_path)
    shares = [plan.nodes_of(number) for number in range(plan.processes)]
    assert sorted(node for share in shares for node in share) == sorted(network.graph().nodes)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    together = sum(plan.hosts[link.one] == plan.hosts[link.other] for link in plan.links)
    assert together >= 0.8 * len(plan.links)
    assert EmulationPlan.read(plan.write()[0]) == plan


class Ground:
    """Two nodes of one process; each message is answered with `done`."""

    def __init__(self) -> None:
        self.exchange = Exchange(0, {"a": 0, "b": 0}, {})
        self.received: list[str] = []
        self.exchange.join("b", self.receive)
        self.way = Way("a", self.exchange)

    async def receive(self, sender, kind, header, items):
        self.received.append(kind)
        return header, [Answer(Outcome.DONE) for _ in items]

    async def send(self, item: LinkBeat | Heartbeat, link: str = "") -> Outcome:
        _, (answer,) = await self.way.send("b", item.kind, HEADER, [item], link)
        return answer.outcome


def test_what_goes_along_a_cut_link_gets_no_answer_until_it_is_given_up_and_all_else_passes():
    async def cut() -> None:
        ground = Ground()
        assert await ground.send(LinkBeat(link="a-b"), "a-b") is Outcome.DONE
        ground.exchange.cut.add("a-b")
        waiting = asyncio.create_task(ground.send(LinkBeat(link="a-b"), "a-b"))
        await asyncio.sleep(0)
        assert await ground.send(Heartbeat(level=0, wanted=0)) is Outcome.DONE
        assert not waiting.done()
        await ground.way.drop("b", "a-b")
        with pytest.raises(RemoteError):
            await waiting
        ground.exchange.cut.clear()
        assert await ground.send(LinkBeat(link="a-b"), "a-b") is Outcome.DONE
        assert ground.received == ["beat", "heartbeat", "beat"]

    asyncio.run(cut())


def test_a_node_that_is_not_there_is_an_error_and_not_a_wait():
    async def call() -> None:
        with pytest.raises(RemoteError):
            await Way("b", Ground().exchange).send("c", Heartbeat.kind, HEADER, [Heartbeat(level=0, wanted=0)])

    asyncio.run(call())


def path(*nodes: str) -> PathLive:
    return PathLive(
        virtual_link="v",
        path=1,
        version=1,
        nodes=nodes,
        state=None,
        credit=1,
        ready=0,
        coming=(),
        trouble="",
        age=None,
    )


def test_only_links_are_cut_that_a_path_passes_and_has_another_way_without():
    assert spare(SQUARE, SQUARE, [path("a", "b", "c")]).id == "ab"
    assert spare(SQUARE, SQUARE, [path("d", "c")]).id == "cd"
    with pytest.raises(UnavailableError):
        spare(SQUARE, SQUARE, [path("d", "e")])


def test_demands_are_between_different_pairs_and_the_same_for_a_seed():
    users = [f"u{number}" for number in range(6)]
    drawn = demands_between(users, 20, 7, 0)
    assert len({(one.source, one.destination) for one in drawn}) == 20
    assert all(one.source != one.destination for one in drawn)
    assert drawn == demands_between(users, 20, 7, 0)
    assert len(demands_between(users, 100, 7, 0)) == 30
