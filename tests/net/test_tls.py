"""Bytes, certificates and tickets on connections that are admitted."""

import asyncio
import contextlib
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from quiver.domain.errors import ConfigurationError
from quiver.net import tls, tls_policy, tls_selftest
from quiver.net.tls import make_context
from tests.net.conftest import Network
from tests.net.test_tls_refusals import peer_client, peer_server, sae_server
from tests.net.wire import Line, LoopFactory, run, visit

NEW_SESSION_TICKET = 4  # RFC 9846 section 4


def stdlib_client(
    network: Network, profile: str | None = "sae", *, newest: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """An SAE that uses Python's own ssl, as the clients of today do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(network.lab.saes_trust[0])
    if profile is not None:
        own = network.get(profile, "x")
        context.load_cert_chain(own.certificate, own.private_key)
    if newest is not None:
        context.maximum_version = newest
    return context


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


@pytest.mark.parametrize("length", [1, 16_384, 16_385, 70_000, 1_000_000])
def test_payloads_of_many_records_arrive_whole_both_ways(
    network: Network, loop_factory: LoopFactory, length: int
) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(length))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=peer_server(network))
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=peer_client(network))
        for start in range(0, length, 50_000):
            writer.write(pattern(length)[start : start + 50_000])
        await writer.drain()
        assert await reader.readexactly(length) == pattern(length)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        listener.close()
        await listener.wait_closed()

    run(loop_factory, main())


@pytest.mark.parametrize("grain", [1, 3, 7, 1000, 16_401, 100_000])
def test_records_cut_anywhere_are_put_together(network: Network, grain: int) -> None:
    line = Line(peer_server(network), peer_client(network), grain=grain)
    line.handshake()
    content = pattern(40_000 if grain > 100 else 3_000)
    assert line.client.write(content) == len(content)
    assert line.receive(line.server) == content
    line.server.write(memoryview(content))
    assert line.receive(line.client) == content


def test_what_follows_the_record_at_hand_stays_in_the_incoming_bio(network: Network) -> None:
    line = Line(peer_server(network), peer_client(network))
    line.handshake()
    for word in (b"one", b"two"):
        line.client.write(word)
    line.move()
    assert line.server.read(100) == b"one"
    assert line._s_in.pending > 0
    assert line.server.read(100) == b"two"
    assert line._s_in.pending == 0


def test_a_small_read_leaves_the_rest_pending(network: Network) -> None:
    line = Line(peer_server(network), peer_client(network))
    line.handshake()
    line.client.write(b"abcdef")
    line.move()
    room = bytearray(4)
    assert line.server.read(2) == b"ab"
    assert line.server.pending() == 4
    assert line.server.read(4, room) == 4
    assert room == b"cdef"
    with pytest.raises(ssl.SSLWantReadError):
        line.server.read(1)


def test_close_notify_ends_reading_and_unwrapping(network: Network) -> None:
    line = Line(peer_server(network), peer_client(network))
    line.handshake()
    line.server.write(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        line.server.unwrap()
    line.move()
    assert line.client.read(100) == b"last words"
    assert line.client.read(100) == b""
    line.client.unwrap()
    line.move()
    line.server.unwrap()
    with pytest.raises(ssl.SSLError):
        line.server.write(b"more")


def test_one_port_shows_ecdsa_to_the_standard_library_and_ml_dsa_to_a_post_quantum_sae(
    network: Network, loop_factory: LoopFactory
) -> None:
    server = sae_server(network)
    (classical,) = visit(loop_factory, server, stdlib_client(network)).admitted
    assert classical is not None
    assert (classical.own_signature, classical.signature, classical.group) == ("ECDSA P-256", "ECDSA P-256", "x25519")
    assert classical.names.sae == "x"

    outcome = visit(loop_factory, server, tls.sae_client(network.get("sae-pq", "x"), network.lab.saes_trust))
    (ours,) = outcome.admitted
    assert ours is not None
    assert (ours.own_signature, ours.signature, ours.group) == ("ML-DSA-65", "ML-DSA-65", "X25519MLKEM768")
    assert outcome.seen_by_client is not None
    assert outcome.seen_by_client.names.identity == "kme-a"

    (mixed,) = visit(loop_factory, server, tls.sae_client(network.get("sae", "x"), network.lab.saes_trust)).admitted
    assert mixed is not None
    assert (mixed.own_signature, mixed.group) == ("ECDSA P-256", "X25519MLKEM768")


def test_tls_1_2_is_allowed_for_saes_and_devices(network: Network, loop_factory: LoopFactory) -> None:
    (facts,) = visit(loop_factory, sae_server(network), stdlib_client(network, newest=ssl.TLSVersion.TLSv1_2)).admitted
    assert facts is not None
    assert facts.version == "TLSv1.2"
    server = tls.device_server(network.get("device", "d"), network.lab.devices_trust)
    client = tls.device_client(network.get("device-client", "a"), network.lab.devices_trust)
    for peer in (client, client.expecting(tls.quiver_uri("device", "d"))):
        (facts,) = visit(loop_factory, server, peer).admitted
        assert facts is not None
        assert (facts.names.node, facts.signature) == ("a", "ECDSA P-256")


def test_no_ticket_is_ever_issued_between_nodes(network: Network) -> None:
    client = peer_client(network)
    seen: list[int] = []
    kept = client.watch(seen)
    line = Line(peer_server(network), client)
    line.handshake()
    line.server.write(b"after the handshake")
    assert line.receive(line.client) == b"after the handshake"
    assert seen
    assert NEW_SESSION_TICKET not in seen
    del kept


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_ticket_is_ever_issued_to_an_sae(network: Network, newest: ssl.TLSVersion) -> None:
    line = Line(sae_server(network), stdlib_client(network, newest=newest), server_hostname="localhost")
    line.handshake()
    line.server.write(b"after the handshake")
    assert line.receive(line.client) == b"after the handshake"
    session = line.client.session
    assert session is None or not session.has_ticket


def test_a_handshake_in_which_a_ticket_could_not_be_suppressed_is_refused(network: Network) -> None:
    """A HelloRetryRequest: the client's key share is for a group that the server lacks, though it knows another."""
    guess = replace(tls_policy.SAE_CLIENT_CLASSICAL, groups="P-384:X25519")
    client = make_context(guess, [network.get("sae", "x")], network.lab.saes_trust)
    with pytest.raises(tls.TlsRefusedError):
        Line(sae_server(network), client, server_hostname="localhost").handshake()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_presented_ticket_never_replaces_a_certificate(network: Network, newest: ssl.TLSVersion) -> None:
    foreign = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # issues tickets, with the same certificate as the KME
    own = network.get("kme", "kme-a")
    foreign.load_cert_chain(own.certificate, own.private_key)
    without = stdlib_client(network, None, newest=newest)
    first = Line(foreign, without, server_hostname="localhost")
    first.handshake()
    first.server.write(b"x")
    assert first.receive(first.client) == b"x"
    ticket = first.client.session
    assert ticket.has_ticket

    again = Line(foreign, without, server_hostname="localhost", session=ticket)
    again.handshake()
    assert again.client.session_reused, "the ticket is good where it was issued"

    line = Line(sae_server(network), without, server_hostname="localhost", session=ticket)
    with contextlib.suppress(ssl.SSLError):  # the client learns it in its handshake in TLS 1.2, afterwards in 1.3
        line.handshake()
    with pytest.raises(tls.TlsRefusedError, match="no certificate"):
        line.server.do_handshake()


def test_a_session_of_the_standard_library_cannot_be_given_to_a_context(network: Network) -> None:
    with pytest.raises(ssl.SSLError):
        peer_client(network).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), session=object())  # type: ignore[arg-type]


def test_contexts_for_the_same_peer_share_connections_and_others_do_not(network: Network) -> None:
    client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
    assert client.expecting("urn:quiver:node:a") == client.expecting("urn:quiver:node:a")
    assert len({client.expecting("urn:quiver:node:a"), client.expecting("urn:quiver:node:c")}) == 2
    assert peer_client(network) != peer_client(network)


def test_self_test_passes_here_and_names_what_is_missing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    tls.self_test()
    lacking = replace(tls_policy.PEER_SERVER, groups="X25519MLKEM99999")
    monkeypatch.setattr(tls_selftest.tls_policy, "PEER_SERVER", lacking)
    with pytest.raises(ConfigurationError, match=r"X25519MLKEM99999.*OpenSSL 3\.5"):
        tls.self_test()


def test_self_test_notices_a_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quiver.net.tls_native.forbid_tickets", lambda _: None)
    with pytest.raises(ConfigurationError, match="session ticket"):
        tls.self_test()


def test_wrong_files_are_named(network: Network, tmp_path: Path) -> None:
    own, trust = network.get("node", "a"), network.lab.nodes_trust
    loose = tmp_path / "loose.key"
    loose.write_bytes(own.private_key.read_bytes())
    loose.chmod(0o644)
    nothing = tmp_path / "empty.pem"
    nothing.write_text("")
    locked = tmp_path / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    locked.chmod(0o600)
    for credentials, bundle, words in (
        (tls.Credentials(own.certificate, loose), trust, "loose.key.*chmod 600"),
        (tls.Credentials(own.certificate, locked), trust, "locked.key.*encrypted"),
        (tls.Credentials(own.certificate, tmp_path / "absent.key"), trust, "absent.key.*No such file"),
        (
            tls.Credentials(own.certificate, network.get("node", "b").private_key),
            trust,
            "not a PEM certificate and its",
        ),
        (own, nothing, "empty.pem.*not a PEM bundle"),
        (own, tmp_path / "absent.pem", "absent.pem.*No such file"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            tls.peer_server(credentials, bundle)
