"""What `quiver demo-encrypt` counts: a tunnel that stands still is seen, and not called flawless."""

import asyncio

import msgspec
import pytest

from quiver.demo.encrypt.consumers import State
from quiver.demo.encrypt.link import EchoTraffic
from quiver.demo.encrypt.results import EncryptOptions, EncryptResult
from quiver.demo.encrypt.traffic import Counts, ForeignTraffic
from quiver.net.ports import free_ports


def lines(traffic, *numbers, answered=True):
    for number in numbers:
        said = "64 bytes from 10.210.0.2: icmp_seq=%d ttl=64" if answered else "no answer yet for icmp_seq=%d"
        traffic._echo((said % number).encode())


def counted(traffic):
    return traffic.counts.echoes, traffic.counts.unanswered


def test_echoes_without_an_answer_count_while_the_tunnel_stands_still():
    traffic = ForeignTraffic((), (), "10.210.0.2")
    lines(traffic, 1, 2, 3)
    lines(traffic, 4, 5, answered=False)
    assert counted(traffic) == (5, 2)
    lines(traffic, 5)  # late, but there
    lines(traffic, 6)
    assert counted(traffic) == (6, 1)


def test_more_echoes_are_counted_than_their_numbers_go():
    traffic = ForeignTraffic((), (), "10.210.0.2")
    lines(traffic, *range(1, 1 << 16), *range(1 << 16))
    assert counted(traffic) == ((1 << 17) - 1, 0)
    lines(traffic, 0, 2, answered=False)
    assert counted(traffic) == ((1 << 17) + 2, 3)


def test_datagrams_that_are_on_their_way_at_the_end_are_waited_for_and_then_lost():
    """Nobody carries them from the entry to the target."""

    async def main():
        entry, target = free_ports(2)
        traffic = EchoTraffic(entry, target)
        async with traffic:
            while traffic.counts.echoes < 10:  # noqa: ASYNC110  # what is sent tells nobody
                await asyncio.sleep(0)
        assert traffic.counts.unanswered == traffic.counts.echoes

    asyncio.run(main())


@pytest.mark.parametrize(
    ("changed", "flawless"),
    [
        ({}, True),
        ({"unanswered": 5, "lost": 5}, True),
        ({"unanswered": 6}, False),
        ({"lost": 6}, False),
        ({"echoes": 0}, False),
        ({"broken": 1}, False),
    ],
)
def test_a_run_that_lost_more_than_a_few_packets_is_not_flawless(changed, flawless):
    counts = msgspec.structs.replace(Counts(echoes=1000, datagrams=1000, megabits=[10.0]), **changed)
    result = EncryptResult(
        options=EncryptOptions(kind="link", rollovers=3, seed=1),
        kind="link",
        words="a tunnel",
        saes=("alice", "bob"),
        hops=3,
        faults=[],
        state=State(rollovers=3, keys=3, age=1.0, failures=0, expired=False),
        counts=counts,
        seconds=60.0,
    )
    assert result.flawless is flawless
