"""A real node with its NETCONF server on loopback, in this process or in a thread of its own, and clients of it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import asyncssh
import uvloop

from quiver.agent.config_management import ManagementTable, UserTable
from quiver.agent.engine import Engine
from quiver.agent.management import ManagementPlane
from quiver.agent.management_running import Running
from quiver.domain.errors import RemoteError
from quiver.domain.network import Directory, LinkEntry, Network, PathEntry
from quiver.identity.lab import Lab
from quiver.net import tls
from quiver.net.addresses import ListenAddress
from quiver.net.netconf_client import NetconfClient
from quiver.net.ssh_policy import POST_QUANTUM, SshPolicy
from quiver.protocols.netconf.xml import Element, parse
from quiver.store.configuration import ConfigurationDatabase
from quiver.store.sqlite import SqliteDatabase

HOST = "127.0.0.1"
KMS = "urn:quiver:yang:quiver-kms"
USERS = {"ctrl": "controller", "olga": "operator", "audrey": "auditor"}
POLICY = Network(
    node="alice",
    links=(LinkEntry(id="a-b", neighbour="bob"), LinkEntry(id="a-d", neighbour="dave")),
    paths=(PathEntry(virtual_link="bob-alice", path=1, version=1, nodes=("bob", "alice")),),
    directory=Directory(homes={"sae-file": "alice"}),
)
EXCLUDED = frozenset({"mallory"})


class NoPeers:
    """Nobody is there."""

    async def send(self, *message):
        raise RemoteError("nobody is there")

    async def drop(self, neighbour, link):
        """There is no connection to close."""


class Managed:
    """A node and its management plane.

    Args:
        directory: its state.
        lab: authorities.
        keys: user → SSH key; made where it is not there.
        changed: of the table `[management]`.
    """

    def __init__(self, directory: Path, lab: Lab, keys: dict[str, asyncssh.SSHKey], **changed: Any) -> None:
        self.directory, self.lab, self.keys = directory, lab, keys
        for user in USERS:
            keys.setdefault(user, asyncssh.generate_private_key("ssh-ed25519"))
        self.host_key = keys.setdefault("host", asyncssh.generate_private_key("ssh-ed25519"))
        users = tuple(
            UserTable(name=user, role=role, ssh_keys=(keys[user].export_public_key().decode().strip(),))  # type: ignore[arg-type]
            for user, role in USERS.items()
        )
        classical = changed.pop("classical", False)
        pq = files_of(lab, "management", "alice")
        old = files_of(lab, "management-classical", "alice") if classical else None
        table = {
            "ssh_listen": ListenAddress(f"{HOST}:0"),
            "tls_listen": ListenAddress(f"{HOST}:0"),
            "certificate": pq.certificate,
            "private_key": pq.private_key,
            "trust": lab.management_trust if classical else lab.management_trust[:1],
            "allow_classical": classical,
            "classical_certificate": old.certificate if old else None,
            "classical_private_key": old.private_key if old else None,
            "users": users,
            **changed,
        }
        self.table = ManagementTable(**table)
        self.policy, self.excluded = POLICY, EXCLUDED

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.keys_database = SqliteDatabase(self.directory / "keys.sqlite")
        self.database = ConfigurationDatabase(self.directory / "configuration.sqlite")
        self.running = Running(self.database, self.policy, self.excluded)
        self.engine = Engine(
            self.policy,
            bytes(32),
            self.keys_database,
            NoPeers(),
            {},
            provision=self.running.provision,
            excluded=self.excluded,
        )
        self.task = asyncio.create_task(self.engine.run())
        while self.engine.trouble:  # noqa: ASYNC110  # the engine tells nobody
            await asyncio.sleep(0.001)
        self.running.work_by(self.engine)
        self.plane = ManagementPlane(self.table, self.engine, self.running, self.host_key)
        await self.plane.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.plane.stop()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.running.close()
        self.database.close()
        self.keys_database.close()

    def ask(self, master: str, slave: str) -> "Future[Any]":
        """A request of an SAE, from another thread than the node's."""
        return asyncio.run_coroutine_threadsafe(self.engine.ask(master, [slave], 1, 256), self.loop)

    @property
    def ssh_port(self) -> int:
        assert self.plane.ssh is not None
        return self.plane.ssh.address[1]

    @property
    def tls_port(self) -> int:
        assert self.plane.tls is not None
        return self.plane.tls.address[1]

    async def ssh(self, user: str = "olga", policy: SshPolicy = POST_QUANTUM, **changed: Any) -> NetconfClient:
        options = {"user": user, "key": self.keys[user], "host_keys": [self.host_key.convert_to_public()], **changed}
        return await NetconfClient.over_ssh(HOST, self.ssh_port, policy=policy, **options)

    async def tls(self, user: str = "olga", role: str | None = None) -> NetconfClient:
        files = files_of(self.lab, role or USERS[user], user)
        context = tls.management_client(files, self.lab.management_trust[:1]).expecting(tls.quiver_uri("node", "alice"))
        return await NetconfClient.over_tls(HOST, self.tls_port, tls=context)


def files_of(lab: Lab, profile: str, identity: str) -> tls.Credentials:
    """The certificate of this profile and id, made once."""
    found = tls.Credentials(lab.directory / f"{profile}-{identity}.pem", lab.directory / f"{profile}-{identity}.key")
    return found if found.certificate.exists() else lab.issue(profile, identity)


# --- what is sent -----------------------------------------------------------------------------------------------------


def kms(inside: str, **attributes: str) -> Element:
    """A `kms` element with this in it."""
    named = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return parse(
        f'<kms xmlns="{KMS}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"{named}>{inside}</kms>'.encode()
    )


def path(
    number: int = 1,
    version: int = 1,
    nodes: tuple[str, ...] = ("alice", "bob"),
    link: str = "alice-bob",
    more: str = "",
) -> str:
    """A `path` entry."""
    listed = "".join(f"<node>{node}</node>" for node in nodes)
    return (
        f"<path><virtual-link>{link}</virtual-link><number>{number}</number><version>{version}</version>"
        f"{listed}{more}</path>"
    )


def term(number: int) -> str:
    """The controller's term."""
    return f"<controller><term>{number}</term></controller>"


def home(sae: str, node: str) -> str:
    """An SAE's home."""
    return f"<directory>{sae_entry(sae, node)}</directory>"


def sae_entry(sae: str, node: str) -> str:
    """An entry of an SAE."""
    return f"<sae><id>{sae}</id><home>{node}</home></sae>"


def names(data: Element, tag: str, key: str) -> list[str]:
    """The texts of a leaf in each entry of this name."""
    return [entry.findtext(f"{{{KMS}}}{key}") or "" for entry in data.iter(f"{{{KMS}}}{tag}")]


# --- running it -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def managed(directory: Path, lab: Lab, **changed: Any) -> AsyncIterator[Managed]:
    """A node in this loop."""
    async with Managed(directory, lab, {}, **changed) as made:
        yield made


@contextmanager
def in_thread(make: Callable[[], Managed]) -> Iterator[Managed]:
    """A node in a thread of its own, so that blocking clients and other programs can visit it."""
    started: Future[tuple[Managed, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        try:
            async with make() as made:
                ended = asyncio.Event()
                started.set_result((made, asyncio.get_running_loop(), ended))
                await ended.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    thread.start()
    made, loop, ended = started.result(20)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
        assert not thread.is_alive()
