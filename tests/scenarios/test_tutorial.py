"""The tutorial works, block by block, as a new user would type it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.mark.processes
def test_the_tutorial_gives_the_same_key_at_both_ends(tmp_path):
    blocks = re.findall(r"```bash\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "tutorial.sh"
    script.write_text("set -e\n" + "\n".join(blocks[:-1]) + "\nset +e\n" + blocks[-1], encoding="utf-8")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    shell = subprocess.Popen(
        ["bash", script.name],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = shell.communicate(timeout=150)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
    assert "the same key at both ends" in said, said
    assert said.count("no mistake found") == 3, said
    assert shell.returncode == 0, said
