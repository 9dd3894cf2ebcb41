"""A daemon hears every SIGHUP, and ends when its work does."""

import asyncio
import subprocess
import sys

import pytest

from quiver.net.process import HangUp, signalled


def test_a_signal_that_comes_during_another_is_heard_after_it() -> None:
    async def main() -> None:
        begun, go = asyncio.Queue[int](), asyncio.Event()
        count = 0

        async def act() -> None:
            nonlocal count
            count += 1
            begun.put_nowait(count)
            await go.wait()

        hang_up = HangUp(act)
        hang_up()
        assert await begun.get() == 1
        hang_up()
        hang_up()  # the files are read once more after both
        assert begun.empty()
        go.set()
        assert await begun.get() == 2
        await asyncio.sleep(0)
        hang_up()
        assert await begun.get() == 3

    asyncio.run(main())


def test_work_that_ends_by_itself_ends_the_daemon_with_its_error() -> None:
    async def fail() -> None:
        raise KeyError("x")

    async def main() -> None:
        with pytest.raises(KeyError):
            await signalled(asyncio.create_task(fail()))

    asyncio.run(main())


def test_a_process_that_keeps_its_memory_writes_no_core_file_and_cannot_be_looked_into() -> None:
    script = """
import ctypes, resource
from quiver.net.process import keep_memory
keep_memory()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "(0, 0) 0"
