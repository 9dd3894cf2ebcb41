"""What the demo writes is what agents, devices and controller read; the authorities' keys are nowhere."""

import socket
import stat
import tomllib
from pathlib import Path

import msgspec
import pytest

from quiver.agent.config import AgentConfig, read_agent
from quiver.agent.config_check import check
from quiver.client.operator import find_access
from quiver.controller.config import read_controller
from quiver.controller.config_check import check as check_controller
from quiver.demo.draw import draw_plan
from quiver.demo.places import Places
from quiver.demo.tables import to_toml
from quiver.demo.write import Installation
from quiver.net.ports import HOST, free_ports
from quiver.qkd.config import read_link

PLAN = draw_plan(3)
JOINING = PLAN.joining


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A network with its last node, as it is when that joins."""
    return installed(tmp_path_factory.mktemp("demo"))


def installed(root: Path) -> Installation:
    return Installation(PLAN, root, range(20_000, 20_000 + Places.needed(PLAN)))


@pytest.fixture(scope="module")
def joined(files: Installation) -> dict[str, tuple[AgentConfig, AgentConfig]]:
    """Node → its agent's configuration before and after."""
    before = {node: read_agent(path) for node, path in files.agents.items()}
    files.join()
    after = {node: read_agent(path) for node, path in files.agents.items()}
    return {node: (before[node], after[node]) for node in before}


def test_every_configuration_is_without_a_mistake(files: Installation):
    for node, path in files.agents.items():
        config = read_agent(path)
        assert config.node.id == node
        assert check(config) == []
    assert check_controller(read_controller(files.controller)) == []


def test_agents_know_no_path_and_no_node_but_their_neighbours(files: Installation):
    for node in PLAN.nodes:
        config = read_agent(files.agents[node])
        assert config.paths == ()
        assert set(PLAN.neighbours(node)) <= set(config.directory.nodes) <= {*PLAN.neighbours(node), JOINING.id}


def test_the_controller_knows_every_agent_and_demands_every_virtual_link(files: Installation):
    config = read_controller(files.controller)
    for agent in config.agents:
        own = read_agent(files.agents[agent.id])
        assert own.management is not None
        assert str(agent.tls) == str(own.management.tls_listen)
        assert str(agent.peer) == str(own.peer.listen)
    assert [agent.id for agent in config.agents] == list(PLAN.nodes)
    assert {(d.name, d.source, d.destination, d.depth) for d in config.demands} == {
        (d.name, d.source, d.destination, d.depth) for d in PLAN.demands
    }


def test_every_links_devices_and_channels_are_where_its_agents_look_for_them(files: Installation):
    for link in PLAN.links:
        config = read_link(files.links[link.id])
        assert config.profile == link.vendor
        for end, far in zip(config.ends, config.ends[::-1], strict=True):
            own = next(one for one in read_agent(files.agents[end.sae_id]).links if one.id == link.id)
            assert own.device.url == f"https://{end.host}:{end.port}"
            assert own.device.profile == link.vendor
            assert own.channel is not None
            assert end.channel is not None
            assert own.channel.port == end.channel.port
            assert end.channel.far_port == read_agent(files.agents[far.sae_id]).peer.listen.port


def test_a_node_that_joins_changes_its_neighbours_files_by_its_links_and_nobody_elses(
    joined: dict[str, tuple[AgentConfig, AgentConfig]],
):
    around = {end for link in JOINING.links for end in link.ends} - {JOINING.id}
    for node, (before, after) in joined.items():
        if node not in around:
            assert before == after
            continue
        (new,) = [link for link in after.links if link not in before.links]
        assert new.neighbour == JOINING.id
        left = msgspec.structs.replace(after, links=before.links, directory=before.directory)
        assert left == before
        assert set(after.directory.nodes) - set(before.directory.nodes) == {JOINING.id}


def test_the_sae_of_the_node_that_joins_stands_in_no_file(
    joined: dict[str, tuple[AgentConfig, AgentConfig]], files: Installation
):
    assert joined
    for path in (*files.agents.values(), files.controller):
        assert JOINING.pair.master not in path.read_text()


def test_an_operators_commands_find_the_controller(files: Installation):
    access = find_access(files.root)
    assert access.url == f"https://{read_controller(files.controller).northbound.listen}"
    assert all(Path(path).exists() for path in (access.certificate, access.private_key, *access.trust))


def test_no_port_is_given_twice(tmp_path: Path):
    places = installed(tmp_path).places
    addresses = [address for planes in (*places.planes.values(), places.controller) for address in planes.values()]
    ports = [int(address.rpartition(":")[2]) for address in addresses]
    ports += [*places.devices.values(), *places.channels.values()]
    assert len(set(ports)) == len(ports) == Places.needed(PLAN)


def test_no_authoritys_key_is_on_disk_and_no_key_may_be_read_by_others(files: Installation):
    keys = list((files.root / "pki").glob("*.key"))
    assert keys
    assert not [key for key in keys if key.stem.endswith("-ca")]
    assert all(stat.S_IMODE(key.stat().st_mode) & 0o077 == 0 for key in keys)


def test_toml_comes_back_as_it_was():
    tables = {
        "name": 'quotes " and \\ and a tab\t and ü',
        "level": 0.5,
        "on": True,
        "ends": [{"port": 1, "sub": {"a b": ["x", "y"]}}, {"port": 2, "sub": {}}],
        "directory": {"nodes": {"bob": "127.0.0.1:1"}, "pairs": [["a", "b"]], "empty": []},
        "management": {"users": [{"name": "olga", "keys": ["ssh-ed25519 AAAA"]}]},
    }
    assert tomllib.loads(to_toml(tables)) == tables


def test_ports_are_free_and_different():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.create_server((HOST, port)):
            pass


def test_ports_are_not_among_those_that_outgoing_connections_get():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 16_384:
        return  # no room below: any free port will do
    assert all(port < lowest for port in free_ports(5))
