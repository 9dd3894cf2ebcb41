"""One call of a program: the key is on descriptor 3 and nowhere else, and whatever the program does, the consumer goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.consume import programs
from quiver.consume.config_tables import ExecTable
from quiver.consume.program import Program
from quiver.consume.tunnel import TunnelError
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from tests.consume.exec_ground import ALL_STEPS, KEY, forms_of, records, write_recorder
from tests.consume.ground import run, until


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    return write_recorder(tmp_path / "recorder")


def program(*command: str, steps: tuple[str, ...] = ALL_STEPS, time_limit: float = 20.0) -> Program:
    table = ExecTable(command=command, steps=frozenset(steps), timeout=time_limit)  # type: ignore[arg-type]
    return Program(table, role="initiator", partner="gateway-2")


def key(key_id: str = "k1", material: bytes = KEY) -> DeliveredKey:
    return DeliveredKey(key_id, Secret(material))


def test_the_key_is_on_descriptor_3_and_nowhere_else(tmp_path: Path, recorder: Path) -> None:
    log = tmp_path / "log"

    async def main() -> None:
        tunnel = program(str(recorder), str(log))
        await tunnel.stage(key())
        await tunnel.switch("k1")

    run(main())
    for one in records(log):
        assert one["key"] == KEY.hex()
        assert one["stdin"] == ""
        assert one["descriptors"] == [0, 1, 2, 3]
        assert (one["key_id"], one["bits"], one["role"], one["partner"]) == ("k1", "256", "initiator", "gateway-2")
        assert not [form for form in forms_of(KEY.hex()) if form in bytes.fromhex(one["shown"])]


def test_no_key_for_steps_that_need_none(tmp_path: Path, recorder: Path) -> None:
    log = tmp_path / "log"

    async def main() -> None:
        tunnel = program(str(recorder), str(log))
        for name in ("k1", "k2"):
            await tunnel.stage(key(name))
            await tunnel.switch(name)
        assert await tunnel.proven("k2")
        await tunnel.retire()
        await tunnel.block()

    run(main())
    shown = [(one["step"], one["key_id"], one["key"]) for one in records(log)][4:]
    assert shown == [("prove", "k2", None), ("retire", "k1", None), ("block", "k2", None)]


def test_only_steps_that_were_asked_for(tmp_path: Path, recorder: Path) -> None:
    log = tmp_path / "log"

    async def main() -> None:
        tunnel = program(str(recorder), str(log), steps=("switch",))
        await tunnel.stage(key())
        await tunnel.switch("k1")
        assert await tunnel.proven("k1")
        await tunnel.retire()
        with pytest.raises(TunnelError, match="not called for the step block"):
            await tunnel.block()

    run(main())
    assert [one["step"] for one in records(log)] == ["switch"]


def failing(tunnel: Program, call: Callable[[Program], Any]) -> str:
    async def main() -> str:
        with pytest.raises(TunnelError) as caught:
            await call(tunnel)
        return caught.value.message

    return run(main())


def test_a_program_that_fails_says_why_and_never_the_key() -> None:
    said = failing(
        program("/bin/sh", "-c", "echo no room >&2; cat <&3 >/dev/null; exit 3"), lambda one: one.stage(key())
    )
    assert said == "/bin/sh: exit code 3: no room"


def test_a_program_that_is_not_there() -> None:
    assert "exit code 127" in failing(program("/nowhere/program"), lambda one: one.stage(key()))
    assert failing(program("/nowhere/program"), lambda one: one.switch("k1")) == "no key k1 is ready"


def test_a_program_that_does_not_read_its_key() -> None:
    async def main() -> None:
        await program("/bin/true").stage(key(material=bytes(8192)))

    run(main())


def test_a_program_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """Its children, too: they hold the pipes that we wait for."""
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $$ $! >{pids}; wait"
    said = failing(program("/bin/sh", "-c", script, time_limit=1.0), lambda one: one.stage(key()))
    assert said == "/bin/sh: not done within 1 s; it was killed"

    async def gone() -> None:
        await until(lambda: not any(_alive(int(pid)) for pid in pids.read_text().split()))

    run(gone())


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_consumer_that_ends_leaves_no_program_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    async def main() -> None:
        call = asyncio.create_task(programs.run(("/bin/sh", "-c", f"echo $$ >{pids}; sleep 600"), time_limit=300))
        await until(lambda: pids.exists() and bool(pids.read_text()))
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until(lambda: not _alive(int(pids.read_text())))

    run(main())


def test_failed_rounds_do_not_pile_up_keys() -> None:
    async def main() -> None:
        tunnel = program("/bin/true", steps=("switch",))
        await tunnel.stage(key("k1"))
        await tunnel.switch("k1")
        staged = [key(f"f{number}") for number in range(10)]
        for one in staged:
            await tunnel.stage(one)
        assert [one.key for one in staged[:-1]] == [Secret(bytes(32))] * 9, "wiped"
        await tunnel.switch("f9")
        await tunnel.switch("k1")  # the one before is kept until it is retired

    run(main())


def test_a_program_that_cannot_forget_an_unused_key_gets_the_next_one() -> None:
    """One failed round must not stop all that come after it."""

    async def main() -> None:
        tunnel = program("/bin/sh", "-c", '[ "$QUIVER_STEP" != retire ]')
        for name in ("k1", "k2", "k3"):
            await tunnel.stage(key(name))
        await tunnel.switch("k3")

    with capture_logs() as logs:
        run(main())
    assert [one["log_level"] for one in logs] == ["warning", "warning"]


def test_a_key_id_that_no_program_can_be_told_fails_its_round_and_not_the_consumer() -> None:
    assert "NUL" in failing(program("/bin/true"), lambda one: one.stage(key("k\0")))
