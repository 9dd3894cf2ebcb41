"""Random numbers of an agent: the operating system's, and a hardware or quantum generator's XORed to them where there is one.

The XOR of both is as good as the better one: a generator can only add. Its bytes pass health tests first (`domain.health`);
a generator that fails them gives none until it has passed its start-up tests anew, and an alarm says so each time. Where policy
demands it (`required`) no fresh key is made meanwhile: nothing takes its place in silence.
"""

import os
import select
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from quiver.domain import limits, xor
from quiver.domain.health import START_UP, HealthTests

__all__ = ["Generator", "Randomness", "fault_of"]

_READ: Final = 4_096  # bytes of one read
_LOOK: Final = 0.2  # seconds between two looks whether it is to be stopped


def fault_of(path: Path) -> str | None:
    """Why a path cannot be a generator, for `quiver agent check`; None where nothing speaks against it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        return f"{path}: a character device or a named pipe is needed; a file would give the same numbers again"
    return None if os.access(path, os.R_OK) else f"{path}: not readable by this user"


class Generator:
    """Reads a generator in a thread of its own, tests what comes, and keeps up to `limits.RANDOM_STOCK` bytes.

    Args:
        path: a character device, or a named pipe that somebody writes to.
        min_entropy: bits of each byte, for the tests.

    Attributes:
        trouble: why it gives none now; None while all is well.
        failures: times that it has failed; tries in a row that fail for one reason count once.
        taken: bytes that went into keys.
    """

    def __init__(self, path: Path, min_entropy: float) -> None:
        self.path: Final = path
        self.trouble: str | None = "its start-up tests are not done"
        self.failures = 0
        self.taken = 0
        self._min_entropy: Final = min_entropy
        self._news: Callable[[], object] = lambda: None
        self._stock = bytearray()
        self._unheard: list[str] = []  # of its failures
        self._told: str | None = None  # the last of them, until it gives bytes again
        self._room: Final = threading.Condition()
        self._ended = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="random-generator", daemon=True)

    def start(self, news: Callable[[], object]) -> None:
        """Begin to read.

        Args:
            news: called in the thread when bytes have come after there were none, and when the generator has failed.
        """
        self._news = news
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._ended.set()
        with self._room:
            self._room.notify_all()

    @property
    def stock(self) -> int:
        """Bytes that were tested and not taken yet."""
        return len(self._stock)

    def take(self, count: int) -> bytes | None:
        """`count` tested bytes, each once; None where there are not so many."""
        with self._room:
            if len(self._stock) < count:
                return None
            taken = bytes(self._stock[:count])
            self._stock[:count] = bytes(count)
            del self._stock[:count]
            self.taken += count
            self._room.notify_all()
            return taken

    def heard(self) -> list[str]:
        """Why it has failed since this was called last."""
        with self._room:
            failures, self._unheard = self._unheard, []
            return failures

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = limits.REPEAT_FIRST
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                # Neither the opening of a pipe to which nobody writes nor a read of a device that hangs may wait for good.
                source = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    failed = self._read(source)
                finally:
                    os.close(source)
            except OSError as error:
                failed = error.strerror or "not readable"
            if self._ended.is_set():
                return
            self._fail(failed)
            pause = limits.REPEAT_FIRST if time.monotonic() - begun > limits.REPEAT_MOST else pause
            self._ended.wait(pause)
            pause = min(2 * pause, limits.REPEAT_MOST)

    def _read(self, source: int) -> str:
        """Read, test and keep until something is wrong; what it is."""
        tests, tested = HealthTests(self._min_entropy), 0
        while not self._ended.is_set():
            samples = self._next(source)
            if samples is None:
                return f"it gave nothing for {limits.RANDOM_SILENCE:g} s"
            if not samples:
                return "it has ended"
            failed = tests.feed(samples)
            if failed is not None:
                return f"it failed the {failed} test (NIST SP 800-90B section 4.4)"
            usable = samples[max(0, START_UP - tested) :]  # what the start-up tests see is not used (section 4.3)
            tested += len(samples)
            if usable:
                self._keep(usable)
        return "it was stopped"

    def _next(self, source: int) -> bytes | None:
        """The next bytes; none where it has ended, None where it gives nothing for too long."""
        until, poller = time.monotonic() + limits.RANDOM_SILENCE, select.poll()
        poller.register(source, select.POLLIN)
        while (left := until - time.monotonic()) > 0 and not self._ended.is_set():
            if poller.poll(1000 * min(left, _LOOK)):
                try:
                    return os.read(source, _READ)
                except BlockingIOError:  # drivers without poll are always said to be ready
                    self._ended.wait(min(left, _LOOK))
        return None

    def _keep(self, samples: bytes) -> None:
        with self._room:
            while len(self._stock) >= limits.RANDOM_STOCK and not self._ended.is_set():
                self._room.wait()
            empty = not self._stock
            self._stock += samples
            self.trouble = self._told = None
        if empty:
            self._news()

    def _fail(self, why: str) -> None:
        with self._room:
            self._stock[:] = bytes(len(self._stock))  # it may have been bad before the tests noticed
            self._stock.clear()
            if why != self._told:  # a try that fails as the one before did is no news
                self.failures += 1
                self._unheard.append(why)
            self.trouble = self._told = why
        self._news()


class Randomness:
    """Fresh random bytes for one node; an `Entropy`.

    Args:
        generator: beside the operating system's; None for none.
        required: no key is made while the generator gives no bytes.
    """

    def __init__(self, generator: Generator | None = None, *, required: bool = False) -> None:
        self.generator: Final = generator
        self.required: Final = required and generator is not None

    def draw(self, count: int) -> bytes:
        """`count` fresh random bytes of the operating system, for names and nonces."""
        return os.urandom(count)

    def draw_key(self, count: int) -> bytes | None:
        """`count` fresh random bytes for keys; None where the generator is demanded, and has not so many.

        With too few of its bytes, and where it is not demanded, they are the operating system's alone.
        """
        drawn = os.urandom(count)
        more = self.generator.take(count) if self.generator is not None else None
        if more is None:
            return None if self.required else drawn
        return xor.combine(drawn, more)

    def start(self, news: Callable[[], object]) -> None:
        """Begin to read the generator, where there is one; `news` as `Generator.start`."""
        if self.generator is not None:
            self.generator.start(news)

    def stop(self) -> None:
        """Read it no more."""
        if self.generator is not None:
            self.generator.stop()

    def failures(self) -> list[str]:
        """Why the generator has failed since this was asked last."""
        return self.generator.heard() if self.generator is not None else []

    @property
    def trouble(self) -> str | None:
        """Why no keys are made; None while they are."""
        if self.generator is None or not self.required or self.generator.trouble is None:
            return None
        return f"no fresh keys: the generator {self.generator.path} gives no random numbers: {self.generator.trouble}"
