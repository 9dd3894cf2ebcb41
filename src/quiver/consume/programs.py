"""Other programs as a consumer calls them: what is secret goes through a pipe, never over the command line or into a file."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
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
        time_limit: seconds until it is killed.
        stdin: given on its standard input.
        key: given on the descriptor `KEY_FD`, which ends after it.
        variables: of its environment, beside ours.

    Raises:
        TunnelError: it cannot be started, takes too long, or ends with another code than 0; with the end of its stderr.
    """
    program, secret = words[0], stdin if stdin is not None else key
    reading = _pipe_with(secret) if secret is not None else DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *_with_key(words, key),
            stdin=reading,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, **(variables or {})},
        )
    except OSError as error:
        raise TunnelError(f"{program}: {error.strerror}") from None
    finally:
        if secret is not None:
            os.close(reading)
    try:
        async with asyncio.timeout(time_limit):
            out, err = await process.communicate()
    except TimeoutError:
        raise TunnelError(f"{program}: not done within {time_limit:g} s; it was killed") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        said = printable(err.decode(errors="replace").strip()[-_SHOWN:], _SHOWN)
        raise TunnelError(f"{program}: exit code {process.returncode}{f': {said}' if said else ''}")
    return out


def _pipe_with(secret: Secret) -> int:
    """The reading end of a pipe that holds a secret, which fits: the longest key has 8 KiB, a pipe 64 (pipe(7)).

    An event loop's own pipe may be a socket, which a program cannot open as /dev/stdin.
    """
    reading, writing = os.pipe()
    try:
        os.write(writing, secret.reveal())
    finally:
        os.close(writing)
    return reading


def _with_key(words: Sequence[str], key: Secret | None) -> Sequence[str]:
    """The command, started so that its standard input becomes `KEY_FD` and it has an empty one instead.

    A shell moves the descriptor: between fork and exec nothing of Python may run in a process with an event loop.
    """
    if key is None:
        return words
    return ("/bin/sh", "-c", f'exec "$@" {KEY_FD}<&0 </dev/null', "sh", *words)
