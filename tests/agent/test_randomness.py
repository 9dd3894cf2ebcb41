"""A generator adds to the system's random numbers; when it fails, keys wait where policy says so, and somebody is told."""

import asyncio
import os
import random
import threading
from pathlib import Path

import pytest

from quiver.agent import randomness
from quiver.agent.figures import figures_of
from quiver.agent.randomness import Generator, Randomness, fault_of
from quiver.domain.errors import UnavailableError
from quiver.domain.health import START_UP
from tests.agent.test_engine import running, until

PATIENCE = 20.0  # seconds


class Pipe:
    """A generator that tests write to; None ends it until it is opened again."""

    def __init__(self, path: Path):
        os.mkfifo(path)
        self.path = path
        self._drawn = random.Random(1)
        self._end: int | None = None

    def write(self, samples: bytes) -> None:
        if self._end is None:
            self._end = os.open(self.path, os.O_WRONLY)
        os.write(self._end, samples)

    def good(self, count: int) -> None:
        self.write(self._drawn.randbytes(count))

    def end(self) -> None:
        assert self._end is not None
        os.close(self._end)
        self._end = None


class News:
    def __init__(self):
        self._came = threading.Semaphore(0)

    def __call__(self) -> None:
        self._came.release()

    def wait(self) -> None:
        assert self._came.acquire(timeout=PATIENCE)


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipe:
    monkeypatch.setattr(randomness.limits, "REPEAT_FIRST", 0.01)
    return Pipe(tmp_path / "generator")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operating system whose random numbers are all zero: what comes out is the generator's."""
    monkeypatch.setattr(randomness.os, "urandom", bytes)


def started(pipe: Pipe, *, required: bool = True) -> tuple[Randomness, News]:
    news = News()
    source = Randomness(Generator(pipe.path, 1.0), required=required)
    source.start(news)
    return source, news


def test_the_generators_bytes_are_xored_to_the_systems_each_once_and_none_of_its_start_up(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(randomness.os, "urandom", lambda count: b"\x0f" * count)
    source, news = started(pipe)
    assert source.draw_key(16) is None
    pipe.good(START_UP + 64)
    news.wait()
    expected = bytes(byte ^ 0x0F for byte in random.Random(1).randbytes(START_UP + 64)[START_UP:])
    assert (source.draw_key(40) or b"") + (source.draw_key(24) or b"") == expected
    assert source.draw_key(1) is None
    source.stop()


@pytest.mark.usefixtures("system")
def test_a_generator_that_fails_its_tests_gives_nothing_and_is_taken_up_again_when_it_passes(pipe: Pipe) -> None:
    source, news = started(pipe)
    pipe.good(2 * START_UP)
    news.wait()
    assert source.trouble is None
    pipe.write(bytes(64))
    news.wait()
    (reason,) = source.failures()
    assert "repetition count" in reason
    assert source.draw_key(16) is None, "also what came before the tests noticed is not used"
    assert "no fresh keys" in (source.trouble or "")
    pipe.end()
    pipe.good(2 * START_UP)
    while source.draw_key(16) is None:
        news.wait()
    assert source.trouble is None
    source.stop()


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("required", [True, False])
def test_one_that_ends_is_an_alarm_and_no_key_is_made_where_policy_demands_it(pipe: Pipe, required: bool) -> None:
    source, news = started(pipe, required=required)
    pipe.good(64)
    pipe.end()
    news.wait()
    assert source.failures() == ["it has ended"]
    assert (source.draw_key(16) is None) is required
    assert (source.trouble is None) is not required
    source.stop()


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("begun", [True, False], ids=["in the middle", "from the start"])
def test_one_that_hangs_is_an_alarm_and_one_only(pipe: Pipe, monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    monkeypatch.setattr(randomness.limits, "RANDOM_SILENCE", 0.05)
    source, news = started(pipe)
    if begun:
        pipe.good(2 * START_UP)
        news.wait()
        assert source.draw_key(START_UP) is not None
    for _ in range(3):  # tries; each has the same reason
        news.wait()
    assert source.failures() == ["it gave nothing for 0.05 s"]
    assert source.trouble is not None
    assert source.draw_key(1) is None
    source.stop()


def test_without_one_nothing_waits() -> None:
    source = Randomness()
    source.start(lambda: None)
    assert source.trouble is None
    assert source.failures() == []
    key = source.draw_key(32)
    assert key is not None
    assert key != source.draw_key(32)
    source.stop()


def test_what_cannot_be_a_generator_is_named_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(100))
    assert "the same numbers again" in (fault_of(tmp_path / "file") or "")
    assert "No such file" in (fault_of(tmp_path / "nothing") or "")
    assert fault_of(Path("/dev/urandom")) is None


def test_an_agent_whose_generator_fails_makes_no_keys_says_why_and_makes_them_again(pipe: Pipe, tmp_path: Path) -> None:
    source = Randomness(Generator(pipe.path, 1.0), required=True)

    async def scenario() -> None:
        async with running(tmp_path, source) as (engines, _):
            alice, pads = engines["alice"], engines["alice"].node.context.pads["bob"]
            for slave in ("sae-c", "sae-a2"):
                with pytest.raises(UnavailableError, match="no fresh keys"):
                    await alice.ask("sae-a", [slave], 1, 256)
            pipe.good(START_UP + 512)
            await until(lambda: source.trouble is None)
            spent = pads.allocated
            for slave in ("sae-c", "sae-a2"):
                (key,) = await alice.ask("sae-a", [slave], 1, 256)
                assert len(key.key) == 32
            assert pads.allocated > spent
            waits = asyncio.create_task(alice.ask("sae-a", ["sae-c"], 16, 256))  # 512 bytes; 448 are left
            await until(lambda: len(alice.node.delivery.requests) == 1)
            pipe.good(512)
            assert len(await waits) == 16
            pipe.write(bytes(64))
            await until(lambda: alice.node.journal.alarmed.get("random-generator") == 1)
            with pytest.raises(UnavailableError, match="repetition count"):
                await alice.ask("sae-a", ["sae-c"], 1, 256)
            samples = {figure.name: figure.value for figure in figures_of(alice)}
            assert samples["random_generator_up"] == 0
            assert samples["random_generator_failures"] == 1
            assert samples["random_generator_bytes"] == 2 * 32 + 16 * 32

    asyncio.run(scenario())
