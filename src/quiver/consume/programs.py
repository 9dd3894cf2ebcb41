"""Other programs as a consumer calls them: what is secret goes through a pipe, never over the command line or into a file."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from quiver.consume.tunnel import TunnelError
from quiver.domain.secret import Secret
from quiver.net.http_client import printable

__all__ = ["KEY_FD", "run"]

KEY_FD: Final = 3  # the descriptor on which a program finds a key, where it is not its standard input
_SHOWN: Final = 300  # characters of what a program says in its defence


async def run(
    words: Sequence[str],
    *,
    time_limit: float,
    stdin: Secret | None = None,
    key: Secret | None = None,
    variables: Mapping[str, str] | None = None,
) -> bytes:
    """Run a program to its end; what it wrote to stdout.

    Args:
        words: its path and its arguments.
        time_limit: seconds until it is killed, with all that it started.
        stdin: given on its standard input.
        key: given on the descriptor `KEY_FD`, which ends after it.
        variables: of its environment, beside ours.

    Raises:
        TunnelError: it cannot be started, takes too long, or ends with another code than 0; with the end of its stderr.
    """
    program = words[0]
    process = _started(words, stdin=stdin, key=key, variables=variables or {})
    ending = asyncio.create_task(asyncio.to_thread(_end_of, process, time_limit))
    try:
        said = await asyncio.shield(ending)
    except asyncio.CancelledError:
        _kill(process)
        await ending
        raise
    if said is None:
        raise TunnelError(f"{program}: not done within {time_limit:g} s; it was killed")
    out, err = said
    if process.returncode != 0:
        reason = printable(err.decode(errors="replace").strip()[-_SHOWN:], _SHOWN)
        raise TunnelError(f"{program}: exit code {process.returncode}{f': {reason}' if reason else ''}")
    return out


def _started(
    words: Sequence[str], *, stdin: Secret | None, key: Secret | None, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """The process.

    It is not made in the event loop's own way: uvloop leaves its children further descriptors, the one of the key among them.
    """
    given = _filled(stdin if stdin is not None else key)
    try:
        return subprocess.Popen(  # noqa: S603  # the operator's own words
            _with_key(words, key),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **variables},
            start_new_session=True,  # a group of its own, which can be killed as a whole
        )
    except OSError as error:
        raise TunnelError(f"{words[0]}: {error.strerror}") from None
    except ValueError:
        raise TunnelError(f"{words[0]}: no program can be told a key_ID, or a word, with a NUL in it") from None
    finally:
        if given != subprocess.DEVNULL:
            os.close(given)


def _end_of(process: subprocess.Popen[bytes], time_limit: float) -> tuple[bytes, bytes] | None:
    """What it has written to stdout and stderr, at its end; None where it had to be killed."""
    with process:
        try:
            return process.communicate(timeout=time_limit)
        except subprocess.TimeoutExpired:
            _kill(process)
            return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # all of them have just ended
        os.killpg(process.pid, signal.SIGKILL)


def _filled(secret: Secret | None) -> int:
    """A descriptor from which the secret can be read, to its end.

    It is in the pipe before the program starts: one that ends without having read it breaks nothing. And it is a pipe: what an
    event loop makes may be a socket, which a program cannot open as /dev/stdin.
    """
    if secret is None:
        return subprocess.DEVNULL
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        written = os.write(writing, secret.reveal())
    except BlockingIOError:
        written = 0
    finally:
        os.close(writing)
    if written != len(secret):
        os.close(reading)
        raise TunnelError("the key does not fit into a pipe; the user may hold too many (fs.pipe-user-pages-soft)")
    return reading


def _with_key(words: Sequence[str], key: Secret | None) -> Sequence[str]:
    """The command, started so that its standard input becomes `KEY_FD` and it has an empty one instead.

    A shell moves the descriptor: between fork and exec nothing of Python may run in a process with an event loop.
    """
    if key is None:
        return words
    return ("/bin/sh", "-c", f'exec "$@" {KEY_FD}<&0 </dev/null', "sh", *words)
