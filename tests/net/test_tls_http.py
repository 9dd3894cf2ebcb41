"""aiohttp's server and client over the adapter."""

import aiohttp
import pytest
from aiohttp import web

from quiver.net import tls
from tests.net.conftest import Network
from tests.net.test_tls_refusals import peer_server, sae_server
from tests.net.wire import LoopFactory, run


def test_aiohttp_round_trips_on_one_connection_and_knows_its_peer(network: Network, loop_factory: LoopFactory) -> None:
    body = bytes(range(256)) * 2_000

    async def main() -> None:
        transports = set()

        async def echo(request: web.Request) -> web.Response:
            facts = tls.peer_facts(request.transport)
            assert facts is not None
            transports.add(id(request.transport))
            return web.Response(body=await request.read(), headers={"Caller": facts.names.node or ""})

        application = web.Application(client_max_size=1 << 20)
        application.router.add_post("/echo", echo)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=peer_server(network))
        await site.start()
        port = runner.addresses[0][1]
        client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                context = client.expecting(tls.quiver_uri("node", "a"))
                async with session.post(f"https://127.0.0.1:{port}/echo", data=body, ssl=context) as response:
                    assert await response.read() == body
                    assert response.headers["Caller"] == "b"
            assert len(transports) == 1, "the connection is kept for the next request"
            with pytest.raises(aiohttp.ClientConnectorError) as failed:
                await session.post(f"https://127.0.0.1:{port}/echo", ssl=client.expecting(tls.quiver_uri("node", "c")))
            refusal = tls.refusal_in(failed.value)
            assert refusal is not None
            assert "wrong name" in refusal.message
        await runner.cleanup()

    run(loop_factory, main())


def test_aiohttp_tells_a_refused_client_why(network: Network, stranger: Network, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        runner = web.AppRunner(web.Application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=peer_server(network)).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
        outsider = tls.peer_client(stranger.get("node", "b"), network.lab.nodes_trust)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError) as failed:
                await session.get(url, ssl=outsider.expecting(tls.quiver_uri("node", "a")))
            refusal = tls.refusal_in(failed.value)
            assert refusal is not None
            assert "CA that it does not trust" in refusal.message
        await runner.cleanup()

    run(loop_factory, main())


def test_an_sae_expects_the_host_of_the_url(network: Network, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        runner = web.AppRunner(web.Application())
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=sae_server(network)).start()
        port = runner.addresses[0][1]
        for profile in ("sae", "sae-pq"):
            client = tls.sae_client(network.get(profile, "x"), network.lab.saes_trust)
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client)) as session:
                for host in ("127.0.0.1", "localhost"):
                    async with session.get(f"https://{host}:{port}/") as response:
                        assert response.status == 404
        await runner.cleanup()

    run(loop_factory, main())
