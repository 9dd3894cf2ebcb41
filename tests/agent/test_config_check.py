"""`quiver agent check`: mistakes in files and between tables are found before the agent starts."""

import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from quiver.agent.config import read_agent
from quiver.agent.config_check import check
from quiver.cli.main import app
from quiver.identity.lab import Lab
from quiver.store.sqlite import SqliteDatabase
from tests.agent.configs import write_agent


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_agent(tmp_path_factory.mktemp("pristine")).parent


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Another network, with certificates for alice and for others."""
    lab = Lab(tmp_path_factory.mktemp("strangers"))
    for profile, identity in [("node", "alice"), ("node", "bob"), ("kme", "bob"), ("sae", "alice"), ("kme-pq", "bob")]:
        lab.issue(profile, identity)
    return lab


@pytest.fixture
def path(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "agent")
    return tmp_path / "agent" / "agent.toml"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def findings(path: Path) -> list[str]:
    return check(read_agent(path))


def one_finding(path: Path, *parts: str) -> None:
    found = findings(path)
    assert len(found) == 1, found
    for part in parts:
        assert part in found[0]


def take(strangers: Lab, path: Path, theirs: str, mine: str) -> None:
    for suffix in (".pem", ".key"):
        shutil.copy(strangers.directory / f"{theirs}{suffix}", path.parent / f"{mine}{suffix}")


def test_nothing_is_found_where_all_is_well_before_and_after_the_first_start(path: Path) -> None:
    assert findings(path) == []
    SqliteDatabase(read_agent(path).database).close()
    assert findings(path) == []


@pytest.mark.parametrize(
    ("break_it", "parts"),
    [
        (lambda at: (at / "nodes-ca.pem").unlink(), ["[peer] ", "nodes-ca.pem: No such file"]),
        (lambda at: (at / "kme-pq-alice.key").unlink(), ["[sae] ", "kme-pq-alice.key: No such file"]),
        (lambda at: (at / "kme-alice.key").chmod(0o644), ["[sae] ", "chmod 600"]),
        (lambda at: (at / "device-client-alice.pem").write_text("no"), ["[device] ", "not a PEM certificate"]),
        (
            lambda at: shutil.copy(at / "kme-pq-alice.key", at / "node-alice.key"),
            ["[peer] ", "node-alice.pem and", "not a PEM certificate and its"],
        ),
        (lambda at: (at / "state").mkdir(mode=0o755), ["[node] state: others may use", "chmod 700"]),
        (lambda at: (at / "state").write_text(""), ["[node] state"]),
    ],
)
def test_files_that_are_missing_or_do_not_fit_are_found(
    path: Path, break_it: Callable[[Path], object], parts: list[str]
) -> None:
    break_it(path.parent)
    if (path.parent / "state").is_file():
        (path.parent / "state").chmod(0o600)
    one_finding(path, *parts)


def test_a_certificate_that_names_another_node_is_found(path: Path, strangers: Lab) -> None:
    take(strangers, path, "node-bob", "node-alice")
    shutil.copy(strangers.nodes_trust, path.parent / "nodes-ca.pem")
    one_finding(path, "[peer] certificate", "names urn:quiver:node:bob; urn:quiver:node:alice is needed")


def test_a_certificate_of_the_wrong_role_is_found_on_the_sae_plane(path: Path, strangers: Lab) -> None:
    take(strangers, path, "sae-alice", "kme-alice")
    found = findings(path)
    assert any("names urn:quiver:sae:alice; urn:quiver:kme:alice is needed" in line for line in found)
    assert any("may not be used as server" in line for line in found)


def test_a_certificate_of_another_network_is_found(path: Path, strangers: Lab) -> None:
    take(strangers, path, "node-alice", "node-alice")
    one_finding(path, "[peer] trust: no authority in", "nodes-ca.pem has issued", "node-alice.pem")


def test_a_classical_certificate_between_nodes_is_found(path: Path) -> None:
    replace(path, 'certificate = "node-alice.pem"', 'certificate = "device-client-alice.pem"')
    replace(path, 'private_key = "node-alice.key"', 'private_key = "device-client-alice.key"')
    found = findings(path)
    assert any("has a key of ECDSA P-256; ML-DSA-65 is needed" in line for line in found)


def test_an_expired_certificate_is_found(path: Path) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)
    found = check(read_agent(path), now=later)
    assert len(found) == 4
    assert all("is expired (valid from" in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("[::1]:8444", "127.0.0.1:8443", ["[sae] listen: 127.0.0.1:8443 is [peer]'s already"]),
        ("127.0.0.1:9100", "0.0.0.0:8443", ["[metrics] listen: 0.0.0.0:8443 is [peer]'s already"]),
        ("[::1]:8444", "[0::1]:9100", []),
        ("127.0.0.1:8443", "127.0.0.1:0", []),
        (', dave = "[::1]:9445"', "", ["[directory] nodes: dave has no peer address; link a-d needs it"]),
        (', carol = "carol.example:9444"', "", ["carol has no peer address; path alice-carol/1/2 needs it"]),
        ('sae-2 = "carol"', 'sae-2 = "erin"', ["erin has no peer address; SAE sae-2 needs it"]),
        (', sae-2 = "carol"', "", ["[directory] saes: sae-2 has no home node"]),
        ('trust = "devices-ca.pem"', 'trust = "saes-ca.pem"', ["[device] trust: ", "is trusted on [sae] too"]),
    ],
)
def test_tables_that_do_not_fit_together_are_found(path: Path, old: str, new: str, parts: list[str]) -> None:
    replace(path, old, new)
    if parts:
        one_finding(path, *parts)
    else:
        assert findings(path) == []


# --- the command --------------------------------------------------------------------------------------------------


def quiver(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["agent", "check", *map(str, arguments)])


def test_the_command_says_what_it_found_and_tells_a_script(path: Path) -> None:
    good = quiver(path)
    assert (good.exit_code, good.stdout) == (0, f"{path}: node alice, 2 links, 2 paths: no mistake found\n")
    assert json.loads(quiver(path, "--json").stdout) == {
        "config": str(path),
        "node": "alice",
        "ok": True,
        "findings": [],
    }
    replace(path, ', sae-2 = "carol"', "")
    bad = quiver(path)
    assert (bad.exit_code, bad.stdout.count("\n")) == (1, 1)
    told = quiver(path, "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["findings"] == [bad.stdout.strip()]


def test_the_command_reports_a_configuration_that_cannot_be_read(path: Path) -> None:
    replace(path, "listen", "lisent")
    told = json.loads(quiver(path, "--json").stdout)
    assert (told["node"], told["ok"]) == (None, False)
    assert "unknown field `lisent`; allowed are listen" in told["findings"][0]
    assert quiver(path).exit_code == 1
    assert quiver().exit_code == 2


def test_a_generator_of_random_numbers_that_is_a_file_or_is_not_there_is_found(path: Path) -> None:
    (path.parent / "numbers").write_bytes(bytes(100))
    text = path.read_text()
    for generator, words in (("numbers", "the same numbers again"), ("nothing", "No such file")):
        path.write_text(f'{text}\n[randomness]\ngenerator = "{generator}"\n')
        one_finding(path, "[randomness] generator", words)
    path.write_text(f'{text}\n[randomness]\ngenerator = "/dev/urandom"\nmin_entropy = 7.5\n')
    assert findings(path) == []
