"""Ctrl-C in each phase of `quiver demo`: everything ends, and nothing is left."""

import os
import signal

import pytest

from tests.scenarios.processes import QUIVER, alive, group, temporary_directory

pytestmark = pytest.mark.xdist_group("demo")  # one demo at a time


@pytest.mark.parametrize(
    ("after", "to_all"),
    [
        ("QKD devices", True),
        ("QKD devices", False),
        pytest.param("pairs of SAEs have shared some keys", True, marks=pytest.mark.processes),  # while keys flow
        ("was cut:", False),  # while a link is being repaired, or an agent dies
        pytest.param("runs again", True, marks=pytest.mark.processes),
    ],
    ids=["start-group", "start-demo alone", "load", "fault", "dark"],
)
def test_ctrl_c_in_the_middle_ends_everything(after: str, to_all: bool):
    with temporary_directory() as temporary, group([QUIVER, "demo", "--json"], temporary) as demo:
        assert demo.stderr is not None
        while after not in demo.stderr.readline():
            assert demo.poll() is None
        (os.killpg if to_all else os.kill)(demo.pid, signal.SIGINT)
        stdout, stderr = demo.communicate(timeout=10)
        assert demo.returncode == 1
        assert stdout == ""
        assert "interrupted" in stderr
        assert "Traceback" not in stderr
        assert not alive(demo.pid)
