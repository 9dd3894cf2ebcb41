"""Our client against Debian's netconfd, a NETCONF server in C, behind OpenSSH's sshd: on loopback, and ended by the test."""

import asyncio
import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncssh
import pytest

from quiver.domain.errors import RemoteError
from quiver.net.netconf_client import NetconfClient
from quiver.net.ports import free_ports
from quiver.net.ssh_policy import POST_QUANTUM, WITH_CLASSICAL
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.xml import NETMOD, Element, element, parse, qualified
from tests.agent.management_ground import HOST
from tests.interop.visitors import PATIENCE

pytestmark = pytest.mark.system

TOASTER = "http://netconfcentral.org/ns/toaster"
PRIVSEP = Path("/run/sshd")  # where sshd's unprivileged half lives when root starts it
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host
PidFile none
AuthorizedKeysFile {root}/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
Subsystem netconf "/usr/sbin/netconf-subsystem --ncxserver-sockname={port}@{root}/socket"
"""


@contextmanager
def process(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is ended with the block."""
    with log.open("wb") as output:
        made = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        yield made
    finally:
        os.killpg(made.pid, signal.SIGKILL)
        made.wait()


class Foreign:
    """The server, and the keys of its two sides."""

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port = root, port
        self.host_key, self.key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        for name, key in (("host", self.host_key), ("user", self.key)):
            (root / name).write_bytes(key.export_private_key("openssh"))
            (root / name).chmod(0o600)
        (root / "authorized").write_bytes(self.key.export_public_key())
        (root / "sshd_config").write_text(CONFIG.format(port=port, root=root))

    async def client(self, policy: object = WITH_CLASSICAL) -> NetconfClient:
        return await NetconfClient.over_ssh(
            HOST,
            self.port,
            user=getpass.getuser(),
            key=self.key,
            host_keys=[self.host_key.convert_to_public()],
            policy=policy,  # type: ignore[arg-type]
        )


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    root = Path(tempfile.mkdtemp(prefix="qn-"))  # sockets have short names
    (port,) = free_ports(1)
    made = Foreign(root, port)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root)
        if os.geteuid() == 0 and not PRIVSEP.exists():
            PRIVSEP.mkdir(mode=0o755)
            stack.callback(PRIVSEP.rmdir)
        server = (
            "/usr/sbin/netconfd",
            f"--ncxserver-sockname={root}/socket",
            f"--port={port}",
            f"--superuser={getpass.getuser()}",
            "--no-startup",
            "--target=candidate",
            "--module=toaster",
            "--modpath=/usr/share/yuma/modules",
        )
        stack.enter_context(process(*server, log=root / "netconfd.log"))
        daemon = ("/usr/sbin/sshd", "-D", "-e", "-f", f"{root}/sshd_config")
        stack.enter_context(process(*daemon, log=root / "sshd.log"))
        _wait_for(made)
        yield made


def _wait_for(foreign: Foreign) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            asyncio.run(_greet(foreign))
        except RemoteError:
            if time.monotonic() > deadline:
                logs = [(foreign.root / name).read_text(errors="replace") for name in ("sshd.log", "netconfd.log")]
                raise AssertionError("\n".join(logs)) from None
            time.sleep(0.1)
        else:
            return


async def _greet(foreign: Foreign) -> None:
    await (await foreign.client()).close()


def toaster(attributes: str = "") -> Element:
    """Its one container with presence."""
    nc = "urn:ietf:params:xml:ns:netconf:base:1.0"
    return parse(f'<toaster xmlns="{TOASTER}" xmlns:nc="{nc}"{attributes}/>'.encode())


async def has_toaster(client: NetconfClient, source: str = "running") -> bool:
    data = await client.get_config(source=source)
    return data.find(qualified(TOASTER, "toaster")) is not None


def run(scene: object) -> None:
    asyncio.run(asyncio.wait_for(scene, PATIENCE))  # type: ignore[arg-type]


def test_our_client_gets_edits_commits_and_discards(foreign: Foreign) -> None:
    async def scene() -> None:
        async with await foreign.client() as client:
            assert client.session_id > 0
            assert "urn:ietf:params:netconf:base:1.1" in client.capabilities
            await client.edit(toaster(), target="candidate", default_operation="merge")
            assert await has_toaster(client, "candidate")
            await client.simple("discard-changes")
            assert not await has_toaster(client, "candidate")
            await client.edit(toaster(), target="candidate", error_option="rollback-on-error")
            await client.simple("validate", source="running")  # of the candidate it would make netconfd forget the edit
            await client.simple("commit")
            assert await has_toaster(client)
            state = await client.get(toaster())
            assert state.find(f".//{qualified(TOASTER, 'toasterStatus')}") is not None
            await client.edit(toaster(' nc:operation="delete"'), target="candidate")
            await client.simple("commit")
            assert not await has_toaster(client)

    run(scene())


def test_our_client_understands_its_refusals(foreign: Foreign) -> None:
    async def scene() -> None:
        async with await foreign.client() as client, await foreign.client() as other:
            with pytest.raises(RpcError) as refused:
                await client.edit(toaster(' nc:operation="delete"'), target="candidate")
            assert refused.value.tag is Tag.DATA_MISSING
            await client.simple("lock", target="candidate")
            with pytest.raises(RpcError) as refused:
                await other.simple("lock", target="candidate")
            assert refused.value.tag is Tag.LOCK_DENIED
            await client.simple("unlock", target="candidate")

    run(scene())


def test_our_client_reads_schemas_and_hears_notifications(foreign: Foreign) -> None:
    async def scene() -> None:
        async with await foreign.client() as client, await foreign.client() as listener:
            assert "module toaster {" in await client.get_schema("toaster")
            streams = await client.get(element(qualified(NETMOD, "netconf")))
            assert streams.find(f".//{qualified(NETMOD, 'stream')}") is not None
            await listener.subscribe()
            await client.edit(toaster(), target="candidate")
            await client.simple("commit")
            async for notification in listener.notifications():
                if notification.event.tag.endswith("netconf-config-change"):
                    break
            await client.edit(toaster(' nc:operation="remove"'), target="candidate")
            await client.simple("commit")

    run(scene())


def test_our_client_asks_many_things_at_once(foreign: Foreign) -> None:
    async def scene() -> None:
        async with await foreign.client() as client:
            found = await asyncio.gather(*(client.get_config(toaster()) for _ in range(20)))
            assert len(found) == 20

    run(scene())


def test_our_client_does_not_fall_back_to_openssh_9_2s_key_exchanges(foreign: Foreign) -> None:
    async def scene() -> None:
        with pytest.raises(RemoteError, match="no SSH algorithms in common"):
            await foreign.client(POST_QUANTUM)

    run(scene())
