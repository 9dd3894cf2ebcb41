"""Who may manage an agent, and what nobody may change from outside: right tables are read, wrong ones are named in one line."""

import shutil
from pathlib import Path

import asyncssh
import pytest

from quiver.agent.config import AgentConfig, parse_agent, read_agent
from quiver.agent.config_check import check
from quiver.domain.errors import ConfigurationError
from quiver.identity.lab import Lab
from tests.agent.configs import AGENT

OLGA, BORIS = (asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip() for _ in range(2))
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode().strip()
NAMES = {OLGA: "olga", BORIS: "boris", RSA: "rsa"}  # in ids of tests, which are the same in each process

MANAGEMENT = f"""
[management]
ssh_listen = "127.0.0.1:8830"
tls_listen = "127.0.0.1:8831"
certificate = "management-alice.pem"
private_key = "management-alice.key"
trust = ["management-ca.pem", "management-classical-ca.pem"]
allow_classical = true
classical_certificate = "management-classical-alice.pem"
classical_private_key = "management-classical-alice.key"

[[management.users]]
name = "olga"
role = "operator"
ssh_keys = ["{OLGA}"]

[[management.users]]
name = "controller-1"
role = "controller"
ssh_keys = ["{BORIS}"]

[policy]
excluded_nodes = ["mallory"]
"""
TEXT = AGENT + MANAGEMENT


def parsed(old: str = "", new: str = "") -> AgentConfig:
    assert old in TEXT
    return parse_agent(TEXT.replace(old, new, 1) if old else TEXT, Path("/etc/quiver"))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("managed")
    directory.chmod(0o700)
    lab = Lab(directory)
    for profile in ("node", "kme", "kme-pq", "device-client", "management", "management-classical"):
        lab.issue(profile, "alice")
    lab.issue("management", "bob")
    (directory / "agent.toml").write_text(TEXT)
    return directory


@pytest.fixture
def path(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "agent")
    return tmp_path / "agent" / "agent.toml"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_without_the_table_there_is_no_netconf() -> None:
    config = parse_agent(AGENT, Path("/etc/quiver"))
    assert config.management is None
    assert config.excluded == frozenset()


def test_users_have_roles_and_keys() -> None:
    config = parsed()
    assert config.management is not None
    assert [(user.name, user.role) for user in config.management.users] == [
        ("olga", "operator"),
        ("controller-1", "controller"),
    ]
    assert [key.public_data for key in config.management.users[0].keys] == [
        asyncssh.import_public_key(OLGA).public_data
    ]
    assert config.excluded == {"mallory"}
    assert config.provision_database == Path("/etc/quiver/state/configuration.sqlite")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "allow_classical",
            "allow_weak",
            r"management: .*`allow_weak`; allowed are ssh_listen, tls_listen, certificate",
        ),
        ('ssh_keys = ["', 'keys = ["', r"management\.users\[0\]: .*`keys`; allowed are name, role, ssh_keys"),
        ("excluded_nodes", "excluded", r"policy: .*`excluded`; allowed are excluded_nodes"),
        ('role = "operator"', 'role = "root"', r"management\.users\[0\]\.role: .*'root'; allowed are controller"),
        ('"controller-1"', '"olga"', r"management\.users\[1\]\.name: 'olga' is named twice"),
        ('"controller-1"', '""', r"management\.users\[1\]\.name: '' is not allowed"),
        (OLGA, "ssh-ed25519 AAAA", r"management\.users\[0\]\.ssh_keys\[0\]: not a public key as OpenSSH writes"),
        (OLGA, RSA, r"management\.users\[0\]\.ssh_keys\[0\]: a key of ssh-rsa; allowed are ssh-ed25519"),
        ('certificate = "management-alice.pem"', "", r"management\.certificate: missing; tls_listen needs it"),
        (
            'trust = ["management-ca.pem", "management-classical-ca.pem"]',
            "",
            r"management\.trust: missing; tls_listen needs it",
        ),
        ("allow_classical = true", "", r"management\.classical_certificate: only with allow_classical = true"),
        (
            'classical_private_key = "management-classical-alice.key"',
            "",
            "management: classical_certificate and classical_private_key belong together",
        ),
        ('"mallory"', '"alice"', r"policy\.excluded_nodes\[0\]: 'alice' is this node"),
        ('"mallory"', '""', r"policy\.excluded_nodes\[0\]: '' is not allowed"),
    ],
    ids=NAMES.get,
)
def test_a_wrong_table_is_refused_by_the_keys_name(old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        parsed(old, new)
    assert "\n" not in refused.value.message


def test_a_management_plane_needs_an_address() -> None:
    lines = 'ssh_listen = "127.0.0.1:8830"\ntls_listen = "127.0.0.1:8831"\n'
    with pytest.raises(ConfigurationError, match="ssh_listen or tls_listen is needed"):
        parsed(lines, "")


def test_ssh_alone_needs_no_certificate() -> None:
    text = (
        AGENT
        + f'[management]\nssh_listen = "127.0.0.1:8830"\nusers = [{{name = "o", role = "auditor", ssh_keys = ["{OLGA}"]}}]'
    )
    config = parse_agent(text, Path("/etc/quiver"))
    assert config.management is not None
    assert config.management.classical is None


def test_nothing_is_found_where_all_is_well(path: Path) -> None:
    assert check(read_agent(path)) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("127.0.0.1:8830", "127.0.0.1:8443", "[management] ssh_listen: 127.0.0.1:8443 is [peer]'s already"),
        ("127.0.0.1:8831", "0.0.0.0:8830", "[management] tls_listen: 0.0.0.0:8830 is [management]'s already"),
        (BORIS, OLGA, "[management] users: controller-1 and olga have one SSH key; who holds it would be both"),
        (
            '"management-alice.pem"',
            '"management-bob.pem"',
            "names urn:quiver:node:bob; urn:quiver:node:alice is needed",
        ),
        ('"management-classical-ca.pem"]', '"saes-ca.pem"]', "is trusted on [sae] too"),
    ],
    ids=NAMES.get,
)
def test_what_does_not_fit_together_is_found(path: Path, old: str, new: str, finding: str) -> None:
    replace(path, old, new)
    if "bob" in new:
        replace(path, '"management-alice.key"', '"management-bob.key"')
    (found,) = check(read_agent(path))
    assert finding in found


def test_a_user_who_cannot_come_at_all_is_found(path: Path) -> None:
    for line in [line for line in path.read_text().splitlines() if "management" in line and "=" in line]:
        replace(path, line + "\n", "")
    replace(path, 'tls_listen = "127.0.0.1:8831"\n', "")
    replace(path, f'ssh_keys = ["{OLGA}"]', "")
    replace(path, "allow_classical = true\n", "")
    (found,) = check(read_agent(path))
    assert found == "[management] users: olga has no SSH key, and there is no TLS"


def test_a_host_key_that_others_may_read_is_found(path: Path) -> None:
    state = path.parent / "state"
    state.mkdir(mode=0o700)
    (state / "ssh_host_key").write_text("secret")
    (state / "ssh_host_key").chmod(0o644)
    (found,) = check(read_agent(path))
    assert "ssh_host_key; chmod 600" in found
