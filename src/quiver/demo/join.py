"""A node joins while the network works: nothing that runs is started again."""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

import msgspec

from quiver.client.operator import OperatorClient
from quiver.demo.load import Ledger, Load, Tally
from quiver.demo.network import DemoNetwork
from quiver.demo.observer import Observer
from quiver.demo.operator import DemoOperator
from quiver.demo.victims import Nodes
from quiver.domain.errors import UnavailableError
from quiver.domain.network import PathEntry

__all__ = ["JoinResult", "join"]

_PATIENCE: Final = 30.0  # seconds for all of it
_MORE: Final = 9  # keys after the first


class JoinResult(msgspec.Struct, frozen=True, kw_only=True):
    """How it went; seconds since its processes were started.

    Attributes:
        node: that joined.
        links: that came with it.
        listening: until its agent and devices ran.
        linked: until it heard its neighbours and they heard it, along all its links.
        entered: until the operator had made it known to the controller, and its SAE to the nodes concerned.
        requested: when its SAE asked for the first key; nobody had asked for a path until then.
        first_key: until that key was at the other end of the network.
        route: of the path that the controller made for it.
        tally: of its keys.
    """

    node: str
    links: tuple[str, ...]
    listening: float
    linked: float
    entered: float
    requested: float
    first_key: float
    route: Nodes
    tally: Tally


async def join(
    network: DemoNetwork, observer: Observer, ledger: Ledger, *, size: int, say: Callable[[str], None]
) -> JoinResult:
    """Let the plan's last node join.

    Args:
        network: that runs.
        observer: that hears its agents.
        ledger: of the whole demo.
        size: bits of each key.
        say: gets a line about each step.

    Raises:
        UnavailableError: it takes too long.
        QuiverError: somebody does not do what is asked of it.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _join(network, observer, ledger, size=size, say=say)
    except TimeoutError:
        raise UnavailableError(f"{network.plan.joining.id} had not joined after {_PATIENCE:.0f} s") from None


async def _join(
    network: DemoNetwork, observer: Observer, ledger: Ledger, *, size: int, say: Callable[[str], None]
) -> JoinResult:
    started, files, node = perf_counter(), network.files, network.plan.joining
    links = tuple(link.id for link in node.links)
    files.join()
    await asyncio.gather(network.start_links(links), network.start_agents([node.id]))
    listening = perf_counter() - started
    for neighbour in {end for link in node.links for end in link.ends} - {node.id}:
        network.hang_up(neighbour)
    places = files.places.planes[node.id]
    async with OperatorClient(files.operator) as controller:
        operator = DemoOperator(files.identities, controller)
        await asyncio.gather(
            operator.announce(node.id, places["tls"], places["peer"]),
            *(
                operator.admit(network.agents[home], node.pair.homes, frozenset(node.pair.homes))
                for home in node.pair.homes.values()
            ),
            observer.watch({node.id: places["tls"]}),
        )
        await operator.known(node.id)
    entered = perf_counter() - started
    await observer.links_up(links)
    linked = perf_counter() - started
    say(f"{node.id} has joined with {len(links)} links; its SAE asks for a key")
    requested, tally = perf_counter() - started, Tally()
    first_key = await _keys(network, ledger, size, tally) - started
    return JoinResult(
        node=node.id,
        links=links,
        listening=listening,
        linked=linked,
        entered=entered,
        requested=requested,
        first_key=first_key,
        route=(await _path(network, observer)).nodes,
        tally=tally,
    )


async def _keys(network: DemoNetwork, ledger: Ledger, size: int, tally: Tally) -> float:
    """Some keys of the SAE at the new node; when the first one was at both ends (`perf_counter`)."""
    pair = network.plan.joining.pair
    async with (
        network.client(pair.master, post_quantum=pair.post_quantum) as master,
        network.client(pair.slave, post_quantum=pair.post_quantum) as slave,
    ):
        load = Load(master, slave, (pair.master, pair.slave), size=size, ledger=ledger)
        await load.warm()
        tally.add(await load.singles(1))
        first = perf_counter()
        tally.add(await load.singles(_MORE))
    return first


async def _path(network: DemoNetwork, observer: Observer) -> PathEntry:
    """The path that the controller has made for the new pair, as the new node holds it."""
    pair = network.plan.joining.pair
    report = await observer.report(pair.source)
    held = [
        entry for entry in report.configured if entry.destination == pair.destination and entry.source == pair.source
    ]
    if not held:
        raise UnavailableError(f"{pair.source} holds no path to {pair.destination}")
    return max(held, key=lambda entry: entry.version)
