"""The installed command, started as a user starts it."""

import subprocess
import sys
from pathlib import Path

import pytest

QUIVER = Path(sys.executable).with_name("quiver")


@pytest.mark.system
def test_the_command_explains_itself():
    shown = subprocess.run([QUIVER, "--help"], capture_output=True, text=True, check=True)
    assert "Key management for quantum" in " ".join(shown.stdout.split())
