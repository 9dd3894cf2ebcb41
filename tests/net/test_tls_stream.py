"""Streams over TLS: who is admitted on the management plane, and how much a connection can take up."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.identity.pki import Request, make_key, make_request, write_certificate, write_key
from quiver.identity.profiles import Profile, profile_named
from quiver.net import tls, tls_policy
from quiver.net.tls_stream import TlsServer, TlsStream, connect_tls
from tests.net.conftest import Network
from tests.net.wire import run

HOST = "127.0.0.1"
ALICE = tls.quiver_uri("node", "alice")


async def echo(stream: TlsStream) -> None:
    """Say whom the certificate names, then repeat what comes."""
    await stream.write(f"{stream.facts.names}:".encode())
    while part := await stream.read():
        await stream.write(part)


@asynccontextmanager
async def listening(
    network: Network, serve: Any = echo, *, classical: bool = False, **options: Any
) -> AsyncIterator[int]:
    context = tls.management_server(
        network.get("management", "alice"),
        network.lab.management_trust if classical else network.lab.management_trust[:1],
        classical=network.get("management-classical", "alice") if classical else None,
    )
    server = TlsServer(serve, tls=context, plane="management", host=HOST, **options)
    await server.start()
    try:
        yield server.address[1]
    finally:
        await server.stop()


def client(network: Network, profile: str = "operator", identity: str = "olga") -> tls.TlsContext:
    return tls.management_client(network.get(profile, identity), network.lab.management_trust[:1]).expecting(ALICE)


async def first_words(port: int, context: tls.TlsContext) -> bytes:
    stream = await connect_tls(HOST, port, tls=context)
    try:
        return await stream.read()
    finally:
        await stream.close()


@pytest.mark.parametrize("role", ["controller", "operator", "auditor"])
def test_a_stream_knows_whom_its_certificate_names(loop_factory, network, role):
    async def main() -> None:
        async with listening(network) as port:
            stream = await connect_tls(HOST, port, tls=client(network, role, "olga"))
            assert await stream.read() == f"{role} olga:".encode()
            assert (stream.facts.group, stream.facts.signature) == ("X25519MLKEM768", "ML-DSA-65")
            await stream.write(b"x" * 100_000)
            received = b""
            while len(received) < 100_000:
                received += await stream.read()
            await stream.close()

    run(loop_factory, main())


def refused(loop_factory, network, context, *, classical: bool = False) -> str:
    """Why the server refused a client."""

    async def main() -> None:
        async with listening(network, classical=classical) as port:
            with pytest.raises((RemoteError, ConnectionError)):
                await first_words(port, context)

    with capture_logs() as logs:
        run(loop_factory, main())
    (reason,) = [log["reason"] for log in logs if log["event"] == "handshake refused" and log["side"] == "server"]
    return reason


def test_who_has_another_role_is_refused(loop_factory, network):
    """An authority that issues to the wrong party by mistake opens nothing."""
    usual = profile_named("operator")
    odd = Profile("odd", "sae", usual.kind, usual.authority, usual.usages, "an SAE of the wrong authority")
    key = make_key(odd.kind)
    request = Request.check(make_request(key, odd, "sae-1", ()), odd)
    files = tls.Credentials(network.lab.directory / "odd.pem", network.lab.directory / "odd.key")
    if not files.certificate.exists():
        write_key(files.private_key, key)
        write_certificate(files.certificate, network.lab._authorities[odd.authority].sign(request))
    context = tls.management_client(files, network.lab.management_trust[:1]).expecting(ALICE)
    assert refused(loop_factory, network, context) == (
        "wrong name: the certificate is a sae's, not a controller's, operator's, auditor's"
    )


def test_who_comes_with_another_networks_or_planes_certificate_is_refused(loop_factory, network, stranger):
    foreign = tls.management_client(stranger.get("operator", "olga"), network.lab.management_trust[:1])
    assert "other CA" in refused(loop_factory, network, foreign.expecting(ALICE))
    node = tls.management_client(network.get("node", "bob"), network.lab.management_trust[:1])
    assert "other CA" in refused(loop_factory, network, node.expecting(ALICE))


@pytest.mark.parametrize("classical", [False, True])
def test_who_shows_no_certificate_is_refused(loop_factory, network, classical):
    context = tls.make_context(tls_policy.MANAGEMENT_CLIENT, [], network.lab.management_trust[:1]).expecting(ALICE)
    assert refused(loop_factory, network, context, classical=classical) == "no certificate"


def test_classical_certificates_are_admitted_only_with_leave(loop_factory, network):
    files = network.get("operator-classical", "olga")
    context = ssl.create_default_context(cafile=network.lab.management_trust[1])
    context.check_hostname = False  # the agent's name is a URI
    context.load_cert_chain(files.certificate, files.private_key)

    async def main(*, classical: bool) -> bytes:
        async with listening(network, classical=classical) as port:
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="")
            words = await reader.readexactly(len(b"operator olga:"))
            writer.close()
            await writer.wait_closed()
            return words

    assert run(loop_factory, main(classical=True)) == b"operator olga:"
    with pytest.raises(ssl.SSLError):
        run(loop_factory, main(classical=False))


def test_a_client_speaks_to_the_expected_node_only(loop_factory, network):
    async def main() -> None:
        async with listening(network) as port:
            files = network.get("operator", "olga")
            context = tls.management_client(files, network.lab.management_trust[:1])
            with pytest.raises(RemoteError, match="expected urn:quiver:node:bob"):
                await connect_tls(HOST, port, tls=context.expecting(tls.quiver_uri("node", "bob")))

    run(loop_factory, main())


def test_a_connection_ends_at_its_greatest_age(loop_factory, network):
    async def main() -> None:
        async with listening(network, age=0.5) as port:
            stream = await connect_tls(HOST, port, tls=client(network))
            assert await stream.read()
            assert await stream.read() == b""
            await stream.close()

    run(loop_factory, main())


def test_a_peer_that_reads_nothing_is_given_up(loop_factory, network, monkeypatch):
    monkeypatch.setattr(limits, "STREAM_WRITE", 0.3)

    async def main() -> None:
        given_up = asyncio.Event()

        async def flood(stream: TlsStream) -> None:
            try:
                while True:
                    await stream.write(bytes(65_536))
            except ConnectionError:
                given_up.set()

        async with listening(network, flood) as port:
            stream = await connect_tls(HOST, port, tls=client(network))
            await given_up.wait()
            await stream.close()

    run(loop_factory, main())
