"""Child processes that never outlive the demo.

Three things may end the demo: its work is done, a signal, or `kill -9`. In the first two cases it ends each child itself. For
the third each child asks the kernel for SIGKILL at the death of its parent (prctl PR_SET_PDEATHSIG). That needs no help from
the child's code, unlike a pipe that it would have to watch, and holds even for a child that hangs. A child stays in the demo's
process group: Ctrl-C reaches all of them at once.
"""

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from quiver.domain.errors import ConfigurationError, RemoteError

__all__ = ["Children", "Command", "OnDeath", "StartError", "die_with", "quiver_command"]

READY: Final = 120.0  # seconds until a child's ready line; the first start on a slow machine compiles its modules
GRACE: Final = 6.0  # seconds from SIGTERM to SIGKILL; a listener gives requests under way three
_TAIL: Final = 2000  # bytes of a log that are shown
_PR_SET_PDEATHSIG: Final = 1

_libc: Final = ctypes.CDLL(None, use_errno=True)

Ready = dict[str, Any]


class Command:
    """One child: its name, its arguments and the file for its stderr."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name: Final = name
        self.arguments: Final = tuple(arguments)
        self.log: Final = log

    @property
    def last_words(self) -> str:
        """The end of its log, as part of a sentence."""
        try:
            text = self.log.read_bytes()[-_TAIL:].decode(errors="replace").strip()
        except OSError:
            text = ""
        return f"its log ends with:\n{text}" if text else "its log is empty"


OnDeath = Callable[[Command, int], None]


class StartError(RemoteError):
    """A child did not come up.

    Args:
        command: the child.
        what: what happened.
    """

    def __init__(self, command: Command, what: str) -> None:
        super().__init__(f"{command.name} {what}; {command.last_words}")
        self.port_taken: Final = "address already in use" in self.message.lower()


def quiver_command() -> str:
    """The `quiver` that belongs to this interpreter.

    Raises:
        ConfigurationError: it is not installed.
    """
    path = Path(sys.executable).with_name("quiver")
    if not path.exists():
        raise ConfigurationError(f"{path}: missing; install Quiver into the environment of {sys.executable}")
    return str(path)


class Children:
    """All child processes of the demo.

    Args:
        on_death: is told of a child that ends before `stop`, with its exit code.
    """

    def __init__(self, on_death: OnDeath) -> None:
        self._on_death: Final = on_death
        self._running: Final[dict[str, asyncio.subprocess.Process]] = {}
        self._watches: Final[set[asyncio.Task[None]]] = set()
        self._stopping = False

    async def start(self, command: Command) -> Ready:
        """Start a child and wait for the JSON line with which it says that it is ready.

        Raises:
            StartError: it ended, or said nothing for too long, or something else.
        """
        with command.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                preexec_fn=die_with(os.getpid()),
            )
        self._running[command.name] = process
        stdout = process.stdout
        assert stdout is not None
        try:
            async with asyncio.timeout(READY):
                line = await stdout.readline()
                if not line:
                    code = await process.wait()
                    raise StartError(command, f"ended with exit code {code} before it was ready")
            ready = json.loads(line)
        except TimeoutError:
            raise StartError(command, f"was not ready within {READY:.0f} s") from None
        except ValueError:
            raise StartError(command, "wrote no JSON line when it was ready") from None
        watch = asyncio.create_task(self._watch(command, process, stdout))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return dict(ready)

    async def start_all(self, commands: Sequence[Command]) -> list[Ready]:
        """Start several at once; what they say when they are ready, in order.

        Raises:
            StartError: of the first that does not come up; the others may run, until `stop`.
        """
        tasks = [asyncio.create_task(self.start(command)) for command in commands]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, command: Command, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> None:
        while await stdout.read(4096):
            pass  # nothing more is expected; a full pipe must not hold it up
        code = await process.wait()
        wanted = self._running.pop(command.name, None) is None
        if not self._stopping and not wanted:
            self._on_death(command, code)

    def kill(self, name: str) -> None:
        """SIGKILL for a child; that it dies is no news then."""
        _signal(self._running.pop(name), signal.SIGKILL)

    def hang_up(self, name: str) -> None:
        """SIGHUP for a child."""
        _signal(self._running[name], signal.SIGHUP)

    async def stop(self) -> None:
        """End every child: SIGTERM first, SIGKILL for those that are still there after `GRACE`."""
        self._stopping = True
        running = list(self._running.values())
        for process in running:
            _signal(process, signal.SIGTERM)
        waiting = [asyncio.create_task(process.wait()) for process in running]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=GRACE)
            if late:
                structlog.get_logger("quiver.demo").warning("children did not end in time", count=len(late))
            for process in running:
                _signal(process, signal.SIGKILL)
            await asyncio.gather(*waiting)
        await asyncio.gather(*self._watches, return_exceptions=True)
        self._running.clear()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    if process.returncode is None:
        try:
            process.send_signal(number)
        except ProcessLookupError:
            return


def die_with(parent: int) -> Callable[[], None]:
    """What a child does between fork and exec: two system calls, nothing that could wait for a lock."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the demo died before prctl

    return prepare
