"""What the benchmarks run as processes of their own: `python -m quiver.bench.child ROLE FILE…`.

agent CONFIG      the agent as `quiver agent run` runs it
devices CONFIG…   the simulated devices of these links
listener CONFIG   bare listeners with the TLS of this agent's peer and SAE planes: the ceiling of what an agent could answer
subsystem CONFIG  a bare SSH subsystem: the ceiling of NETCONF over SSH
controller CONFIG the SDN controller as `quiver controller run` runs it
emulated PLAN     light agents: those of the process whose number is the name of the plan's file

Each prints one line of JSON once it listens, and ends with its standard input, so that none outlives the benchmark.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import uvloop

from quiver.agent.config import read_agent
from quiver.agent.daemon import run_agent
from quiver.domain import limits
from quiver.domain.errors import QuiverError
from quiver.domain.secret import Secret
from quiver.net import tls
from quiver.net.http_exchange import HttpAnswer, HttpRequest
from quiver.net.http_server import HttpServer
from quiver.net.log import configure
from quiver.protocols.etsi014 import Key, KeyContainer, encode
from quiver.qkd.config import read_link
from quiver.qkd.control import SystemEntropy, run_link

__all__ = ["main"]

KEY_BYTES: Final = limits.KEY_SIZE_DEFAULT // 8


def _tell(values: Any) -> None:  # noqa: ANN401  # whatever JSON can hold
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def _agent(path: Path) -> None:
    await run_agent(lambda: read_agent(path), _tell)


async def _devices(*paths: Path) -> None:
    links, stop, ready = [read_link(path) for path in paths], _stopped(), []

    def report(values: dict[str, Any]) -> None:
        ready.append(values)
        if len(ready) == len(links):
            _tell({"links": ready})

    await asyncio.gather(*(run_link(link, report, stop=stop) for link in links))


async def _subsystem(path: Path) -> None:
    from quiver.bench.netconf import run_subsystem

    await run_subsystem(path, _tell, _stopped())


async def _controller(path: Path) -> None:
    from quiver.controller.config import read_controller
    from quiver.controller.daemon import run_controller  # with SciPy behind it, which no other role should wait for

    await run_controller(lambda: read_controller(path), _tell)


async def _emulated(path: Path) -> None:
    from quiver.bench.emulated.host import run_host
    from quiver.bench.emulated.plan import EmulationPlan

    await run_host(EmulationPlan.read(path), int(path.stem), _tell, _stopped())


def constant_container(count: int) -> bytes:
    """A Key container of `count` keys of the default size, as an enc_keys or dec_keys request is answered with."""
    entropy = SystemEntropy()
    name = "00000000-0000-4000-8000-{:012x}"
    return encode(
        KeyContainer(keys=tuple(Key(key_id=name.format(i), key=Secret(entropy.draw(KEY_BYTES))) for i in range(count)))
    )


async def _listener(path: Path) -> None:
    """`POST /N` is answered with a container of N keys, or with an empty object where N is 0, the body read and ignored."""
    config, answers, stop = read_agent(path), dict[str, HttpAnswer](), _stopped()

    async def answer(request: HttpRequest) -> HttpAnswer:
        if request.path not in answers:
            count = int(request.path[1:])
            answers[request.path] = HttpAnswer(body=constant_container(count) if count else b"{}")
        return answers[request.path]

    peer = tls.peer_server(config.peer.credentials, config.peer.trust)
    sae = tls.sae_server(config.sae.classical, config.sae.post_quantum, config.sae.trust)
    planes = {
        name: HttpServer(answer, plane=name, host="127.0.0.1", tls=context, body_limit=limits.PEER_BODY)
        for name, context in (("peer", peer), ("sae", sae))
    }
    try:
        for plane in planes.values():
            await plane.start()
        _tell({f"{name}_url": plane.url for name, plane in planes.items()})
        await stop.wait()
    finally:
        for plane in planes.values():
            await plane.stop()


def _stopped() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _end_with_input() -> None:
    """The benchmark holds the other end of standard input; when it is gone, however that came, so are we."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


ROLES: Final[dict[str, Callable[..., Any]]] = {
    "agent": _agent,
    "devices": _devices,
    "listener": _listener,
    "subsystem": _subsystem,
    "controller": _controller,
    "emulated": _emulated,
}


def main(arguments: list[str]) -> int:
    """Run one role; its exit code."""
    configure("ERROR")
    threading.Thread(target=_end_with_input, daemon=True).start()
    role, *paths = arguments
    try:
        uvloop.run(ROLES[role](*map(Path, paths)))
    except QuiverError as error:
        sys.stderr.write(f"quiver bench: {role}: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
