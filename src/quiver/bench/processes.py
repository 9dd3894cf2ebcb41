"""The processes that a benchmark starts: each ready when it says so, pinned while it is measured, gone when it ends."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from quiver.bench.figures import usable_cores
from quiver.domain.errors import RemoteError

__all__ = ["Child", "Children"]

_START: Final = 60.0  # seconds until a child listens; many start at once
_END: Final = 10.0  # seconds from its signal to its end


class Child:
    """One process.

    Attributes:
        pid: its id.
        ready: what it told once it listened.
    """

    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self._process: Final = process
        self.pid: Final = process.pid
        self.ready: Final = ready

    async def stop(self) -> None:
        """End it, with patience first."""
        await _end(self._process)


class Children:
    """All processes of one network.

    Args:
        logs: directory for what they write to stderr.
    """

    def __init__(self, logs: Path) -> None:
        self._logs: Final = logs
        self._children: Final[list[Child]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(self.stop(child) for child in list(self._children)))

    async def start(self, role: str, *paths: Path) -> Child:
        """A process in a role of `quiver.bench.child`, once it listens.

        Raises:
            RemoteError: it ended, or did not listen in time.
        """
        log = self._logs / f"{role}-{paths[0].stem}.log"
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "quiver.bench.child", role, *map(str, paths)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is for the benchmark, which ends the others
            )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(_START):
                line = await process.stdout.readline()
            if not line:
                raise RemoteError(_last_words(log) or f"{role} {paths[0].stem} ended at its start")
        except TimeoutError:
            await _end(process)
            raise RemoteError(f"{role} {paths[0].stem} did not start within {_START:.0f} seconds") from None
        except BaseException:
            await _end(process)
            raise
        child = Child(process, json.loads(line))
        self._children.append(child)
        return child

    async def stop(self, child: Child) -> None:
        """End one of them."""
        self._children.remove(child)
        await child.stop()

    @contextlib.contextmanager
    def alone(self, *measured: Child) -> Iterator[None]:
        """While this lasts, the last core belongs to these, and everything else, this process too, keeps to the others."""
        cores = usable_cores()
        if len(cores) < 2 or not hasattr(os, "sched_setaffinity"):
            yield
            return
        own = {max(cores)}
        places = {child.pid: own if child in measured else cores - own for child in self._children}
        places[os.getpid()] = cores - own
        try:
            for pid, allowed in places.items():
                _pin(pid, allowed)
            yield
        finally:
            for pid in places:
                _pin(pid, cores)


def _pin(pid: int, cores: set[int]) -> None:
    """All threads of a process; those that it starts later follow."""
    with contextlib.suppress(OSError):  # it has ended, or a thread of it
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
