"""A program as a consumer: it gets each key on descriptor 3 and nowhere else, at both ends in step."""

import json
import os
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from quiver.consume.config import parse_consumer
from quiver.consume.figures import figures_of
from quiver.consume.program import Program
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.rollover.losses import Packets
from quiver.identity.lab import Lab
from tests.consume.exec_ground import forms_of, records, table_of, write_recorder
from tests.consume.ground import Sites, both_ends, play, process, rolled_over, until


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    return write_recorder(tmp_path / "recorder")


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
        for form in forms_of(one["key"]):
            assert not [name for name, text in texts.items() if form in text]
            assert form not in repr(logs).encode()


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


def test_what_a_tunnel_that_counts_has_lost_is_told_at_each_rollover(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The initiator has lost three packets of a hundred at each change after the first."""
    changes = {"initiator": 0, "responder": 0}

    async def packets(self: Program) -> Packets:
        role = self._about["QUIVER_ROLE"]
        changes[role] += 1
        return Packets(
            received=97 * changes[role], sent=100 * changes[role] if role == "responder" else 97 * changes[role]
        )

    monkeypatch.setattr(Program, "packets", packets)

    async def scene(sites: Sites) -> None:
        table = '[exec]\ncommand = ["/bin/true"]\n'
        paths = [
            sites.write(role, table, rollover='interval = 1\nwhen_exhausted = "keep"')
            for role in ("initiator", "responder")
        ]
        async with both_ends(paths[0], paths[1]) as ends:
            await rolled_over(ends, 3)
            shown = {one.name: one.value for one in figures_of(ends[0].end, ends[0].side)}
            assert shown["consumer_packets_lost_last"] == 3
            assert shown["consumer_packets_lost"] == 3 * (ends[0].side.rollovers - 1)

    with capture_logs() as logs:
        play(lab, tmp_path, scene)
    assert [one["packets_lost"] for one in logs if "packets_lost" in one][:2] == [3, 3]


def test_key_ids_in_upper_case_are_used_as_the_kme_gives_them(lab: Lab, tmp_path: Path, recorder: Path) -> None:
    """Such a KME takes them in upper case only."""
    log = tmp_path / "steps.jsonl"

    async def scene(sites: Sites) -> None:
        table = table_of(recorder, log) + "key_bits = 512\n"
        paths = [sites.write(role, table) for role in ("initiator", "responder")]
        async with both_ends(paths[0], paths[1]) as ends:
            await rolled_over(ends, 2)

    play(lab, tmp_path, scene, vendor="birch")
    names = {one["key_id"] for one in records(log)}
    assert names == {name.upper() for name in names}


def test_an_exhausted_tunnel_is_blocked_and_comes_back(
    lab: Lab, tmp_path: Path, recorder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ROLLOVER_PROOF", 1.0)  # so short a time is allowed to nobody else
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
            assert not [form for form in forms_of(one["key"]) for text in texts if form in text]

    play(lab, tmp_path, scene)
