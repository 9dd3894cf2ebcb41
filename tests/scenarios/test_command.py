"""The installed command, started as a user starts it."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

QUIVER = Path(sys.executable).with_name("quiver")


def shown(*arguments: str) -> str:
    run = subprocess.run([QUIVER, *arguments], capture_output=True, text=True, check=True)
    return " ".join(run.stdout.split())


def test_the_command_explains_itself():
    assert "Key management for quantum" in shown("--help")


def test_the_command_says_its_version():
    assert shown("--version") == f"quiver {metadata.version('quiver-qkd')}"
