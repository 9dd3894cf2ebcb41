"""Paths that move while keys flow, over real nodes: how fast, and that no master notices."""

from collections.abc import Callable

import pytest

from quiver.domain.device_watch import DeviceFacts
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.records import What
from tests.simulation.world import World

from .network import ManagedNetwork
from .run import check

RING = [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (3, 5)]  # n0 and n3 opposite each other, two ways between them
PLENTY = {"level": 64 * 1024, "rate": 20_000, "stock": 60_000}


def ring(seed: int = 1, *, depth: int = 0, edges=RING, paths: int = 1, excluded=(), **settings) -> ManagedNetwork:
    nodes = 1 + max(max(edge) for edge in edges)
    demand = Demand(name="v", source="n0", destination="n3", depth=depth, paths=paths, excluded=excluded)
    network = ManagedNetwork(World(seed), nodes, [demand], edges=edges, **PLENTY | settings)
    network.world.run(4.0)
    return network


def load(network: ManagedNetwork, seconds: float, every: float = 0.2) -> None:
    network.loaded_until = network.world.now() + seconds
    for turn in range(int(seconds / every)):
        network.world.after(turn * every, lambda: network.load.ask("sae-n0-0", "sae-n3-0"))


def failed(network: ManagedNetwork) -> list[str]:
    """Requests of the load that got no keys, after its end."""
    network.world.run(max(0.0, network.loaded_until - network.world.now()) + 2.5)
    return [f"{asked.time:.3f}: {asked.error}" for asked in network.load.asked if not asked.keys]


def credit_at(
    network: ManagedNetwork, begun: float, seconds: float, avoids: Callable[[tuple[str, ...]], bool]
) -> float:
    """Seconds until the source itself has credit on a route that avoids the fault."""
    source = network.sites["n0"]
    while network.world.now() < begun + seconds:
        network.world.run(0.01)
        for role in source.node.paths.sources.values():
            if role.credit and avoids(role.entry.nodes):
                return network.world.now() - begun
    return float("inf")


@pytest.mark.parametrize("depth", [0, 16 * 1024])
@pytest.mark.parametrize("seed", range(3))
def test_a_cut_is_over_within_a_second_and_no_request_fails(seed: int, depth: int) -> None:
    network = ring(seed, depth=depth)
    load(network, 6.0)
    network.world.run(2.0)
    cut = network.routes()["v"][1:3]
    network.cut_link(network.between(*cut))
    took = credit_at(network, network.world.now(), 4.0, lambda route: not set(cut) <= set(route))
    assert took <= 1.0
    assert not failed(network)
    (told,) = network.pilot.told("rerouted")
    assert told.about["cause"] == "link-down"
    assert told.seconds["credit"] < took
    assert not check(network)


@pytest.mark.parametrize("seed", range(2))
def test_a_dead_relay_is_left_within_three_seconds_and_no_request_fails(seed: int) -> None:
    network = ring(seed)
    load(network, 6.0)
    network.world.run(2.0)
    relay = network.routes()["v"][1]
    network.sites[relay].crash()
    took = credit_at(network, network.world.now(), 6.0, lambda route: relay not in route)
    assert took <= 3.0
    assert not failed(network)
    network.sites[relay].restart()
    network.world.run(10.0)
    assert not check(network)  # what the dead relay still held is swept


def test_a_quantum_channel_that_is_cut_alone_is_left_when_its_pad_runs_low() -> None:
    network = ring(stock=60_000)
    cut = network.routes()["v"][1:3]
    network.cut_link(network.between(*cut), whole=False)
    load(network, 5.0, every=1.0)
    network.world.run(5.0)
    assert set(cut) <= set(network.routes()["v"])  # stored pad is used first
    for turn in range(120):
        network.world.after(turn * 0.1, lambda: network.load.ask("sae-n0-0", "sae-n3-0", 1, 8192))
    network.world.run(16.0)
    assert not set(cut) <= set(network.routes()["v"])
    assert network.pilot.told("rerouted")[0].about["cause"] in ("device-fault", "pad-low")
    assert not failed(network)


def test_a_link_with_an_eavesdropper_is_left_though_it_works() -> None:
    network = ring()
    route = network.routes()["v"]
    link = network.between(*route[1:3])
    network.sites[route[1]].node.ends.devices.told(link, DeviceFacts(qber=0.12))
    network.world.run(3.0)
    assert not set(route[1:3]) <= set(network.routes()["v"])
    assert network.pilot.told("rerouted")[0].about["cause"] == "qber"


def test_a_controller_that_comes_while_an_alarm_about_errors_stands_leaves_that_link() -> None:
    network = ring()
    route = network.routes()["v"]
    network.pilot.crash()
    network.sites[route[1]].node.ends.devices.told(network.between(*route[1:3]), DeviceFacts(qber=0.12))
    network.world.run(1.0)
    network.pilot.start()
    network.world.run(6.0)
    assert not set(route[1:3]) <= set(network.routes()["v"])


@pytest.mark.parametrize("what", [What.NODE, What.LINK])
def test_a_drain_empties_a_node_or_link_before_anybody_touches_it(what: What) -> None:
    network = ring()
    load(network, 6.0)
    network.world.run(1.0)
    route = network.routes()["v"]
    name = route[1] if what is What.NODE else network.between(route[1], route[2])
    network.pilot.core.operator.drain(what, name)
    network.world.run(5.0)
    held = [entry for site in network.sites.values() for entry in site.provision.paths.values()]
    assert held
    assert not [entry.key for entry in held if route[1] in entry.nodes]
    assert not failed(network)


def test_disjoint_paths_stay_disjoint_when_one_of_them_moves() -> None:
    network = ring(edges=[*RING, (0, 6), (3, 6)], paths=2)
    before = [path.nodes for path in network.pilot.core.snapshot().paths]
    assert len(before) == 2
    cut = before[0][:2]
    network.cut_link(network.between(*cut))
    network.world.run(4.0)
    after = [path.nodes for path in network.pilot.core.snapshot().paths]
    assert not set(after[0][1:-1]) & set(after[1][1:-1])
    assert not any(set(cut) <= set(route) for route in after)
    assert not check(network)


def test_excluded_nodes_are_never_passed_even_where_no_other_way_is_left() -> None:
    network = ring(excluded=("n4",))
    assert network.routes()["v"] == ("n0", "n1", "n2", "n3")
    network.cut_link("l1-2")
    network.world.run(4.0)
    assert network.routes()["v"] == ("n0", "n1", "n2", "n3")
    assert network.pilot.told("unserved")
    network.heal_link("l1-2")
    network.world.run(4.0)
    assert not check(network)


def test_a_node_whose_policy_refuses_a_path_is_gone_round() -> None:
    demand = Demand(name="v", source="n0", destination="n3")
    network = ManagedNetwork(World(3), 6, [demand], edges=RING, **PLENTY)
    network.sites["n1"].excluded = frozenset({"n3"})  # its policy lets no path of the controller pass n3
    network.world.run(8.0)
    assert network.routes()["v"] == ("n0", "n4", "n5", "n3")
    assert not check(network)


def test_a_permitted_pair_that_asks_for_keys_gets_its_virtual_links_on_the_fly() -> None:
    network = ring()
    pair = frozenset({"sae-n1-0", "sae-n5-0"})
    network.permit(pair)
    asked = network.load.ask("sae-n1-0", "sae-n5-0")
    network.world.run(4.0)
    assert asked.keys, asked.error
    names = {demand.demand.name for demand in network.pilot.core.snapshot().demands}
    assert names == {"v", "auto:n1:n5", "auto:n5:n1"}


def test_without_its_controller_the_network_works_on_and_a_lost_database_costs_no_path() -> None:
    network = ring()
    load(network, 10.0)
    before = {name: site.provision.paths for name, site in network.sites.items()}
    network.pilot.crash()
    network.world.run(5.0)
    network.pilot.start(lost=True)
    network.world.run(10.0)
    assert {name: site.provision.paths for name, site in network.sites.items()} == before
    assert [demand.demand.origin for demand in network.pilot.core.snapshot().demands] == ["found"]
    assert not failed(network)
