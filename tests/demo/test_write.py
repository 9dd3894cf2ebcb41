"""What the demo writes is what agents and devices read; the authorities' keys are nowhere."""

import socket
import stat
import tomllib
from pathlib import Path

import pytest

from quiver.agent.config import read_agent
from quiver.agent.config_check import check
from quiver.demo.plan import draw_plan
from quiver.demo.write import Installation, install, ports_needed, to_toml
from quiver.net.ports import HOST, free_ports
from quiver.qkd.config import read_link

PLAN = draw_plan(3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    ports = range(20_000, 20_000 + ports_needed(PLAN))
    return install(PLAN, tmp_path_factory.mktemp("demo"), ports)


def test_every_agents_configuration_is_without_a_mistake(files: Installation):
    for node, path in files.agents.items():
        config = read_agent(path)
        assert config.node.id == node
        assert check(config) == []


def test_every_path_is_the_same_entry_at_each_of_its_nodes(files: Installation):
    known = {node: {entry.key: entry.digest for entry in read_agent(path).paths} for node, path in files.agents.items()}
    for entry in PLAN.paths:
        assert {known[node].get(entry.key) for node in entry.nodes} == {entry.digest}
        assert all(entry.key not in known[node] for node in PLAN.nodes if node not in entry.nodes)


def test_every_links_devices_are_where_its_agents_look_for_them(files: Installation):
    for link in PLAN.links:
        config = read_link(files.links[link.id])
        for end in config.ends:
            agent = read_agent(files.agents[end.sae_id])
            device = next(one.device for one in agent.links if one.id == link.id)
            assert device.url == f"https://{end.host}:{end.port}"
            assert device.profile == config.profile == link.vendor


def test_no_port_is_given_twice(files: Installation):
    ports = [end.port for path in files.links.values() for end in read_link(path).ends]
    for path in files.agents.values():
        agent = read_agent(path)
        assert agent.metrics is not None
        ports += [agent.peer.listen.port, agent.sae.listen.port, agent.metrics.listen.port]
    assert len(set(ports)) == len(ports) == ports_needed(PLAN)


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
