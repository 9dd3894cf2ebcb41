"""The NETCONF figure: edits of one entry at an agent that has a thousand, over SSH, one after the other."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import asyncssh

from quiver.bench.ceilings import SMALL, bare_commits
from quiver.bench.figures import RUNS, Figure, throughput
from quiver.bench.processes import Child, Children
from quiver.bench.progress import Progress
from quiver.domain.network import PathEntry
from quiver.identity.lab import Lab
from quiver.identity.pki import write_new
from quiver.net.netconf_client import NetconfClient
from quiver.net.ports import HOST, free_ports
from quiver.net.ssh import SshServer
from quiver.net.ssh_client import SshClient
from quiver.net.ssh_policy import POST_QUANTUM, public_key, public_line, read_private_key
from quiver.net.stream import ByteStream
from quiver.protocols.netconf.xml import BASE, Element, element, qualified
from quiver.protocols.yang.entries import PATH_ROW, path_values
from quiver.protocols.yang.names import KMS

__all__ = ["measure_netconf", "run_subsystem"]

ENTRIES: Final = 1000  # that the agent has when an edit comes
_KEY: Final = "client.key"  # file beside the agent's configuration: the client's SSH key, and the bare server's own
_NODE, _BEFORE, _AFTER = "b", "a", "c"
_USER: Final = "operator-1"
_CEILING: Final = "bare SSH subsystem round trip + bare commit, one after the other"


async def measure_netconf(root: Path, seconds: float, progress: Progress) -> list[Figure]:
    """The figure `netconf.edits`.

    Args:
        root: an empty directory.
        seconds: that it may take, its ceiling included.
        progress: is told what goes on.

    Raises:
        RemoteError: a process did not start, or an edit was refused.
    """
    key = asyncssh.generate_private_key("ssh-ed25519")
    write_new(root / _KEY, key.export_private_key("openssh"), 0o600)
    config = _write_agent(root, public_line(key))
    async with Children(root) as children:
        progress(f"netconf.edits: an agent with {ENTRIES:,} entries")
        agent = await children.start("agent", config)
        echo = await children.start("subsystem", config)
        async with await _session(agent, key) as client:
            await client.edit(_kms(*(_entry(f"{number}") for number in range(ENTRIES))), patience=120)
            progress("netconf.edits")
            values, ceilings = list[float](), list[float]()
            for run in range(RUNS):
                with children.alone(agent):
                    values.append(await _edits(client, run, seconds / (2 * RUNS)))
                with children.alone(echo), bare_commits(root) as commits:
                    trip = await _round_trip(echo, key, seconds / (4 * RUNS))
                    ceilings.append(1000 / (trip + commits.milliseconds(seconds / (4 * RUNS))))
    return [throughput("netconf.edits", "edits/s", values, _CEILING, ceilings)]


async def _session(agent: Child, key: asyncssh.SSHKey) -> NetconfClient:
    ready = agent.ready
    return await NetconfClient.over_ssh(
        ready["netconf_ssh_host"],
        ready["netconf_ssh_port"],
        user=_USER,
        key=key,
        host_keys=[public_key(ready["ssh_host_key"])],
    )


async def _edits(client: NetconfClient, run: int, seconds: float) -> float:
    """Edits per second: an entry is added, and removed again."""
    clock, count = time.perf_counter, 0
    begun = clock()
    while (now := clock()) - begun < seconds or not count:
        name = f"{run}.{count // 2}"
        await client.edit(_kms(_entry(name, gone=bool(count % 2))))
        count += 1
    return count / (now - begun)


async def _round_trip(echo: Child, key: asyncssh.SSHKey, seconds: float) -> float:
    """Milliseconds, on average, of a few bytes there and back through a subsystem that does nothing with them."""
    ready = echo.ready
    client = await SshClient.connect(
        HOST, ready["port"], user=_USER, key=key, host_keys=[public_key(ready["host_key"])], policy=POST_QUANTUM
    )
    stream = await client.open()
    clock, count = time.perf_counter, 0
    begun = clock()
    while (now := clock()) - begun < seconds or not count:
        await stream.write(bytes(SMALL))
        received = 0
        while received < SMALL:
            received += len(await stream.read())
        count += 1
    await client.close()
    return 1000 * (now - begun) / count


async def run_subsystem(config: Path, tell: Callable[[dict[str, str | int]], None], stop: asyncio.Event) -> None:
    """A bare SSH server, with the agent's algorithms, whose one subsystem sends back what it gets.

    Args:
        config: the agent's configuration, beside which the key is.
        tell: gets port and host key once it listens.
        stop: ends it.
    """
    key = read_private_key(config.with_name(_KEY))
    server = SshServer(
        _send_back,
        keys={_USER: frozenset((key.public_data,))},
        host_key=key,
        policy=POST_QUANTUM,
        plane="bench",
        host=HOST,
    )
    await server.start()
    try:
        tell({"port": server.address[1], "host_key": public_line(key)})
        await stop.wait()
    finally:
        await server.stop()


async def _send_back(_user: str, stream: ByteStream) -> None:
    while received := await stream.read():
        await stream.write(received)


# --- what is sent ---------------------------------------------------------------------------------------------------------


def _entry(name: str, *, gone: bool = False) -> Element:
    """A path that the node relays, to be added or removed."""
    entry = PathEntry(virtual_link=f"bench-{name}", path=1, version=1, nodes=(_BEFORE, _NODE, _AFTER))
    made = element(PATH_ROW.tag)
    PATH_ROW.fill(made, path_values(entry))
    if gone:
        made.set(qualified(BASE, "operation"), "delete")
    return made


def _kms(*entries: Element) -> Element:
    kms = element(qualified(KMS, "kms"))
    kms.extend(entries)
    return kms


# --- the agent ------------------------------------------------------------------------------------------------------------


def _write_agent(root: Path, key: str) -> Path:
    """The configuration of a node with two links whose devices and neighbours are not there: nothing but edits to do."""
    lab = Lab(root / "pki")
    files = {profile: lab.issue(profile, _NODE) for profile in ("node", "kme-pq", "device-client")}
    nobody, *_ = free_ports(1)
    links = "".join(
        f'[[links]]\nid = "{_NODE}-{other}"\nneighbour = "{other}"\n'
        f'device = {{ url = "https://{HOST}:{nobody}", peer_sae_id = "{other}" }}\n'
        for other in (_BEFORE, _AFTER)
    )

    def named(profile: str, prefix: str = "") -> str:
        pair = files[profile]
        return f'{prefix}certificate = "{pair.certificate}"\n{prefix}private_key = "{pair.private_key}"\n'

    config = root / f"{_NODE}.toml"
    config.write_text(
        f'[node]\nid = "{_NODE}"\nstate = "{root / "state"}"\n'
        f'[peer]\nlisten = "{HOST}:0"\n{named("node")}trust = "{lab.nodes_trust}"\n'
        f'[sae]\nlisten = "{HOST}:0"\nrequire_pq = true\n{named("kme-pq", "pq_")}trust = ["{lab.saes_trust[1]}"]\n'
        f'[device]\n{named("device-client")}trust = "{lab.devices_trust}"\n'
        f'[log]\nlevel = "ERROR"\n{links}'
        f'[directory]\nnodes = {{ {_BEFORE} = "{HOST}:{nobody}", {_AFTER} = "{HOST}:{nobody}" }}\n'
        f'[management]\nssh_listen = "{HOST}:0"\n'
        f'users = [{{ name = "{_USER}", role = "operator", ssh_keys = ["{key}"] }}]\n',
        encoding="utf-8",
    )
    return config
