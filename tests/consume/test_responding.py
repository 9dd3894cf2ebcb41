"""The responder by itself: it says that its tunnel does not use a key, and looks after the tunnel while nobody calls."""

import pytest
from structlog.testing import capture_logs

from quiver.consume import daemon
from quiver.consume.end import End
from quiver.consume.figures import figures_of, trouble_of
from quiver.consume.responding import Responding
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.responder import Answer, Ask
from quiver.domain.secret import Secret
from tests.consume.ground import run
from tests.consume.test_end import Clock, Recording


class Node:
    """A KME that gives whatever is asked for."""

    async def get_keys_by_id(self, master: str, key_ids: list[str]) -> list[DeliveredKey]:
        return [DeliveredKey(key_id, Secret(bytes(32))) for key_id in key_ids]


def responding(tunnel: Recording, clock: Clock) -> tuple[End, Responding]:
    end = End(tunnel, keep=3600.0, when_exhausted="keep", clock=clock)
    return end, Responding(end, Node(), "gateway-1")  # type: ignore[arg-type]


def failures(end: End, side: Responding) -> dict[str, float]:
    return {one.labels["cause"]: one.value for one in figures_of(end, side) if one.name == "consumer_failures"}


async def switched(side: Responding, key_id: str) -> None:
    for ask in (Ask.OFFER, Ask.TURN):
        assert (await side.take(ask, key_id))[0] is Answer.DONE


def test_a_key_that_is_not_seen_in_use_is_told_and_counted_once() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end, side = responding(tunnel, clock)
        tunnel.proves = False
        await switched(side, "k1")
        clock.seconds = limits.ROLLOVER_PROOF - 1
        await side.look()
        assert failures(end, side)["not-proven"] == 0
        for _ in range(2):
            clock.seconds += 1
            await side.look()
        assert failures(end, side)["not-proven"] == 1
        assert trouble_of(end, side) == "the tunnel has not been seen to use its key"
        await switched(side, "k2")
        clock.seconds += limits.ROLLOVER_PROOF  # without a look, as the initiator's next round comes at once
        await switched(side, "k3")
        assert failures(end, side)["not-proven"] == 2
        tunnel.proves = True
        await side.look()
        clock.seconds += limits.ROLLOVER_PROOF
        await side.look()
        assert failures(end, side)["not-proven"] == 2

    with capture_logs() as logs:
        run(main())
    assert [one["cause"] for one in logs if one["event"] == "the tunnel does not use its key"] == ["not-proven"]


def test_a_key_that_is_proven_here_begins_its_time_though_the_initiator_does_not_ask() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end, side = responding(tunnel, clock)
        await switched(side, "k1")
        clock.seconds = 5.0
        await side.look()
        assert end.tenure.age(clock.seconds) == 0.0

    run(main())


def test_the_tunnel_is_looked_after_while_the_initiator_is_silent() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        _, side = responding(tunnel, clock)
        await side.take(Ask.GREET, None)
        assert tunnel.calls.count("intact ends") == 1, "also before the first key"
        clock.seconds = limits.ROLLOVER_BEAT
        await side.look()
        assert tunnel.calls.count("intact ends") == 1
        clock.seconds += 0.1
        await side.look()
        assert tunnel.calls.count("intact ends") == 2

    run(main())


@pytest.mark.parametrize("broken", ["watch", "open"])
def test_an_error_in_either_part_of_a_consumers_work_ends_it(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A consumer that has lost the look at its key's time must not go on as if it had it."""

    async def fail(_: End) -> None:
        raise RuntimeError(broken)

    async def main() -> None:
        monkeypatch.setattr(End, broken, fail)
        end, side = responding(Recording(), Clock())
        with pytest.raises(RuntimeError, match=broken):
            await daemon._work(end, side)

    run(main())
