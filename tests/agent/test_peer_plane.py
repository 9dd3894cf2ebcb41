"""The promises of the peer plane, over real TLS on loopback: who speaks is certain, and nobody's trouble is another's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import uvloop
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from quiver.agent.peer_client import PeerClient, PeerTimes
from quiver.agent.peer_plane import PeerPlane, Receive
from quiver.domain import limits
from quiver.domain.errors import RemoteError, StorageError
from quiver.domain.messages import ITEMS, Answer, Ciphertext, Floor, Gift, Header, Item, LinkBeat, Outcome
from quiver.domain.secret import Secret
from quiver.net import tls
from quiver.net.http_exchange import HttpAnswer, HttpRequest
from quiver.net.http_server import Handler, HttpServer
from quiver.protocols import etsi014, peer
from tests.net.conftest import Network
from tests.net.wire import run
from tests.protocols import peer_examples as examples

THEIR_HEADER = Header(incarnation="1a" * 16, run="2b" * 16, number=41, mac="3c" * 32)
OUR_HEADER = Header(incarnation="4d" * 16, run="5e" * 16, number=7, mac="6f" * 32, to_run="2b" * 16)
FLOOR = Floor(key="a-d/1/1", digest="70" * 32, floor=3, settled=900, closed=1000)
NODES = {"a", "b"}
ONCE = settings(phases=[Phase.generate], database=None, derandomize=True)


@dataclass
class Address:
    host: str
    port: int


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return Network(tmp_path_factory.mktemp("peers"))


@pytest.fixture(scope="module")
def samples() -> dict[str, tuple[Item, ...]]:
    """Two items of each kind."""
    made: dict[str, tuple[Item, ...]] = {}
    for kind, item in ITEMS.items():
        pair = st.tuples(examples.structs(item), examples.structs(item))
        made[kind] = find(pair, lambda both: both[0] != both[1] or not both[0].__struct_fields__, settings=ONCE)
    return made


def go(main: Awaitable[Any]) -> Any:
    return run(uvloop.new_event_loop, main)


async def done(sender: str, kind: str, header: Header, items: tuple[Item, ...]) -> tuple[Header, list[Answer]]:
    return THEIR_HEADER, [Answer(Outcome.DONE)] * len(items)


@contextlib.asynccontextmanager
async def node(network: Network, name: str, handler: Handler) -> AsyncIterator[Address]:
    context = tls.peer_server(network.get("node", name), network.lab.nodes_trust)
    server = HttpServer(handler, plane="peer", host="127.0.0.1", tls=context, body_limit=limits.PEER_BODY)
    await server.start()
    try:
        yield Address(*server.address)
    finally:
        await server.stop()


def client(network: Network, name: str, nodes: Mapping[str, Address], **options: Any) -> PeerClient:
    return PeerClient(tls.peer_client(network.get("node", name), network.lab.nodes_trust), nodes, **options)


@contextlib.asynccontextmanager
async def pair(network: Network, receive: Receive = done, **options: Any) -> AsyncIterator[PeerClient]:
    """Node b's client, and node a, which listens."""
    async with (
        node(network, "a", PeerPlane(receive, NODES)) as address,
        client(network, "b", {"a": address}, **options) as sender,
    ):
        yield sender


def test_messages_of_each_kind_and_their_answers_arrive(network: Network, samples: dict[str, tuple[Item, ...]]) -> None:
    heard: list[tuple[str, str, Header, tuple[Item, ...]]] = []
    answers = [Answer(Outcome.DONE), Answer(Outcome.REFUSED, "beyond the window")]

    async def receive(*message: Any) -> tuple[Header, list[Answer]]:
        heard.append(message)
        return THEIR_HEADER, answers

    async def main() -> None:
        async with pair(network, receive) as sender:
            for kind, items in samples.items():
                assert await sender.send("a", kind, OUR_HEADER, items) == (THEIR_HEADER, answers)

    go(main())
    assert heard == [("b", kind, OUR_HEADER, items) for kind, items in samples.items()]


def test_a_sender_is_whom_its_certificate_names(network: Network) -> None:
    senders: list[str] = []

    async def receive(sender: str, kind: str, *message: Any) -> tuple[Header, list[Answer]]:
        senders.append(sender)
        return THEIR_HEADER, [Answer(Outcome.DONE)]

    async def main() -> None:
        async with node(network, "a", PeerPlane(receive, {"a", "b", "c"})) as address:
            for name in ("b", "c"):
                context = tls.peer_client(network.get("node", name), network.lab.nodes_trust)
                connector = aiohttp.TCPConnector(ssl=context.expecting(tls.quiver_uri("node", "a")))
                async with aiohttp.ClientSession(connector=connector) as session:
                    headers = {"Content-Type": "application/json", "From": "a", "X-Forwarded-User": "a", "Node": "a"}
                    url = f"https://{address.host}:{address.port}/quiver/v1/floor"
                    body = peer.encode_message("floor", OUR_HEADER, [FLOOR])
                    async with session.post(url, data=body, headers=headers) as answer:
                        assert answer.status == 200

    go(main())
    assert senders == ["b", "c"]


def test_a_node_that_the_directory_does_not_have_is_refused(network: Network) -> None:
    heard: list[str] = []

    async def receive(sender: str, *message: Any) -> tuple[Header, list[Answer]]:
        heard.append(sender)
        return THEIR_HEADER, [Answer(Outcome.DONE)]

    async def main() -> None:
        nodes = {"a"}
        async with (
            node(network, "a", PeerPlane(receive, nodes)) as address,
            client(network, "b", {"a": address}) as sender,
        ):
            with capture_logs() as logs, pytest.raises(RemoteError, match="not in the directory") as refused:
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert refused.value.status == 403
            why = {"peer": "b", "reason": "not in the directory"}
            assert any(why.items() <= log.items() for log in logs)
            assert heard == []
            nodes.add("b")
            await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert heard == ["b"]

    go(main())


def test_what_is_no_message_is_answered_with_an_error_and_not_heard(network: Network) -> None:
    async def unheard(*message: Any) -> tuple[Header, list[Answer]]:
        raise AssertionError("the node heard it")

    async def main() -> None:
        context = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
        connector = aiohttp.TCPConnector(ssl=context.expecting(tls.quiver_uri("node", "a")))
        async with (
            node(network, "a", PeerPlane(unheard, NODES)) as address,
            aiohttp.ClientSession(f"https://{address.host}:{address.port}", connector=connector) as session,
        ):
            json = {"Content-Type": "application/json"}
            for verb, path, headers, body, status in (
                ("POST", "/quiver/v1/floor", json, b"{", 400),
                ("POST", "/quiver/v1/floor", json, b"{}", 400),
                ("POST", "/quiver/v1/nonsense", json, b"{}", 404),
                ("POST", "/", json, b"{}", 404),
                ("GET", "/quiver/v1/floor", {}, b"", 405),
                ("POST", "/quiver/v1/floor", {"Content-Type": "text/plain"}, b"{}", 415),
            ):
                async with session.request(verb, path, headers=headers, data=body) as answer:
                    assert answer.status == status
                    assert etsi014.decode_error(await answer.read()).message

    go(main())


def test_an_oversized_body_is_refused_with_413(network: Network) -> None:
    block = Ciphertext(
        key="a-d/1/1", digest="", sequence=1, start=0, length=0, floor=0, settled=0, ciphertext=Secret(bytes(1 << 20))
    )

    async def main() -> None:
        async with pair(network) as sender:
            header, answers = await sender.send("a", "ciphertext", OUR_HEADER, [block] * 2)
            assert (header, len(answers)) == (THEIR_HEADER, 2)
            with pytest.raises(RemoteError) as refused:
                await sender.send("a", "ciphertext", OUR_HEADER, [block] * 4)
            assert refused.value.status == 413

    go(main())


def test_what_a_node_cannot_do_now_reaches_the_sender_as_its_status(network: Network) -> None:
    async def full(*message: Any) -> tuple[Header, list[Answer]]:
        raise StorageError("the key database cannot be written")

    async def main() -> None:
        async with pair(network, full) as sender:
            with pytest.raises(RemoteError, match="cannot be written") as refused:
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert refused.value.status == 503

    go(main())


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (HttpAnswer(body=b"x" * 100), "not JSON"),
        (HttpAnswer(body=b"{" + b" " * limits.PEER_BODY), "at most"),
        (HttpAnswer(body=peer.encode_answers("floor", THEIR_HEADER, [])), "0 answers to 1 items"),
        (HttpAnswer(status=302, headers={"Location": "https://127.0.0.1:1/"}), "HTTP status 302"),
        (HttpAnswer(status=500, body=b'{"message":"a\\nb"}'), "HTTP status 500, it says: a b"),
    ],
    ids=["no json", "too long", "too few", "redirect", "error"],
)
def test_a_wrong_answer_is_a_remote_error_without_its_body(network: Network, answer: HttpAnswer, what: str) -> None:
    async def wrong(request: HttpRequest) -> HttpAnswer:
        return answer

    async def main() -> None:
        async with node(network, "a", wrong) as address, client(network, "b", {"a": address}) as sender:
            with pytest.raises(RemoteError, match=what) as refused:
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert refused.value.status == answer.status
            assert "xxx" not in refused.value.message

    go(main())


def test_another_node_at_the_peers_address_is_refused_in_the_handshake(network: Network) -> None:
    async def main() -> None:
        async with (
            node(network, "b", PeerPlane(done, NODES)) as address,
            client(network, "b", {"a": address}) as sender,
        ):
            with pytest.raises(RemoteError, match="wrong name") as refused:
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert refused.value.status == 0

    go(main())


def test_a_peer_that_is_dead_or_unknown_is_a_remote_error(network: Network) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]  # free again when the listener is closed
        async with client(network, "b", {"a": Address("127.0.0.1", port)}) as sender:
            with pytest.raises(RemoteError, match="floor to a") as refused:
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert refused.value.status == 0
            with pytest.raises(RemoteError, match="c is not in the directory"):
                await sender.send("c", "floor", OUR_HEADER, [FLOOR])

    go(main())


def test_a_peer_that_never_answers_holds_up_nobody_else(network: Network) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody speaks TLS
            async with node(network, "a", PeerPlane(done, NODES)) as address:
                nodes = {"a": address, "c": Address("127.0.0.1", silent.getsockname()[1])}
                async with client(network, "b", nodes) as sender:
                    waiting = [asyncio.create_task(sender.send("c", "floor", OUR_HEADER, [FLOOR])) for _ in range(8)]
                    for _ in range(4):
                        await sender.send("a", "floor", OUR_HEADER, [FLOOR])
                    assert not any(task.done() for task in waiting)
                    for task in waiting:
                        task.cancel()
                    await asyncio.gather(*waiting, return_exceptions=True)
                async with client(network, "b", nodes, times=PeerTimes(connect=0.05, answer=0.2)) as hasty:
                    with pytest.raises(RemoteError, match="no answer in time"):
                        await hasty.send("c", "floor", OUR_HEADER, [FLOOR])

    go(main())


def test_opposite_load_never_stalls_on_two_connections_each_way(network: Network) -> None:
    """Each side answers only after a pause, as for a commit, and both send more than they have connections."""
    connections: dict[str, set[int]] = {"a": set(), "b": set()}

    async def receive(*message: Any) -> tuple[Header, list[Answer]]:
        for _ in range(20):
            await asyncio.sleep(0)
        return await done(*message)

    def counting(name: str) -> Handler:
        plane = PeerPlane(receive, NODES)

        async def handle(request: HttpRequest) -> HttpAnswer:
            assert request.facts is not None
            connections[name].add(id(request.facts))
            return await plane(request)

        return handle

    async def main() -> None:
        async with node(network, "a", counting("a")) as at_a, node(network, "b", counting("b")) as at_b:
            nodes = {"a": at_a, "b": at_b}
            async with client(network, "a", nodes) as of_a, client(network, "b", nodes) as of_b:
                calls = [of_a.send("b", "floor", OUR_HEADER, [FLOOR] * 8) for _ in range(60)]
                calls += [of_b.send("a", "floor", OUR_HEADER, [FLOOR] * 8) for _ in range(60)]
                assert {len(answers) for _, answers in await asyncio.gather(*calls)} == {8}

    go(main())
    assert {len(seen) for seen in connections.values()} == {limits.PEER_CONNECTIONS}


@pytest.mark.parametrize(("age", "connections"), [(limits.CONNECTION_AGE, 1), (0.0, 3)])
def test_connections_are_kept_until_they_are_old(network: Network, age: float, connections: int) -> None:
    seen = []
    plane = PeerPlane(done, NODES)

    async def handle(request: HttpRequest) -> HttpAnswer:
        seen.append(request.facts)
        return await plane(request)

    async def main() -> None:
        times = PeerTimes(age=age)
        async with node(network, "a", handle) as at_a, client(network, "b", {"a": at_a}, times=times) as sender:
            for _ in range(3):
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])

    go(main())
    assert len({id(facts) for facts in seen}) == connections


def test_a_call_under_way_survives_that_its_connection_has_become_old(network: Network) -> None:
    arrived, later = asyncio.Event(), asyncio.Event()

    async def receive(sender: str, kind: str, *message: Any) -> tuple[Header, list[Answer]]:
        if kind == "floor":
            arrived.set()
            await later.wait()
        return THEIR_HEADER, [Answer(Outcome.DONE)]

    async def main() -> None:
        async with pair(network, receive, times=PeerTimes(age=0.0)) as sender:
            first = asyncio.create_task(sender.send("a", "floor", OUR_HEADER, [FLOOR]))
            await arrived.wait()
            await sender.send("a", "heartbeat", OUR_HEADER, [ITEMS["heartbeat"]()])
            later.set()
            await sender.send("a", "heartbeat", OUR_HEADER, [ITEMS["heartbeat"]()])
            assert (await first)[1] == [Answer(Outcome.DONE)]

    go(main())


def test_messages_leave_from_the_planes_own_address(network: Network) -> None:
    async def main() -> None:
        sources: list[str] = []

        async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            sources.append(writer.get_extra_info("peername")[0])
            writer.close()

        server = await asyncio.start_server(handshake, "127.0.0.1", 0)
        nodes = {"a": Address(*server.sockets[0].getsockname()[:2])}
        async with client(network, "b", nodes, source="127.0.0.9") as sender:
            with pytest.raises(RemoteError):
                await sender.send("a", "floor", OUR_HEADER, [FLOOR])
        server.close()
        await server.wait_closed()
        assert sources == ["127.0.0.9"]

    go(main())


# --- links ------------------------------------------------------------------------------------------------------------

BEAT = LinkBeat(link="a-b")


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[Address]:
    """A place that takes connections and never says a word, as behind a cut that nobody announces."""
    held: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield Address(*server.sockets[0].getsockname())
    finally:
        server.close()
        for writer in held:
            writer.close()


def test_what_concerns_a_link_goes_to_its_channel_and_the_rest_to_the_nodes_own_address(network: Network) -> None:
    heard: list[tuple[str, str]] = []

    def place(name: str) -> Receive:
        async def receive(
            sender: str, kind: str, header: Header, items: tuple[Item, ...]
        ) -> tuple[Header, list[Answer]]:
            heard.append((name, kind))
            return await done(sender, kind, header, items)

        return receive

    async def main() -> None:
        async with (
            node(network, "a", PeerPlane(place("own"), NODES)) as own,
            node(network, "a", PeerPlane(place("channel"), NODES)) as channel,
            client(network, "b", {"a": own}, channels={"a-b": channel}) as sender,
        ):
            await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            await sender.send("a", "gift", OUR_HEADER, [Gift(segment="70" * 16)], "a-b")
            await sender.send("a", "beat", OUR_HEADER, [BEAT], "a-b")
            await sender.send("a", "gift", OUR_HEADER, [Gift(segment="70" * 16)], "a-b-2")  # which has no channel

    go(main())
    assert heard == [("own", "floor"), ("channel", "gift"), ("channel", "beat"), ("own", "gift")]


def test_a_channel_is_the_neighbours_by_its_certificate_whatever_its_address(network: Network) -> None:
    async def main() -> None:
        async with (
            node(network, "b", PeerPlane(done, NODES)) as stranger,
            client(network, "b", {"a": stranger}, channels={"a-b": stranger}) as sender,
        ):
            with pytest.raises(RemoteError, match="wrong name"):
                await sender.send("a", "beat", OUR_HEADER, [BEAT], "a-b")

    go(main())


def test_what_hangs_on_a_dead_channel_holds_nothing_else_up_and_fails_when_the_link_is_given_up(
    network: Network,
) -> None:
    async def main() -> None:
        async with (
            node(network, "a", PeerPlane(done, NODES)) as own,
            black_hole() as channel,
            client(
                network, "b", {"a": own}, channels={"a-b": channel}, times=PeerTimes(answer=300, beat=300)
            ) as sender,
        ):
            gift = [Gift(segment="70" * 16)]
            calls = [asyncio.create_task(sender.send("a", "gift", OUR_HEADER, gift, "a-b")) for _ in range(5)]
            calls.append(asyncio.create_task(sender.send("a", "beat", OUR_HEADER, [BEAT], "a-b")))
            await sender.send("a", "floor", OUR_HEADER, [FLOOR])
            assert not any(call.done() for call in calls)
            async with asyncio.timeout(30):
                await sender.drop("a", "a-b")
                failures = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(failure, RemoteError) for failure in failures), failures

    go(main())


def test_a_link_that_is_back_is_reached_anew(network: Network) -> None:
    async def main() -> None:
        channels: dict[str, Address] = {}
        async with (
            node(network, "a", PeerPlane(done, NODES)) as own,
            client(network, "b", {"a": own}, channels=channels) as sender,
        ):
            async with black_hole() as channel:
                channels["a-b"] = channel
                beat = asyncio.create_task(sender.send("a", "beat", OUR_HEADER, [BEAT], "a-b"))
                await asyncio.sleep(0)
                await sender.drop("a", "a-b")
                with pytest.raises(RemoteError):
                    await beat
            channels["a-b"] = own
            assert (await sender.send("a", "beat", OUR_HEADER, [BEAT], "a-b"))[0] == THEIR_HEADER

    go(main())
