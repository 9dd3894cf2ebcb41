"""Networks have the figures that are published of real ones, and are the same each time."""

import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.simulate.networks import SimulatedNetwork, network_named


def matrix(network: SimulatedNetwork) -> csr_array:
    shape = network.graph().shape
    ends = ([one for one, _ in shape.hops], [other for _, other in shape.hops])
    return csr_array(([1] * len(shape.hops), ends), shape=(len(shape.nodes),) * 2)


def test_the_backbone_has_the_published_figures_of_the_largest_network():
    network = network_named("backbone-145")
    nodes = {end for span in network.spans for end in (span.one, span.other)}
    assert len(nodes) == 145
    assert len([node for node in nodes if node.startswith("relay")]) == 104
    assert len(network.spans) == 144
    assert len(network.users) == 20
    assert sum(span.km for span in network.spans) == pytest.approx(10_103, abs=5)
    assert connected_components(matrix(network))[0] == 1, "144 links between 145 connected nodes are a tree"


@pytest.mark.parametrize(
    ("name", "nodes", "links"), [("backbone-145+12", 145, 156), ("mesh-145", 145, 218), ("mesh-1000", 1000, 1500)]
)
def test_other_networks_are_connected_and_have_ways_round(name: str, nodes: int, links: int):
    network = network_named(name)
    assert (len(network.graph().nodes), len(network.spans)) == (nodes, links)
    assert connected_components(matrix(network))[0] == 1
    assert min(span.rate for span in network.spans) > 10_000, "a link that makes no key is none"
    assert 40 < sum(span.km for span in network.spans) / links < 80


@pytest.mark.parametrize("name", ["backbone-145", "backbone-145+12"])
def test_no_two_users_of_the_backbone_are_farther_apart_than_a_path_entry_can_say(name: str):
    network = network_named(name)
    shape = network.graph().shape
    users = [shape.node(user) for user in network.users]
    assert (
        dijkstra(matrix(network), directed=False, unweighted=True, indices=users)[:, users].max()
        < limits.NODES_PER_PATH
    )


@pytest.mark.parametrize("name", ["", "backbone", "mesh", "mesh-9", "mesh-x", "mesh-100001", "mesh--50"])
def test_an_unknown_network_is_an_error_that_lists_those_there_are(name: str):
    with pytest.raises(ConfigurationError, match=r"backbone-145\+12.*mesh-N"):
        network_named(name)
