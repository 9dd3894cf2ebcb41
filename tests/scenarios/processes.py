"""What scenarios know of processes and of keys in files."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.key_forms import forms_of

QUIVER = str(Path(sys.executable).with_name("quiver"))


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """One for a demo to live in, with a short name: control sockets lie below it. It has to be empty at the end."""
    root = Path(tempfile.mkdtemp(prefix="qs-"))
    try:
        yield root
        assert sorted(root.iterdir()) == []
    finally:
        shutil.rmtree(root)


@contextmanager
def group(arguments: Iterable[str], temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with a group of its own, and its temporary files in a directory; the group is killed at the end."""
    process = subprocess.Popen(
        list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def alive(number: int) -> bool:
    """Whether a process group still has a process."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def leaks(keys: Iterable[bytes], texts: dict[str, bytes]) -> list[str]:
    """Names of the texts in which a key stands in some form."""
    wanted = [form for key in keys for form in forms_of(key)]
    return [name for name, text in texts.items() if any(form in text for form in wanted)]


def texts_below(directory: Path) -> dict[str, bytes]:
    """All files below a directory."""
    return {str(path): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}
