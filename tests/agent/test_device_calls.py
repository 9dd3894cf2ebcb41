"""What a node hears of its devices, whatever they answer, and which of them are asked."""

import asyncio
from collections.abc import Callable

import pytest

from quiver.agent.config import AgentConfig, parse_agent
from quiver.agent.device_calls import DeviceCalls
from quiver.agent.fleet import DeviceFleet
from quiver.domain import limits
from quiver.domain.collector import DeviceFetch, DeviceGet
from quiver.domain.secret import Secret
from quiver.protocols.etsi014 import Status
from quiver.qkd.device import DeviceError, DeviceKey, DeviceStatus, Failure

from .configs import AGENT, write_agent

STATUS = Status(
    source_kme_id="1",
    target_kme_id="2",
    master_sae_id="a",
    slave_sae_id="b",
    key_size=256,
    stored_key_count=5,
    max_key_count=9,
    max_key_per_request=3,
    max_key_size=256,
    min_key_size=256,
    max_sae_id_count=0,
)


class Device:
    """A device whose answers a test sets."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.told = DeviceStatus(status=STATUS, qber=0.02, link_up=True)

    async def status(self) -> DeviceStatus:
        self._fail()
        return self.told

    async def get_keys(self, number: int, size: int | None = None) -> list[DeviceKey]:
        self._fail()
        return [DeviceKey("k", Secret(bytes(32)))]

    async def get_keys_by_id(self, key_ids: object) -> list[DeviceKey]:
        self._fail()
        return []

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Ears:
    """Stands for a driver, its node and the node's links: notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.node = self.ends = self

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *facts, **named: self.heard.append((name, *facts, *named.values()))


def told(act: Callable[[DeviceCalls, Device], object]) -> list[tuple[object, ...]]:
    """What a node hears of one act of the device of its link a-b."""
    ears, device = Ears(), Device()

    async def main() -> None:
        calls = DeviceCalls({"a-b": device}, lambda event, life: event(ears))  # type: ignore[arg-type]
        await act(calls, device)  # type: ignore[misc]

    asyncio.run(main())
    return ears.heard


def failing(failure: Failure) -> DeviceError:
    return DeviceError(failure, "it says so")


def test_a_status_is_told_with_what_the_vendor_says_of_its_link():
    ((name, link, facts),) = told(lambda calls, device: calls._read("a-b"))
    assert (name, link) == ("facts", "a-b")
    assert (facts.key_size, facts.most, facts.stored, facts.channel_up, facts.qber) == (256, 3, 5, True, 0.02)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (failing(Failure.UNREACHABLE), "unreachable"),
        (failing(Failure.UNAUTHORIZED), "unauthorised"),
        (failing(Failure.MALFORMED), "malformed"),
        (TimeoutError(), "unreachable"),
        (ZeroDivisionError(), "malformed"),
    ],
)
def test_a_status_that_does_not_come_is_silence_with_its_class_and_no_word_of_the_device(error: Exception, reason: str):
    async def read(calls: DeviceCalls, device: Device) -> None:
        device.error = error
        assert await calls._read("a-b") < limits.DEVICE_POLL

    assert told(read) == [("silent", "a-b", reason)]


@pytest.mark.parametrize(("failure", "silence"), [(Failure.REFUSED, ""), (Failure.UNREACHABLE, "unreachable")])
def test_a_refusal_is_an_answer_and_silence_is_none(failure: Failure, silence: str):
    async def both(calls: DeviceCalls, device: Device) -> None:
        device.error = failing(failure)
        await calls.call(DeviceGet("a-b", 1), 0)
        await calls.call(FETCH, 0)

    assert told(both) == [("refused", "a-b", silence), ("fetch_failed", FETCH, True, silence)]


FETCH = DeviceFetch("a-b", "5e" * 16, ("k",))


def test_a_device_with_something_wrong_is_read_more_often():
    async def reads(calls: DeviceCalls, device: Device) -> None:
        assert await calls._read("a-b") == limits.DEVICE_POLL
        for wrong in ({"link_up": False}, {"qber": 0.2}):
            device.told = DeviceStatus(status=STATUS, **wrong)
            assert await calls._read("a-b") == limits.DEVICE_POLL_BAD

    assert len(told(reads)) == 3


def test_a_device_that_is_gone_fails_and_another_takes_its_place():
    async def change(calls: DeviceCalls, device: Device) -> None:
        await calls._read("a-b")
        calls.configure({})
        assert calls.facts == {}
        await calls.call(DeviceGet("a-b", 1), 0)
        calls.configure({"a-b": Device()})
        await calls.call(DeviceGet("a-b", 1), 0)

    assert [entry[0] for entry in told(change)] == ["facts", "refused", "got"]


# --- clients of a configuration ---------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path) -> AgentConfig:
    write_agent(tmp_path)
    return parse_agent(AGENT, tmp_path)


def test_a_device_whose_table_stays_keeps_its_client_and_another_gets_a_new_one(config: AgentConfig, tmp_path):
    changed = parse_agent(AGENT.replace("127.0.0.1:9001", "127.0.0.1:9011"), tmp_path)

    async def main() -> None:
        async with DeviceFleet() as fleet:
            first = fleet.clients(config)
            assert list(first) == ["a-b", "a-d"]
            second = fleet.clients(changed)
            assert second["a-d"] is first["a-d"]
            assert second["a-b"] is not first["a-b"]
            await fleet.release()
            assert fleet.clients(changed) == second

    asyncio.run(main())


def test_a_link_has_the_channel_that_its_table_names_or_none(config: AgentConfig, tmp_path):
    assert config.channels == {}
    text = AGENT.replace('neighbour = "bob"\n', 'neighbour = "bob"\nchannel = "127.0.0.1:9700"\n')
    channels = parse_agent(text, tmp_path).channels
    assert {link: (address.host, address.port) for link, address in channels.items()} == {"a-b": ("127.0.0.1", 9700)}
