"""The channel between the two ends of a tunnel: who does not get in, and what is answered to whom does."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.domain import limits
from quiver.domain.rollover.losses import Packets
from quiver.domain.rollover.responder import Answer, Ask
from quiver.domain.rollover.steps import Outcome
from quiver.identity.lab import Lab
from quiver.net import tls, tls_policy
from quiver.net.http_client import CallError, HttpClient
from quiver.net.tls import make_context, quiver_uri
from quiver.protocols import rollover
from quiver.protocols.rollover import RolloverAnswer
from tests.consume.ground import issued, run
from tests.consume.partner_ground import HERE, THERE, asking, partner, visit


def sending(
    context: ssl.SSLContext, body: bytes, verb: str = "POST", path: str = rollover.PATH
) -> Callable[[int], Awaitable[tuple[int, bytes]]]:
    async def call(port: int) -> tuple[int, bytes]:
        client = HttpClient(f"https://127.0.0.1:{port}", tls=context, body_limit=limits.ROLLOVER_BODY)
        try:
            return await client.call(verb, path, body)
        finally:
            await client.close()

    return call


def context_of(lab: Lab) -> ssl.SSLContext:
    credentials = issued(lab, "sae-partner", HERE)
    return tls.partner_client(credentials, [lab.saes_trust[1]]).expecting(quiver_uri("sae", THERE))


def handshakes(logs: list[Any], side: str = "server") -> list[str]:
    return [one["reason"] for one in logs if one["event"] == "handshake refused" and one["side"] == side]


@pytest.mark.parametrize(
    ("answer", "ask", "outcome"),
    [
        (Answer.DONE, Ask.OFFER, Outcome.DONE),
        (Answer.REFUSED, Ask.OFFER, Outcome.REFUSED),
        (Answer.NOT_YET, Ask.PROVE, Outcome.NOT_YET),
        (Answer.NOT_YET, Ask.OFFER, Outcome.LOST),  # the table of steps knows no such outcome
    ],
)
def test_the_partner_is_heard_and_answers(lab: Lab, answer: Answer, ask: Ask, outcome: Outcome) -> None:
    got, taken, logs = visit(lab, asking(lab, ask), answer)
    assert got is outcome
    assert taken == [(ask, "k1")]
    assert handshakes(logs) == []


def test_a_greeting_may_come_without_a_key(lab: Lab) -> None:
    got, taken, _ = visit(lab, asking(lab, Ask.GREET, None))
    assert (got, taken) == (Outcome.DONE, [(Ask.GREET, None)])


@pytest.mark.parametrize(("ask", "told"), [(Ask.SETTLE, Packets(received=7, sent=9)), (Ask.PROVE, None)])
def test_the_answer_to_a_settled_key_says_what_the_tunnel_has_carried(lab: Lab, ask: Ask, told: Packets | None) -> None:
    async def call(port: int) -> Packets | None:
        own = partner(lab, port)
        try:
            await own.ask(ask, "k1")
            return own.packets
        finally:
            await own.close()

    got, _, _ = visit(lab, call)
    assert got == told


def test_an_sae_that_is_not_the_partner(lab: Lab) -> None:
    got, taken, logs = visit(lab, asking(lab, sae="gateway-9"))
    assert (got, taken) == (Outcome.UNREACHED, []), "a new round would not make it another SAE"
    (said,) = [one for one in logs if one["event"] == "call refused"]
    assert (said["caller"], said["log_level"]) == ("gateway-9", "warning")


def test_a_certificate_of_the_partner_that_is_for_calls_alone_may_call(lab: Lab) -> None:
    got, _, _ = visit(lab, asking(lab, profile="sae-pq"))
    assert got is Outcome.DONE


@pytest.mark.parametrize(
    ("profile", "identity", "word"),
    [
        ("kme-pq", "kme-a", "usage"),
        ("node", "node-a", "other CA"),
        ("operator", "olga", "other CA"),
    ],
)
def test_certificates_of_other_roles_are_refused_in_the_handshake(
    lab: Lab, profile: str, identity: str, word: str
) -> None:
    got, taken, logs = visit(lab, asking(lab, profile=profile, sae=identity))
    assert (got, taken) == (Outcome.UNREACHED, [])
    (reason,) = handshakes(logs)
    assert word in reason


def test_no_certificate(lab: Lab) -> None:
    context = make_context(tls_policy.PARTNER_CLIENT, [], [lab.saes_trust[1]]).expecting(quiver_uri("sae", THERE))
    _refused(lab, context, "no certificate")


def test_a_classical_certificate(lab: Lab) -> None:
    credentials = issued(lab, "sae", HERE)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own.load_cert_chain(credentials.certificate, credentials.private_key)
    own.load_verify_locations(lab.saes_trust[0])
    own.check_hostname = False
    own.verify_mode = ssl.CERT_NONE
    _refused(lab, own, "")


def _refused(lab: Lab, context: ssl.SSLContext, word: str) -> None:
    async def call(port: int) -> CallError:
        with pytest.raises(CallError) as caught:
            await sending(context, b"{}")(port)
        return caught.value

    _, taken, logs = visit(lab, call)
    assert taken == []
    (reason,) = handshakes(logs)
    assert word in reason


@pytest.mark.parametrize(
    ("profile", "identity"), [("sae-partner", "gateway-9"), ("sae-pq", THERE), ("kme-pq", "kme-b"), ("node", "node-b")]
)
def test_a_listener_that_is_not_the_partner_is_not_spoken_to(lab: Lab, profile: str, identity: str) -> None:
    """Who took the partner's address has a certificate of another name, or one that is for no server."""

    async def main() -> Outcome:
        server = await asyncio.start_server(
            lambda _reader, writer: writer.close(),
            "127.0.0.1",
            0,
            ssl=make_context(
                tls_policy.PARTNER_SERVER, [issued(lab, profile, identity)], [lab.nodes_trust, lab.saes_trust[1]]
            ),
        )
        try:
            return await asking(lab)(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()

    with capture_logs() as logs:
        assert run(main()) is Outcome.UNREACHED
    assert len(handshakes(list(logs), "client")) == 1
    assert [one["event"] for one in logs if one["log_level"] == "warning"].count("the partner does not answer") == 1


def test_an_end_of_another_kind_is_told_so_and_costs_no_keys(lab: Lab) -> None:
    got, taken, logs = visit(lab, asking(lab, Ask.GREET, None, kind="exec"))
    assert (got, taken) == (Outcome.UNREACHED, []), (
        "REFUSED would begin a round, with a key of its own, again and again"
    )
    (said,) = [one for one in logs if one["event"] == "the partner answered something wrong"]
    assert "400" in said["reason"]
    assert "kind: this end of the tunnel is of kind wireguard" in said["reason"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\0\xff garbage", 400),
        (b"", 400),
        (b"[]", 400),
        (b'{"ask": "offer", "kind": "wireguard"}', 400),  # without key_ID
        (b'{"ask": "explode", "kind": "wireguard", "key_ID": "k1"}', 400),
        (b'{"ask": "offer", "kind": "wireguard", "key_ID": "k1", "key": "c2VjcmV0"}', 400),
        (b'{"ask": "offer", "kind": "wireguard", "key_ID": "' + b"k" * 129 + b'"}', 400),
        (b'{"ask": "offer", "kind": "exec", "key_ID": "k1"}', 400),
        (b" " * (limits.ROLLOVER_BODY + 1), 413),
    ],
)
def test_what_is_no_message_is_refused(lab: Lab, body: bytes, status: int) -> None:
    (got, _), taken, _ = visit(lab, sending(context_of(lab), body))
    assert (got, taken) == (status, [])


@pytest.mark.parametrize(("verb", "path", "status"), [("GET", rollover.PATH, 405), ("POST", "/rollover/v2", 404)])
def test_other_verbs_and_paths_are_refused(lab: Lab, verb: str, path: str, status: int) -> None:
    (got, _), taken, _ = visit(lab, sending(context_of(lab), b"{}", verb, path))
    assert (got, taken) == (status, [])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"null",
        b'{"answer": "perhaps"}',
        b'{"answer": "done", "packets": [-1, 0]}',
        b"x" * (limits.ROLLOVER_BODY + 1),
    ],
)
def test_an_answer_that_is_none_ends_the_round_and_not_the_consumer(lab: Lab, said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
        await writer.drain()
        writer.close()

    async def main() -> Outcome:
        context = tls.partner_server(issued(lab, "sae-partner", THERE), [lab.saes_trust[1]])
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        try:
            return await asking(lab)(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()

    assert run(main()) is Outcome.LOST


@pytest.mark.parametrize("requests", [0, 1])
def test_an_answer_that_is_cut_off_may_have_been_carried_out(lab: Lab, requests: int) -> None:
    """LOST, not UNREACHED: the partner may have switched. Also where an earlier request left the connection open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = rollover.encode(RolloverAnswer(answer=Answer.DONE))
        for _ in range(requests):
            await read(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await read(reader)
        writer.close()

    async def read(reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [int(line.split()[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")]
        await reader.readexactly(length)

    async def main() -> list[Outcome]:
        context = tls.partner_server(issued(lab, "sae-partner", THERE), [lab.saes_trust[1]])
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        own = partner(lab, server.sockets[0].getsockname()[1])
        try:
            return [await own.ask(Ask.TURN, "k1") for _ in range(requests + 1)]
        finally:
            await own.close()
            server.close()
            await server.wait_closed()

    assert run(main()) == [Outcome.DONE] * requests + [Outcome.LOST]


def test_a_partner_that_takes_no_connection_was_not_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port takes connections, and nobody speaks TLS there: nothing was sent."""
    monkeypatch.setattr("quiver.consume.partner._CONNECT", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> Outcome:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            return await asking(lab)(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            await server.wait_closed()

    assert run(main()) is Outcome.UNREACHED


def test_nobody_listens(lab: Lab, tmp_path: Path) -> None:
    del tmp_path
    with capture_logs() as logs:
        assert run(asking(lab)(1)) is Outcome.UNREACHED
    assert [one["event"] for one in logs] == ["the partner does not answer"]
