"""A program that records each call with all that it was given, and where."""

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

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
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.write(log, json.dumps(line).encode() + bytes((10,)))  # at once: both ends append to one file
"""
ALL_STEPS = ("stage", "switch", "prove", "retire", "block")


def write_recorder(path: Path) -> Path:
    """The program; its first argument is the file that it appends its lines to."""
    path.write_text(RECORDER)
    path.chmod(stat.S_IRWXU)
    return path


def records(path: Path) -> list[dict[str, Any]]:
    """All calls so far; what is being written now is not there yet."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def table_of(recorder: Path, log: Path, steps: tuple[str, ...] = ALL_STEPS) -> str:
    """The table [exec] that has it called."""
    return f'[exec]\ncommand = ["{recorder}", "{log}"]\nsteps = {json.dumps(steps)}\n'


def forms_of(material: str | None) -> list[bytes]:
    """How a key, of which these are the hexadecimal digits, may stand somewhere."""
    if not material:
        return []
    plain = bytes.fromhex(material)
    return [plain, material.encode(), base64.b64encode(plain), repr(plain).encode()]
