"""Continuous integration: what it must not let pass."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import allowed_skips

HERE = Path(__file__).parent


def outcome_of(source: str, directory: Path, **environment: str) -> int:
    (directory / "conftest.py").write_text(
        (HERE / "conftest.py")
        .read_text(encoding="utf-8")
        .replace('Path(__file__).parents[1] / ".ci" / "allowed-skips"', 'Path(__file__).parent / "allowed-skips"'),
        encoding="utf-8",
    )
    (directory / "allowed-skips").write_text("test_it.py::test_known  # no such program in Debian\n", encoding="utf-8")
    (directory / "test_it.py").write_text(source, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(directory),
        str(directory),
    ]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode


SKIPPED = "import pytest\n\ndef test_runs(): pass\n\n@pytest.mark.skip(reason='why not')\ndef test_{}(): pass\n"


def test_an_unnamed_skip_fails_the_run_in_continuous_integration_only(tmp_path):
    assert outcome_of(SKIPPED.format("other"), tmp_path, CI="true") == 1
    assert outcome_of(SKIPPED.format("other"), tmp_path) == 0


def test_a_named_skip_passes(tmp_path):
    assert outcome_of(SKIPPED.format("known"), tmp_path, CI="true") == 0


def test_each_allowed_skip_has_a_reason():
    assert all(allowed_skips().values())
