"""How the devices of a link are run as a process, and broken from outside.

In the state directory (0700) a running link has `LINK.sock`, a socket that takes one JSON line and answers with one,
and `LINK.json`, the ready file, which says where both ends listen. Whoever may enter the directory may cut the link;
no key material passes here.
"""

import asyncio
import json
import os
import random
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from quiver.domain.errors import ConfigurationError, RemoteError
from quiver.qkd.config import LinkConfig
from quiver.qkd.kme import Link
from quiver.qkd.profiles import LINK_NAME
from quiver.qkd.simulator import Fault, Simulator
from quiver.qkd.tls import server_context

__all__ = ["ControlServer", "Order", "SystemClock", "SystemEntropy", "find_socket", "order_fault", "run_link"]

LINE: Final = 4096  # bytes of an order or its answer
PATIENCE: Final = 5.0  # seconds for an order
SOCKET_PATH: Final = 100  # bytes; sun_path has 108


class SystemClock:
    """The system's monotonic clock."""

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()


class SystemEntropy:
    """The operating system's randomness."""

    def draw(self, count: int) -> bytes:
        """`count` bytes."""
        return os.urandom(count)


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line to the control socket; no fault only asks how the link is."""

    fault: Fault | None = None
    end: str | None = None  # SAE ID or KME ID of the end that becomes unreachable


class ControlServer:
    """The control socket of one running link."""

    def __init__(self, name: str, simulator: Simulator, state: Path) -> None:
        self.path = state / f"{name}.sock"
        self._name = name
        self._simulator = simulator
        self._server: asyncio.Server | None = None

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the path is too long, or the link runs already.
        """
        if len(os.fsencode(self.path)) > SOCKET_PATH:
            raise ConfigurationError(f"state: {self.path} is longer than the {SOCKET_PATH} bytes of a socket")
        if self.path.exists():
            if _answers(self.path):
                raise ConfigurationError(f"name: the link {self._name} runs already with this state directory")
            self.path.unlink()
        self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LINE)

    async def stop(self) -> None:
        """Close, and remove the socket."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
            self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                line = await reader.readline()
                writer.write(json.dumps(self._obey(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    def _obey(self, line: bytes) -> dict[str, Any]:
        try:
            order = msgspec.json.decode(line, type=Order)
        except (msgspec.DecodeError, RecursionError) as error:
            return {"ok": False, "message": str(error)}
        link = self._simulator.link
        if order.fault is not None:
            names = [{kme.here.sae_id, kme.here.kme_id} for kme in link.kmes]
            chosen = [number for number in (0, 1) if order.end in names[number]]
            if order.end is not None and not chosen:
                return {"ok": False, "message": f"end: allowed are {', '.join(sorted(names[0] | names[1]))}"}
            self._simulator.apply(order.fault, chosen[0] if chosen else 1)
        link.advance()
        return {
            "ok": True,
            "link": self._name,
            "fault": self._simulator.fault.value,
            "stored_keys": link.buffer.bits // link.profile.key_size,
            "key_rate_bits_per_second": round(link.channel.rate, 3),
            "qber": link.channel.qber,
        }


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True


def find_socket(link: str, state: Path | None) -> Path:
    """The control socket of a running link.

    Args:
        link: its name.
        state: a state directory (of the link itself, or a demo's, where it may lie in a directory below); None
            looks through this user's `quiver-*` directories in the temporary directory.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    if not LINK_NAME.fullmatch(link):
        raise ConfigurationError("LINK: 1 to 64 letters, digits, '.', '_' and '-' are allowed")
    if state is not None:
        roots = [state]
    else:
        roots = [path for path in Path(tempfile.gettempdir()).glob("quiver-*") if path.stat().st_uid == os.getuid()]
    found = sorted(
        {
            path
            for root in roots
            for pattern in (f"{link}.sock", f"*/{link}.sock", f"*/*/{link}.sock")
            for path in root.glob(pattern)
            if _answers(path)
        }
    )
    if not found:
        where = state if state is not None else f"{tempfile.gettempdir()}/quiver-*"
        raise ConfigurationError(f"LINK: no link {link} runs with its state in {where}; use --state")
    if len(found) > 1:
        raise ConfigurationError(f"LINK: {len(found)} links {link} run; say which one with --state")
    return found[0]


def order_fault(path: Path, fault: Fault | None, end: str | None = None) -> dict[str, Any]:
    """Send an order to a control socket; returns what the link says of itself.

    Raises:
        RemoteError: it did not answer, or refused.
    """
    order = msgspec.json.encode(Order(fault, end))
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(os.fspath(path))
            connection.sendall(order + b"\n")
            with connection.makefile("rb") as stream:
                answer: dict[str, Any] = json.loads(stream.readline(LINE))
    except (OSError, ValueError) as error:
        raise RemoteError(f"{path} did not answer: {error}") from None
    if not answer.pop("ok", False):
        raise RemoteError(f"refused: {answer.get('message')}")
    return answer


def _state_directory(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"state: {path} may be entered by others; chmod 700 it")
    return path


def _write_ready(path: Path, ready: dict[str, Any]) -> None:
    draft = path.with_suffix(".json.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(ready, file)
    draft.replace(path)


async def run_link(
    config: LinkConfig, report: Callable[[dict[str, Any]], None], *, stop: asyncio.Event | None = None
) -> None:
    """Run both devices of a link until SIGINT, SIGTERM or `stop`.

    Args:
        config: the link.
        report: is given the content of the ready file once both ends listen.
        stop: ends it too; with it, signals are left alone.

    Raises:
        ConfigurationError: certificates, addresses or the state directory are wrong.
    """
    state = _state_directory(Path(config.state))
    contexts = [
        server_context(Path(end.certificate), Path(end.private_key), Path(end.clients_ca)) for end in config.ends
    ]
    first, second = config.ends
    link = Link(
        config.vendor,
        config.fibre,
        (first.names, second.names),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        randomness=random.Random(config.seed),  # noqa: S311 - fluctuation only, never keys
        time_scale=config.time_scale,
    )
    simulator = Simulator(
        link,
        (contexts[0], contexts[1]),
        addresses=((first.host, first.port), (second.host, second.port)),
        mouths=config.mouths,
    )
    if stop is None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    control = ControlServer(config.name, simulator, state)
    ready_file = state / f"{config.name}.json"
    try:
        await simulator.start()
        await control.start()
        ready = {
            "link": config.name,
            "vendor": config.profile,
            "pid": os.getpid(),
            "ends": [
                {"kme_id": listener.kme.here.kme_id, "sae_id": listener.kme.here.sae_id, "url": listener.url}
                for listener in simulator.listeners
            ],
            "channel": [channel.address for channel in simulator.classical],
            "control": str(control.path),
        }
        _write_ready(ready_file, ready)
        report(ready)
        await stop.wait()
    finally:
        if control.running:
            ready_file.unlink(missing_ok=True)
        await control.stop()
        await simulator.stop()
