"""An agent's configuration: what is right is read, what is wrong is named in one line."""

from pathlib import Path

import pytest

from quiver.agent.config import AgentConfig, parse_agent, read_agent
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.network import LinkEntry
from quiver.qkd.profiles import Dialect, profile_named
from tests.agent.configs import AGENT


def changed(old: str, new: str) -> AgentConfig:
    assert old in AGENT
    return parse_agent(AGENT.replace(old, new, 1), Path("/etc/quiver"))


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(AGENT.replace('"nodes-ca.pem"', '"/ca/nodes.pem"'))
    config = read_agent(tmp_path / "agent.toml")
    assert config.database == tmp_path / "state" / "keys.sqlite"
    assert config.mac_key == tmp_path / "state" / "identity.key"
    assert config.peer.credentials.private_key == tmp_path / "node-alice.key"
    assert config.peer.trust == Path("/ca/nodes.pem")
    assert config.sae.trust == (tmp_path / "saes-ca.pem", tmp_path / "saes-pq-ca.pem")


def test_addresses_know_host_and_port() -> None:
    config = changed("source", "source")
    assert (config.sae.listen.host, config.sae.listen.port) == ("::1", 8444)
    assert {node: (place.host, place.port) for node, place in config.directory.nodes.items()} == {
        "bob": ("127.0.0.1", 9443),
        "carol": ("carol.example", 9444),
        "dave": ("::1", 9445),
    }
    assert config.peer.source == "127.0.0.1"
    assert config.device.source is None


def test_the_node_gets_the_network_as_the_file_says_it() -> None:
    network = changed("source", "source").network()
    assert network.node == "alice"
    assert network.links == (
        LinkEntry(id="a-b", neighbour="bob", level=65_536),
        LinkEntry(id="a-d", neighbour="dave", level=limits.PAD_LEVEL, collect=False),
    )
    assert [entry.key for entry in network.paths] == ["alice-carol/1/2", "dave-alice/1/1"]
    assert (network.paths[0].depth, network.paths[0].priority, network.paths[1].depth) == (262_144, 3, 0)
    assert network.directory.homes == {"sae-1": "alice", "sae-2": "carol"}
    assert network.directory.permits("sae-2", "sae-1")
    assert network.wait == limits.DELIVERY_WAIT


def test_a_vendor_speaks_its_dialect_and_others_the_standard() -> None:
    vendor, other = changed("source", "source").links
    assert vendor.device.dialect == profile_named("birch").dialect
    assert other.device.dialect == Dialect()


def test_what_may_be_left_out_has_a_default() -> None:
    config = changed('[metrics]\nlisten = "127.0.0.1:9100"\n', "")
    assert (config.metrics, config.log.level, config.delivery.wait) == (None, "INFO", 2.0)


def test_a_node_for_post_quantum_saes_only_needs_no_classical_certificate() -> None:
    lines = 'certificate = "kme-alice.pem"\nprivate_key = "kme-alice.key"\n'
    assert changed(lines, "require_pq = true\n").sae.classical is None
    assert changed("[metrics]", "[delivery]\nwait = 0\n[metrics]").network().wait == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[node]", "nodes = 1\n[node]", "unknown field `nodes`; allowed are node, peer, sae, device, metrics"),
        ('source = "127.0.0.1"', "sauce = 1", "peer: .*unknown field `sauce`; allowed are listen, source, certificate"),
        ("priority", "prio", r"paths\[0\]: .*`prio`; allowed are virtual_link, path, version, nodes, depth"),
        ('peer_sae_id = "dave"', 'peer = "dave"', r"links\[1\].device: .*`peer`.*allowed are url, peer_sae_id"),
        ('id = "alice"', "", "node: .*missing required field `id`"),
        ('id = "alice"', "id = 7", r"node\.id: Expected `str`, got `int`"),
        ('id = "alice"', 'id = ""', r"node\.id: '' is not allowed; an id has 1 to 128"),
        ('"state"', '""', r"node\.state: Expected a text that is not empty"),
        ("127.0.0.1:8443", "127.0.0.1", r"peer\.listen: '127.0.0.1' is not allowed; HOST:PORT or \[IPv6\]:PORT is"),
        ("127.0.0.1:8443", "localhost:8443", r"peer\.listen: 'localhost:8443' .*an IPv4 or IPv6 address is"),
        ("127.0.0.1:8443", "127.0.0.1:65536", r"peer\.listen: .*a port of 0 to 65535"),
        ("[::1]:8444", "[127.0.0.1]:8444", r"sae\.listen: .* is not allowed; HOST:PORT"),
        ("[::1]:8444", "::1:8444", r"sae\.listen: '::1:8444' is not allowed"),
        ("[::1]:8444", "[::g]:8444", r"sae\.listen: .* between \[ and \] an IPv6 address is"),
        ('source = "127.0.0.1"', 'source = "eth0"', r"peer\.source: 'eth0' is not allowed; an IPv4 or IPv6 address"),
        ("127.0.0.1:9443", "127.0.0.1:0", r"directory\.nodes\[...\]: '127.0.0.1:0' .*a port of 1 to 65535"),
        ('trust = ["saes-ca.pem", "saes-pq-ca.pem"]', "trust = []", r"sae\.trust: .*length >= 1"),
        ('certificate = "kme-alice.pem"', "", "sae: certificate and private_key belong together"),
        (
            'certificate = "kme-alice.pem"\nprivate_key = "kme-alice.key"',
            "",
            r"sae\.certificate: missing; only with require_pq = true",
        ),
        ("[metrics]", "[delivery]\nwait = 61\n[metrics]", r"delivery\.wait: .*<= 60"),
        ("[metrics]", "[delivery]\nwait = -1\n[metrics]", r"delivery\.wait: .*>= 0"),
        ("[metrics]", "[delivery]\nwait = nan\n[metrics]", r"delivery\.wait"),
        (
            "[metrics]",
            "[log]\nlevel = 'LOUD'\n[metrics]",
            r"log\.level: .*'LOUD'; allowed are DEBUG, INFO, WARNING, ERROR",
        ),
        ("level = 65536", "level = 1", r"links\[0\]\.level: .*>= 4096"),
        ("level = 65536", "level = 1_000_000_000", r"links\[0\]\.level: .*<= 8388608"),
        ('id = "a-d"', 'id = "a-b"', r"links\[1\]\.id: 'a-b' is named twice"),
        ('id = "a-d"', 'id = "a/d"', r"links\[1\]\.id: 1 to 64 letters"),
        ('neighbour = "dave"', 'neighbour = "alice"', r"links\[1\]\.neighbour: the node at the other end"),
        ('"birch"', '"oak"', r"links\[0\]\.device: profile: 'oak' is unknown; allowed are alder"),
        ("https://127.0.0.1:9001", "http://127.0.0.1:9001", r"links\[0\]\.device: .*https://host:port is"),
        ('peer_sae_id = "bob"', 'peer_sae_id = ""', r"links\[0\]\.device: "),
        ('"alice", "bob", "carol"', '"alice", "carol"', "path alice-carol/1/2: no link from alice to carol"),
        ('"alice", "bob", "carol"', '"bob", "carol"', "path alice-carol/1/2: does not pass alice"),
        ('"alice", "bob", "carol"', '"alice"', "path alice-carol/1/2: nodes must name at least two"),
        ("depth = 262144", "depth = 1", "path alice-carol/1/2: depth must be 0 or 4096 to"),
        ('[["sae-1", "sae-2"]]', '[["sae-1"]]', r"directory\.permitted\[0\]: .*length 2"),
        ('[["sae-1", "sae-2"]]', '[["sae-1", "sae-1"]]', r"directory\.permitted\[0\]: two different SAEs"),
        ("sae-2 = ", '".." = ', "directory.saes shall be printable characters"),
        ('"carol" }\n', '"" }\n', r"directory\.saes\.sae-2: '' is not allowed"),
        ("[node]", "[node", "no TOML"),
    ],
)
def test_a_wrong_configuration_is_refused_by_the_keys_name(old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        changed(old, new)
    assert "\n" not in refused.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        read_agent(tmp_path / "none.toml")
    (tmp_path / "agent.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"agent\.toml: no UTF-8"):
        read_agent(tmp_path / "agent.toml")
    (tmp_path / "agent.toml").write_text("[nodes]")
    with pytest.raises(ConfigurationError, match=r"agent\.toml: .*unknown field `nodes`"):
        read_agent(tmp_path / "agent.toml")


def test_the_example_of_the_documentation_is_a_configuration(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
    example = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    config = parse_agent(example, tmp_path)
    assert config.network().paths[0].depth == 262144
    assert config.node.state == tmp_path / "state"
