"""`quiver device` as a user has it: a process, its one line, faults, a probe, clear errors."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from quiver.cli.device import app
from tests.qkd.pki import Authority
from tests.qkd.test_config import LINK


def quiver(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    for name in ("kme-a", "kme-b"):
        authority.issue(name)
    (tmp_path / "link.toml").write_text(LINK.replace('"cedar"', '"alder"'))
    return authority


@pytest.fixture
def running(authority: Authority, tmp_path: Path) -> Iterator[dict[str, Any]]:
    del authority
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from quiver.cli.device import app; app()", "run"),
            *(tmp_path / "link.toml", "--time-scale", "100", "--state", tmp_path / "run"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            assert process.wait(timeout=10) == 0
            assert rest == ""
    assert list((tmp_path / "run").iterdir()) == []


def test_run_fault_and_probe_work_together(running: dict[str, Any], authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("node-a")
    options = ["--cert", certificate, "--key", key, "--ca", authority.certificate, "--peer", "node-b"]
    url = running["ends"][0]["url"]
    probe = quiver("probe", url, *options, "--profile", "alder", "--json")
    assert probe.exit_code == 0, probe.output
    assert json.loads(probe.stdout)["stored_key_count"] == 20_000
    assert json.loads(probe.stdout)["link_up"] is True
    fault = quiver("fault", "a-b", "eavesdropper", "--state", tmp_path, "--json")
    assert fault.exit_code == 0, fault.output
    assert json.loads(fault.stdout)["key_rate_bits_per_second"] == 0
    table = quiver("probe", url, *options, "--profile", "alder")
    assert "link_up" in table.stdout
    assert "False" in table.stdout
    assert "repair" in quiver("fault", "a-b", "repair", "--state", tmp_path).stdout
    wrong = quiver("probe", url, *options[:-1], "node-c")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "allowed is node-b" in wrong.stderr


def test_errors_are_one_line_with_exit_code_1(authority: Authority, tmp_path: Path) -> None:
    config = tmp_path / "link.toml"
    config.write_text(config.read_text().replace("length_km", "lenght_km"))
    result = quiver("run", config)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "unknown field `lenght_km`" in result.stderr
    result = quiver("fault", "a-b", "down", "--state", tmp_path)
    assert result.exit_code == 1
    assert "no link a-b runs" in result.stderr
    files = authority.issue("node-a")
    result = quiver(
        "probe", "http://x", "--cert", files[0], "--key", files[1], "--ca", authority.certificate, "--peer", "b"
    )
    assert result.exit_code == 1
    assert "https://host:port" in result.stderr
    result = quiver("probe", "https://x", "--cert", "none", "--key", files[1], "--ca", files[0], "--peer", "b")
    assert result.exit_code == 1
    assert "none" in result.stderr


def test_wrong_usage_is_exit_code_2() -> None:
    assert quiver("fault", "a-b", "fire").exit_code == 2
    assert quiver("run").exit_code == 2
