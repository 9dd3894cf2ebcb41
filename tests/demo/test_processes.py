"""Children come up or say why not, and none outlives the demo, however that ends."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quiver.demo.processes import Children, Command, StartError
from quiver.demo.run import until_signalled

READY = "import sys; print('{\"pid\": 1}', flush=True); sys.stdin.read(); "
WAIT = "import signal; signal.sigwait([signal.SIGUSR1])"
PARENT = """
import asyncio, os, sys
from pathlib import Path
from quiver.demo.processes import Children, Command

async def main():
    children = Children(lambda command, code: None)
    code = "import os, signal; print('{\\"pid\\": %d}' % os.getpid(), flush=True); signal.sigwait([signal.SIGUSR1])"
    ready = await children.start(Command("child", (sys.executable, "-c", code), Path(sys.argv[1])))
    print(ready["pid"], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def child(name: str, code: str, directory: Path) -> Command:
    return Command(name, (sys.executable, "-c", code), directory / f"{name}.log")


def nobody(command: Command, code: int) -> None:
    pytest.fail(f"{command.name} was reported to have died with {code}")


def test_a_child_is_ready_when_it_says_so_and_gone_after_stop(tmp_path: Path):
    async def run() -> tuple[dict[str, object], int | None]:
        children = Children(nobody)
        ready = await children.start(child("one", READY + WAIT, tmp_path))
        process = children._running["one"]
        await children.stop()
        return ready, process.returncode

    assert asyncio.run(run()) == ({"pid": 1}, -signal.SIGTERM)


def test_a_child_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path):
    async def run() -> None:
        children = Children(nobody)
        try:
            await children.start(child("agent", "import sys; sys.exit('peer plane: no such file')", tmp_path))
        finally:
            await children.stop()

    with pytest.raises(
        StartError, match=r"agent ended with exit code 1 before it was ready.*\n.*no such file"
    ) as raised:
        asyncio.run(run())
    assert not raised.value.port_taken


def test_a_port_that_somebody_else_has_taken_is_recognised(tmp_path: Path):
    async def run() -> None:
        await Children(nobody).start(child("agent", "import sys; sys.exit('port 1: Address already in use')", tmp_path))

    with pytest.raises(StartError) as raised:
        asyncio.run(run())
    assert raised.value.port_taken


def test_a_child_that_says_something_else_is_no_child_of_ours(tmp_path: Path):
    async def run() -> None:
        children = Children(nobody)
        try:
            await children.start(child("agent", "print('hello', flush=True); " + WAIT, tmp_path))
        finally:
            await children.stop()

    with pytest.raises(StartError, match="no JSON line"):
        asyncio.run(run())


def test_if_one_of_several_does_not_come_up_the_others_are_ended_by_stop(tmp_path: Path):
    async def run() -> list[int | None]:
        children = Children(nobody)
        commands = [child("good", READY + WAIT, tmp_path), child("bad", "raise SystemExit(3)", tmp_path)]
        with pytest.raises(StartError, match="bad ended with exit code 3"):
            await children.start_all(commands)
        running = list(children._running.values())
        await children.stop()
        return [process.returncode for process in running]

    codes = asyncio.run(run())
    assert codes
    assert None not in codes


def test_a_child_that_dies_later_is_reported_and_the_others_go_on(tmp_path: Path):
    async def run() -> tuple[tuple[str, int], bool]:
        dead: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        children = Children(lambda command, code: dead.set_result((command.name, code)))
        await children.start_all([child(name, READY + WAIT, tmp_path) for name in ("one", "other")])
        children._running["one"].kill()
        found = await dead
        alive = children._running["other"].returncode is None
        await children.stop()
        return found, alive

    assert asyncio.run(run()) == (("one", -signal.SIGKILL), True)


def test_children_die_with_a_demo_that_is_killed(tmp_path: Path):
    log = str(tmp_path / "log")
    with subprocess.Popen([sys.executable, "-c", PARENT, log], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        orphan = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        ended, _, _ = select.select([orphan], [], [], 30.0)  # a process's descriptor can be read once it has ended
    finally:
        os.close(orphan)
    assert ended


def test_a_signal_ends_the_work_after_its_clean_up_and_a_second_one_does_not_disturb_it():
    cleaned: list[str] = []

    async def work() -> str:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
            cleaned.append("all")
        return "done"

    assert asyncio.run(until_signalled(work())) is None
    assert cleaned == ["all"]


def test_work_that_nobody_interrupts_gives_its_result():
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert asyncio.run(until_signalled(work())) == "done"
