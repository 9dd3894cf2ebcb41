"""Who is not meant to speak NETCONF with an agent gets no session, on either transport, and the log says why."""

import asyncio
import dataclasses
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest
from ncclient.transport.errors import AuthenticationError, SSHError, SSHUnknownHostError, TLSError
from structlog.testing import capture_logs

from quiver.domain.errors import RemoteError
from quiver.identity.lab import Lab
from quiver.identity.pki import Request, make_key, make_request, write_certificate, write_key
from quiver.identity.profiles import profile_named
from quiver.net import tls
from quiver.net.netconf_client import NetconfClient
from tests.agent.management_ground import HOST, USERS, Managed, files_of
from tests.interop.conftest import ncclient_over_ssh, ncclient_over_tls
from tests.interop.visitors import PATIENCE


@contextmanager
def refusals(node: Managed) -> Iterator[list[str]]:
    """The reasons that the node has logged, once all connections of the block have ended there too."""
    found: list[str] = []
    with capture_logs() as logs:
        yield found
        deadline = time.monotonic() + PATIENCE
        while any(server.connections for server in (node.plane.ssh, node.plane.tls) if server is not None):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    found += [
        str(log["reason"])
        for log in logs
        if log["event"] in ("login refused", "handshake refused") and log.get("side", "server") == "server"
    ]


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Another network, whose authorities have the same names."""
    return Lab(tmp_path_factory.mktemp("stranger"))


def misissued(lab: Lab, name: str) -> tls.Credentials:
    """A certificate for a role that has no business here, of the management plane's own authority."""
    profile = dataclasses.replace(profile_named("operator-classical"), name="odd", role="sae")
    files = tls.Credentials(lab.directory / f"odd-{name}.pem", lab.directory / f"odd-{name}.key")
    key = make_key(profile.kind)
    write_key(files.private_key, key)
    request = Request.check(make_request(key, profile, name), profile)
    write_certificate(files.certificate, lab._authorities[profile.authority].sign(request))
    return files


# --- SSH ------------------------------------------------------------------------------------------------------------------


def other_key(node: Managed) -> None:
    ncclient_over_ssh(as_seen_with(node, asyncssh.generate_private_key("ssh-ed25519")), "olga")


def as_seen_with(node: Managed, key: asyncssh.SSHKey) -> Any:
    """The node as a client sees it who holds this key for everybody."""

    class Seen:
        host_key, ssh_port = node.host_key, node.ssh_port
        keys = dict.fromkeys((*USERS, "mallory"), key)
        directory = node.directory / "other"

    Seen.directory.mkdir(exist_ok=True)
    return Seen


def unknown_user(node: Managed) -> None:
    ncclient_over_ssh(as_seen_with(node, node.keys["olga"]), "mallory")


def anothers_key(node: Managed) -> None:
    """An auditor's key does not make an operator."""
    ncclient_over_ssh(as_seen_with(node, node.keys["audrey"]), "olga")


@pytest.mark.parametrize(
    ("come", "reason"),
    [
        (other_key, "unknown key: not among the user's"),
        (anothers_key, "unknown key: not among the user's"),
        (unknown_user, "unknown user"),
    ],
)
def test_over_ssh_only_a_users_own_key_opens_a_session(
    strict_node: Managed, come: Callable[[Managed], None], reason: str
) -> None:
    with refusals(strict_node) as reasons, pytest.raises(AuthenticationError):
        come(strict_node)
    assert reason in reasons
    assert len(strict_node.plane.sessions) == 0


def test_over_ssh_a_strict_node_speaks_ml_kem_and_nothing_less(
    strict_node: Managed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ncclient_over_ssh(strict_node, "olga").close()
    monkeypatch.setattr(paramiko.Transport, "_preferred_kex", ("curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"))
    with refusals(strict_node) as reasons, pytest.raises(SSHError):
        ncclient_over_ssh(strict_node, "olga")
    # Either side may notice it first; paramiko's way of hanging up can take its offer with it.
    ours = "no algorithms in common (key exchanges here: mlkem768x25519-sha256"
    assert [reason for reason in reasons if reason.startswith((ours, "the peer hung up"))]


# --- TLS ------------------------------------------------------------------------------------------------------------------


def other_network(node: Managed, stranger: Lab) -> None:
    _stdlib(node, files_of(stranger, "operator-classical", "olga"), trust=node.lab.management_trust[1])


def wrong_role(node: Managed, stranger: Lab) -> None:
    del stranger
    _stdlib(node, misissued(node.lab, "wrong-role"), trust=node.lab.management_trust[1])


def no_certificate(node: Managed, stranger: Lab) -> None:
    del stranger
    _stdlib(node, None, trust=node.lab.management_trust[1])


def _stdlib(node: Managed, files: tls.Credentials | None, trust: Path) -> None:
    """What a program of somebody else's does that has the standard library's TLS; raises what it sees."""
    context = ssl.create_default_context(cafile=str(trust))
    if files is not None:
        context.load_cert_chain(files.certificate, files.private_key)
    with (
        socket.create_connection((HOST, node.tls_port)) as line,
        context.wrap_socket(line, server_hostname="localhost") as secured,
    ):
        if not secured.recv(1):
            raise ConnectionResetError


@pytest.mark.parametrize(
    ("come", "reason"),
    [
        (other_network, "other CA"),
        (wrong_role, "wrong name: the certificate is a sae's, not a controller's, operator's, auditor's"),
        (no_certificate, "no certificate"),
    ],
)
def test_over_tls_only_a_users_own_certificate_opens_a_session(
    node: Managed, stranger: Lab, come: Callable[[Managed, Lab], None], reason: str
) -> None:
    with refusals(node) as reasons, pytest.raises(OSError):
        come(node, stranger)
    assert [found for found in reasons if found.startswith(reason)]
    assert len(node.plane.sessions) == 0


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)  # ncclient's
def test_over_tls_a_role_that_the_nodes_configuration_does_not_give_opens_no_session(node: Managed) -> None:
    with refusals(node) as reasons, pytest.raises(Exception):  # noqa: B017  # ncclient says it in many ways
        ncclient_over_tls(node, "audrey", "operator-classical").get()
    assert "wrong role: the certificate says operator, the configuration auditor" in reasons


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)  # ncclient's
def test_without_leave_classical_clients_are_refused_over_tls(strict_node: Managed) -> None:
    with refusals(strict_node) as reasons, pytest.raises(TLSError):
        ncclient_over_tls(strict_node, "olga")
    assert [reason for reason in reasons if reason.startswith("TLS group: no group in common")]


# --- the server's side is checked too -------------------------------------------------------------------------------------


def test_clients_refuse_a_server_that_is_not_the_one_they_know(node: Managed, lab: Lab) -> None:
    class Seen:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        ssh_port, keys, directory = node.ssh_port, node.keys, node.directory

    with pytest.raises((SSHUnknownHostError, SSHError)):
        ncclient_over_ssh(Seen, "olga")  # type: ignore[arg-type]

    async def ours() -> None:
        files = files_of(lab, "operator", "olga")
        context = tls.management_client(files, lab.management_trust[:1]).expecting(tls.quiver_uri("node", "bob"))
        await NetconfClient.over_tls(HOST, node.tls_port, tls=context)

    with pytest.raises(RemoteError, match="expected urn:quiver:node:bob, the certificate is for node alice"):
        asyncio.run(ours())
