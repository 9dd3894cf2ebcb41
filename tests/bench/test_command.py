"""`quiver bench` as a user has it: names, one JSON object, exit codes, and nothing left behind. Nothing is timed here."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quiver.cli.main import app

NAMES = {
    "netconf": {"netconf.edits"},
    "relay": {"relay.collect", "relay.bulk", "relay.latency"},
    "delivery": {
        "delivery.latency.buffered",
        "delivery.latency.unbuffered",
        "delivery.enc_keys.1",
        "delivery.dec_keys.1",
        "delivery.enc_keys.128",
    },
}
PATIENCE = 120

pytestmark = pytest.mark.processes


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for temporary files; pytest's own has too long a name for the sockets of devices."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        yield Path(directory)


def started(group: str, place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from quiver.cli.main import run; run()"),
            *("bench", group, "--json", "--seconds", "0.1"),
        ],
        env=os.environ | {"TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_in(place: Path) -> Iterator[str]:
    """Files, and processes that name a file there."""
    yield from (str(path) for path in place.iterdir())
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes()
        except OSError:
            continue
        if os.fsencode(place) in command:
            yield f"{process}: {command!r}"


@pytest.mark.parametrize("group", sorted(NAMES))
def test_a_group_prints_its_figures_beside_their_ceilings_as_one_object_and_leaves_nothing_behind(
    group: str, place: Path
):
    process = started(group, place)
    out, progress = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, progress
    shown = json.loads(out)
    assert out.count("\n") == 1
    assert {figure["name"] for figure in shown["figures"]} == NAMES[group]
    for figure in shown["figures"]:
        assert figure["runs"] > 1
        assert 0 < figure["min"] <= figure["value"] <= figure["max"]
        assert figure["ceiling"]["value"] > 0
        assert figure["ratio"] > 0
        assert figure["name"] in progress
    assert shown["machine"]["cores"] >= 1
    assert not list(left_in(place))


def test_an_interrupted_benchmark_ends_its_processes_and_removes_its_files(place: Path):
    process = started("delivery", place)
    assert process.stderr is not None
    while line := process.stderr.readline():
        if "latency" in line:  # both nodes and their devices run by then
            break
    assert list(left_in(place))
    process.send_signal(signal.SIGINT)
    out, progress = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert out == ""
    assert progress.endswith("quiver: stopped\n")
    assert not list(left_in(place))


def test_an_unknown_group_and_a_time_that_measures_nothing_are_wrong_usage():
    for arguments in (["bench", "everything"], ["bench", "relay", "--seconds", "0"], ["bench"]):
        assert CliRunner().invoke(app, arguments).exit_code == 2
