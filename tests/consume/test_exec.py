"""A program as a consumer: it gets each key on descriptor 3 and nowhere else, at both ends in step."""

import asyncio
import base64
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.consume import programs
from quiver.consume.config import parse_consumer
from quiver.consume.config_tables import ExecTable
from quiver.consume.program import Program
from quiver.consume.tunnel import TunnelError
from quiver.domain.errors import ConfigurationError
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from quiver.identity.lab import Lab
from tests.consume.ground import Sites, both_ends, play, process, rolled_over, run, until

KEY = bytes(range(32))
RECORDER = f"""#!{sys.executable}
import json, os, sys
step = os.environ["QUIVER_STEP"]
descriptors = sorted(int(one) for one in os.listdir("/proc/self/fd"))[:-1]  # without that of the listing
try:
    key = os.fdopen(3, "rb").read().hex()
except OSError:
    key = None
proc = b"".join(open("/proc/self/" + name, "rb").read() for name in ("cmdline", "environ"))
line = {{
    "step": step,
    "key_id": os.environ["QUIVER_KEY_ID"],
    "bits": os.environ["QUIVER_KEY_BITS"],
    "role": os.environ["QUIVER_ROLE"],
    "partner": os.environ["QUIVER_PARTNER"],
    "key": key,
    "stdin": sys.stdin.read(),
    "descriptors": descriptors,
    "shown": proc.hex(),
}}
with open(sys.argv[1], "a") as log:  # one write below 4 KiB to a file that is appended to is whole
    log.write(json.dumps(line) + chr(10))
sys.exit(int(os.environ.get("EXIT", "0")))
"""
ALL_STEPS = ("stage", "switch", "prove", "retire", "block")


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    path = tmp_path / "recorder"
    path.write_text(RECORDER)
    path.chmod(stat.S_IRWXU)
    return path


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table_of(recorder: Path, log: Path, steps: tuple[str, ...] = ALL_STEPS, more: str = "") -> str:
    return f'[exec]\ncommand = ["{recorder}", "{log}"]\nsteps = {json.dumps(steps)}\n{more}\n'


def program(*command: str, steps: tuple[str, ...] = ALL_STEPS, time_limit: float = 20.0) -> Program:
    table = ExecTable(command=command, steps=frozenset(steps), timeout=time_limit)  # type: ignore[arg-type]
    return Program(table, role="initiator", partner="gateway-2")


def key(key_id: str = "k1", material: bytes = KEY) -> DeliveredKey:
    return DeliveredKey(key_id, Secret(material))


def test_both_ends_get_the_same_keys_in_step(lab: Lab, tmp_path: Path, recorder: Path) -> None:
    """Over real KMEs and a real partner channel: one log for both ends, so that it shows the order among them."""
    log = tmp_path / "steps.jsonl"

    async def scene(sites: Sites) -> None:
        paths = [sites.write(role, table_of(recorder, log)) for role in ("initiator", "responder")]
        async with both_ends(paths[0], paths[1]) as ends:
            await rolled_over(ends, 3)

    with capture_logs() as logs:
        play(lab, tmp_path, scene)
    said = records(log)
    keys = list(dict.fromkeys(one["key_id"] for one in said))
    for key_id in keys[:2]:
        about = [one for one in said if one["key_id"] == key_id]
        order = [(one["step"], one["role"]) for one in about if one["step"] in {"stage", "switch"}]
        assert order == [
            ("stage", "responder"),
            ("stage", "initiator"),
            ("switch", "responder"),
            ("switch", "initiator"),
        ]
        assert {"prove"} <= {one["step"] for one in about}
        materials = {one["key"] for one in about if one["step"] in {"stage", "switch"}}
        assert len(materials) == 1, "both ends hold the same bytes, in both steps"
        assert len(bytes.fromhex(materials.pop())) == 32
    retired = [(one["key_id"], one["role"]) for one in said if one["step"] == "retire"]
    assert set(retired) >= {(keys[0], "initiator"), (keys[0], "responder")}
    texts = {
        f"{one['step']} of {one['role']}": bytes.fromhex(one["shown"]) + one["stdin"].encode()
        for one in said
        if one["key"]
    }
    for one in said:
        for form in _forms(one["key"]):
            assert not [name for name, text in texts.items() if form in text]
            assert form not in repr(logs).encode()


def _forms(material: str | None) -> list[bytes]:
    if not material:
        return []
    plain = bytes.fromhex(material)
    return [plain, material.encode(), base64.b64encode(plain), repr(plain).encode()]


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
        assert not [form for form in _forms(KEY.hex()) if form in bytes.fromhex(one["shown"])]


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


def test_a_failing_end_stops_the_round_and_the_next_one_works(lab: Lab, tmp_path: Path, recorder: Path) -> None:
    """The responder's program fails while a file is there: no end switches, and afterwards both do."""
    log, broken = tmp_path / "steps.jsonl", tmp_path / "broken"
    broken.touch()
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n[ -e {broken} ] && {{ echo broken >&2; exit 1; }}\nexec {recorder} "$@"\n')
    wrapper.chmod(stat.S_IRWXU)

    async def scene(sites: Sites) -> None:
        here = sites.write("initiator", table_of(recorder, log))
        there = sites.write("responder", table_of(wrapper, log))
        async with both_ends(here, there) as ends:
            initiating = ends[0].side
            await until(lambda: sum(initiating.machine.failures.values()) >= 1)  # type: ignore[union-attr]
            assert [one for one in records(log) if one["step"] == "switch"] == []
            broken.unlink()
            await rolled_over(ends, 1)

    with capture_logs() as logs:
        play(lab, tmp_path, scene)
    assert {one["cause"] for one in logs if one["event"] == "no rollover"} == {"partner-refused"}
    assert {one["reason"] for one in logs if one["event"] == "the partner refuses"} == {
        f"the tunnel did not make a key ready: {wrapper}: exit code 1: broken"
    }


def test_an_exhausted_tunnel_is_blocked_and_comes_back(lab: Lab, tmp_path: Path, recorder: Path) -> None:
    log = tmp_path / "steps.jsonl"

    async def scene(sites: Sites) -> None:
        rollover = 'interval = 1\nkeep = 2\nwhen_exhausted = "block"'
        paths = [sites.write(role, table_of(recorder, log), rollover=rollover) for role in ("initiator", "responder")]
        async with both_ends(paths[0], paths[1]) as ends:
            await rolled_over(ends, 1)
            for listener in sites.simulator.listeners:
                listener.reachable = False
            await until(lambda: all(end.end.blocked for end in ends))
            count = ends[1].side.rollovers
            for listener in sites.simulator.listeners:
                listener.reachable = True
            await rolled_over(ends, count + 1)
            assert not any(end.end.blocked for end in ends)

    with capture_logs() as logs:
        play(lab, tmp_path, scene)
    assert {one["role"] for one in records(log) if one["step"] == "block"} == {"initiator", "responder"}
    events = [one["event"] for one in logs]
    assert events.count("tunnel is blocked: no new key") == 2
    assert events.count("tunnel has a key again") == 2


@pytest.mark.parametrize("steps", ['["stage", "swich"]', '["SWITCH"]', "[3]"])
def test_unknown_steps_are_refused(steps: str, tmp_path: Path) -> None:
    text = f"""
[consumer]
role = "initiator"
[kme]
url = "https://127.0.0.1:1"
certificate = "a"
private_key = "a"
trust = ["a"]
[partner]
sae = "gateway-2"
address = "127.0.0.1:1"
certificate = "a"
private_key = "a"
trust = ["a"]
[rollover]
when_exhausted = "keep"
[exec]
command = ["true"]
steps = {steps}
"""
    with pytest.raises(ConfigurationError, match=r"exec\.steps"):
        parse_consumer(text, tmp_path)


def _shown(pid: int) -> bytes:
    """What other processes may see of one; its environment only root, as its memory is closed."""
    names = ("cmdline", "environ") if os.geteuid() == 0 else ("cmdline",)
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in names)


def test_as_processes_no_key_is_in_any_log(lab: Lab, tmp_path: Path, recorder: Path) -> None:
    log = tmp_path / "steps.jsonl"

    async def scene(sites: Sites) -> None:
        paths = [sites.write(role, table_of(recorder, log)) for role in ("initiator", "responder")]
        async with process("exec", paths[1]) as there, process("exec", paths[0]) as here:
            assert (here.told["role"], there.told["role"]) == ("initiator", "responder")
            assert there.told["partner_url"] == sites.partner_url
            await until(lambda: [one["step"] for one in records(log)].count("retire") >= 2)
            shown = _shown(here.process.pid) + _shown(there.process.pid)
            lines = [*(await here.stopped()), *(await there.stopped())]
        assert [here.process.returncode, there.process.returncode] == [0, 0]
        texts = [json.dumps(lines).encode(), shown]
        for one in records(log):
            assert not [form for form in _forms(one["key"]) for text in texts if form in text]

    play(lab, tmp_path, scene)
