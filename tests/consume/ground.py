"""Two sites with a tunnel between them: a pair of KMEs, certificates, configuration files, and both ends at work.

The KMEs are the two devices of a simulated QKD link, which speak ETSI GS QKD 014 over mutual TLS as any node does. The ends run
as tasks of the test (`both_ends`), or as processes (`process`), in both cases from configuration files and over real TLS.
"""

import asyncio
import json
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from quiver.consume.config import read_consumer
from quiver.consume.daemon import Consuming, consuming
from quiver.identity.lab import Lab
from quiver.net.ports import free_ports
from quiver.net.tls import Credentials
from quiver.qkd.channel import Fibre
from quiver.qkd.control import SystemClock, SystemEntropy
from quiver.qkd.kme import End, Link
from quiver.qkd.profiles import profile_named
from quiver.qkd.simulator import Simulator
from quiver.qkd.tls import server_context

ROLES = ("initiator", "responder")
SAES = {"initiator": "gateway-1", "responder": "gateway-2"}
PATIENCE = 60.0  # seconds until a test that hangs is called failed; machines may be busy
_T = TypeVar("_T")
Inside = Callable[[str], AbstractContextManager[None]]


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """A test's main, on the loop that a consumer's process has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main, PATIENCE))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what has to come; the test's own patience bounds it."""
    while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
        await asyncio.sleep(0.01)


def issued(lab: Lab, profile: str, identity: str) -> Credentials:
    """The certificate of this profile and id, made once."""
    found = Credentials(lab.directory / f"{profile}-{identity}.pem", lab.directory / f"{profile}-{identity}.key")
    return found if found.certificate.exists() else lab.issue(profile, identity)


class Sites:
    """Both sites, while their KMEs run.

    Attributes:
        lab: whose certificates they have.
        directory: where their configurations lie.
        simulator: both KMEs; `apply(Fault...)` breaks the link between them.
        partner_port: where the responder listens.
    """

    def __init__(self, lab: Lab, directory: Path, simulator: Simulator) -> None:
        self.lab, self.directory, self.simulator = lab, directory, simulator
        (self.partner_port,) = free_ports(1)

    @property
    def partner_url(self) -> str:
        """Where the responder listens."""
        return f"https://127.0.0.1:{self.partner_port}"

    def write(self, role: str, tables: str, *, rollover: str = "interval = 1", partner: str = "127.0.0.1") -> Path:
        """The configuration of one end.

        Args:
            role: of the end.
            tables: the tunnel's table, and others.
            rollover: lines of the table [rollover].
            partner: address of the responder.
        """
        lab, own, other = self.lab, SAES[role], SAES[ROLES[1 - ROLES.index(role)]]
        at_kme, at_partner = issued(lab, "sae", own), issued(lab, "sae-partner", own)
        place = "address" if role == "initiator" else "listen"
        path = self.directory / f"{role}.toml"
        path.write_text(f"""
[consumer]
role = "{role}"

[kme]
url = "{self.simulator.listeners[ROLES.index(role)].url}"
certificate = "{at_kme.certificate}"
private_key = "{at_kme.private_key}"
trust = ["{lab.saes_trust[0]}"]

[partner]
sae = "{other}"
{place} = "{partner}:{self.partner_port}"
certificate = "{at_partner.certificate}"
private_key = "{at_partner.private_key}"
trust = ["{lab.saes_trust[1]}"]

[rollover]
{rollover}

{tables}
""")
        return path


@asynccontextmanager
async def sites(
    lab: Lab, directory: Path, inside: Inside = lambda _: nullcontext(), vendor: str = "alder"
) -> AsyncIterator[Sites]:
    """Both sites, until the end of the block.

    Args:
        lab: whose certificates they have.
        directory: where their configurations go.
        inside: where the sockets of a role's KME are made; `namespaces.Namespaces.inside`, or here. Its URL is on the loopback.
        vendor: whose both KMEs are.
    """
    ends = [End(kme_id=f"KME-{sae}", sae_id=sae) for sae in SAES.values()]
    link = Link(
        profile_named(vendor),
        Fibre(length_km=5),
        (ends[0], ends[1]),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        randomness=random.Random(7),
    )
    contexts = []
    for end in ends:
        pair = issued(lab, "kme", end.kme_id)
        contexts.append(server_context(pair.certificate, pair.private_key, lab.saes_trust[0]))
    simulator = Simulator(link, (contexts[0], contexts[1]))
    try:
        for role, listener in zip(ROLES, simulator.listeners, strict=True):
            with inside(role):
                await listener.start()
        yield Sites(lab, directory, simulator)
    finally:
        await simulator.stop()


@asynccontextmanager
async def both_ends(initiator: Path, responder: Path) -> AsyncIterator[tuple[Consuming, Consuming]]:
    """Both ends as tasks of this loop, until the end of the block: (initiator, responder)."""
    async with consuming(read_consumer(responder)) as there, consuming(read_consumer(initiator)) as here:
        yield here, there


async def rolled_over(ends: tuple[Consuming, Consuming], count: int) -> None:
    """Wait until both ends have counted so many keys; an end that fails fails the test."""

    def done() -> bool:
        for end in ends:
            if end.work.done():
                end.work.result()
        return all(end.side.rollovers >= count for end in ends)

    await until(done)


class Started:
    """A consumer's process.

    Attributes:
        process: itself.
        told: its line on stdout.
        log: its lines on stderr, which are read once it has ended.
    """

    def __init__(self, process: Process, told: dict[str, Any], reading: "asyncio.Task[bytes]") -> None:
        self.process, self.told, self._reading = process, told, reading

    async def stopped(self, number: int = signal.SIGTERM) -> list[dict[str, Any]]:
        """End it by a signal; its log."""
        if self.process.returncode is None:
            os.kill(self.process.pid, number)
        await self.process.wait()
        return [json.loads(line) for line in (await self._reading).splitlines()]


@asynccontextmanager
async def process(kind: str, path: Path, within: Sequence[str] = ()) -> AsyncIterator[Started]:
    """`quiver consume KIND CONFIG`, until the end of the block at most.

    Args:
        kind: of its tunnel.
        path: of its configuration.
        within: a command that runs it, such as `ip netns exec NAME`.
    """
    child = await asyncio.create_subprocess_exec(
        *within,
        *(str(Path(sys.executable).with_name("quiver")), "consume", kind, str(path)),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    reading = asyncio.create_task(child.stderr.read())
    try:
        line = await child.stdout.readline()
        assert line, (await reading).decode()
        yield Started(child, json.loads(line), reading)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await reading


async def metrics(url: str) -> dict[str, float]:
    """What the metrics plane of a process shows, by name, without labels; of several samples of one name the sum."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if line.startswith("quiver_consumer_"):
            plain = name.partition("{")[0].removeprefix("quiver_")
            found[plain] = found.get(plain, 0.0) + float(value)
    return found


def play(
    lab: Lab,
    directory: Path,
    scene: Callable[[Sites], Awaitable[None]],
    inside: Inside = lambda _: nullcontext(),
    vendor: str = "alder",
) -> None:
    """Run a scene between two sites; the arguments are those of `sites`."""

    async def main() -> None:
        async with sites(lab, directory, inside, vendor) as both:
            await scene(both)

    run(main())
