"""A node whose NETCONF server runs in a thread of its own, and the clients that visit it."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncssh
import pytest
from ncclient import manager
from ncclient.devices.default import DefaultDeviceHandler

from quiver.identity.lab import Lab
from tests.agent.management_ground import HOST, USERS, Managed, files_of, in_thread
from tests.interop.visitors import PATIENCE, NcclientVisitor, OwnVisitor, Visitor

Open = Callable[[str], Visitor]
"""A session of the user of this name."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("interop-pki"))


@pytest.fixture(scope="session")
def keys() -> dict[str, asyncssh.SSHKey]:
    return {user: asyncssh.generate_private_key("ssh-ed25519") for user in (*USERS, "host")}


@pytest.fixture
def node(tmp_path: Path, lab: Lab, keys: dict[str, asyncssh.SSHKey]) -> Iterator[Managed]:
    """Post-quantum clients and, by its policy, classical ones too."""
    with in_thread(lambda: Managed(tmp_path / "state", lab, keys, classical=True)) as made:
        yield made


@pytest.fixture
def strict_node(tmp_path: Path, lab: Lab, keys: dict[str, asyncssh.SSHKey]) -> Iterator[Managed]:
    """Post-quantum clients only, as nodes are if nobody says otherwise."""
    with in_thread(lambda: Managed(tmp_path / "strict", lab, keys)) as made:
        yield made


class OldFraming(DefaultDeviceHandler):
    """ncclient as one that knows NETCONF 1.0 only."""

    _BASE_CAPABILITIES = ["urn:ietf:params:netconf:base:1.0"]  # noqa: RUF012  # ncclient's own form


def key_file(node: Managed, user: str) -> Path:
    """A user's private key as OpenSSH keeps it."""
    path = node.directory / f"{user}.ssh"
    if not path.exists():
        path.write_bytes(node.keys[user].export_private_key("openssh"))
        path.chmod(0o600)
    return path


def ncclient_over_ssh(node: Managed, user: str, **options: object) -> NcclientVisitor:
    pinned = node.host_key.export_public_key().decode().split()[1]
    made = manager.connect_ssh(
        host=HOST,
        port=node.ssh_port,
        username=user,
        key_filename=str(key_file(node, user)),
        hostkey_b64=pinned,
        allow_agent=False,
        look_for_keys=False,
        timeout=PATIENCE,
        **options,
    )
    return NcclientVisitor(made)


def ncclient_over_tls(node: Managed, user: str, profile: str | None = None) -> NcclientVisitor:
    files = files_of(node.lab, profile or f"{USERS[user]}-classical", user)
    made = manager.connect_tls(
        host=HOST,
        port=node.tls_port,
        keyfile=str(files.private_key),
        certfile=str(files.certificate),
        ca_certs=str(node.lab.management_trust[1]),
        protocol=ssl.PROTOCOL_TLS_CLIENT,
        server_hostname="localhost",
        timeout=PATIENCE,
    )
    return NcclientVisitor(made)


def own(runner: asyncio.Runner, node: Managed, transport: str, user: str) -> OwnVisitor:
    return OwnVisitor(runner, runner.run(node.ssh(user) if transport == "ssh" else node.tls(user)))


WAYS = ("ncclient ssh", "ncclient ssh 1.0", "ncclient tls classical", "own ssh", "own tls post-quantum")


@pytest.fixture(params=WAYS)
def visit(request: pytest.FixtureRequest, node: Managed) -> Iterator[Open]:
    """Opens sessions by one client over one transport; all are closed at the end."""
    way: str = request.param
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner()) if way.startswith("own") else None

        def opened(user: str) -> Visitor:
            visitor: Visitor
            if runner is not None:
                visitor = own(runner, node, way.split()[1], user)
            elif "tls" in way:
                visitor = ncclient_over_tls(node, user)
            else:
                options = {"device_params": {"handler": OldFraming}} if way.endswith("1.0") else {}
                visitor = ncclient_over_ssh(node, user, **options)
            stack.callback(visitor.close)
            return visitor

        yield opened
