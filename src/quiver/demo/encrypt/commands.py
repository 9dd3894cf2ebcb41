"""Other programs of the demonstration: run to their end, or followed line by line; none outlives the demonstration."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from typing import Final

from quiver.demo.processes import die_with
from quiver.domain.errors import UnavailableError

__all__ = ["Running", "run", "started"]

_TIME: Final = 30.0  # seconds for a command to end
_GRACE: Final = 3.0  # seconds from SIGINT to SIGKILL
_LAST: Final = 400  # bytes of output that an error shows


async def run(*words: str, stdin: bytes | None = None) -> bytes:
    """A command's standard output.

    Raises:
        UnavailableError: it cannot be started, failed, or took too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise UnavailableError(f"{words[0]}: {error.strerror}") from None
    try:
        async with asyncio.timeout(_TIME):
            out, err = await process.communicate(stdin)
    except TimeoutError:
        process.kill()
        raise UnavailableError(f"{' '.join(words)}: not done within {_TIME:.0f} s") from None
    if process.returncode:
        raise UnavailableError(f"{' '.join(words)}: {err[-_LAST:].decode(errors='replace').strip()}")
    return out


class Running:
    """A program that runs until it is ended.

    Args:
        words: its command.
        process: it.
        line: is given each line that it writes.
        ended: is called when it ends by itself.
    """

    def __init__(
        self,
        words: Sequence[str],
        process: asyncio.subprocess.Process,
        line: Callable[[bytes], None],
        ended: Callable[[], None],
    ) -> None:
        self._words: Final = tuple(words)
        self._process: Final = process
        self._line: Final = line
        self._ended: Final = ended
        self._last = b""
        self._news: Final = asyncio.Condition()
        self._reading: Final = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._line(line)
            self._last = (self._last + line)[-_LAST:]
            async with self._news:
                self._news.notify_all()
        await self._process.wait()
        self._ended()
        async with self._news:
            self._news.notify_all()

    async def said(self, word: bytes, seconds: float) -> None:
        """Wait until it has written a word.

        Raises:
            UnavailableError: it ends before, or takes longer.
        """
        try:
            async with asyncio.timeout(seconds), self._news:
                while word not in self._last:
                    if self._process.returncode is not None:
                        break
                    await self._news.wait()
        except TimeoutError:
            pass
        if word not in self._last:
            said = self._last.decode(errors="replace").strip()
            raise UnavailableError(f"{' '.join(self._words)}: did not start: {said or 'it said nothing'}")

    async def end(self) -> None:
        """End it, and read what it says at last."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(_GRACE):
                await asyncio.shield(self._reading)
        except TimeoutError:
            self._process.kill()
            await self._reading


async def started(words: Sequence[str], line: Callable[[bytes], None], ended: Callable[[], None]) -> Running:
    """Start a program; its standard error goes with its output.

    Raises:
        UnavailableError: it cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=die_with(os.getpid()),
        )
    except OSError as error:
        raise UnavailableError(f"{words[0]}: {error.strerror}") from None
    return Running(words, process, line, ended)
