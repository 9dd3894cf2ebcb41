"""Free TCP ports on the loopback, chosen before anything listens.

Configurations name them, so that an agent which is started again from its configuration takes its old addresses.
"""

import random
import socket
from pathlib import Path
from typing import Final

from quiver.domain.errors import ConfigurationError

__all__ = ["HOST", "free_ports"]

HOST: Final = "127.0.0.1"
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST: Final = 10_240
_ROOM: Final = 4096  # ports below the system's own range, at least, to draw from
_TRIES: Final = 50  # for each port


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, each once.

    They lie below the range from which the system gives ports to outgoing connections, where there is room: none of those can
    take an agent's port while the agent is down. Another process may still take one before we listen; then the caller draws anew.

    Raises:
        ConfigurationError: there are not enough.
    """
    below = _lowest_outgoing()
    drawn = random.SystemRandom()
    held: list[socket.socket] = []
    try:
        for _ in range(count):
            for attempt in range(_TRIES):
                wanted = drawn.randrange(_LOWEST, below) if below - _LOWEST >= _ROOM and attempt < _TRIES // 2 else 0
                if (found := _bound(wanted)) is not None:
                    held.append(found)
                    break
            else:
                raise ConfigurationError(f"{count} free ports on {HOST} are needed")
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _lowest_outgoing() -> int:
    try:
        return int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _bound(port: int) -> socket.socket | None:
    """A socket that holds the port; never connected or listening, so that it leaves no trace when it is closed."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.bind((HOST, port))
    except OSError:
        found.close()
        return None
    return found
