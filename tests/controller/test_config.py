"""A controller's configuration is taken as it is meant, or refused with words that name the key."""

import datetime
import re
from pathlib import Path

import pytest

import quiver.controller.config as module
from quiver.controller.config import parse_controller, read_controller
from quiver.controller.config_check import check
from quiver.domain.errors import ConfigurationError
from quiver.domain.sdn.demands import Demand, Origin
from quiver.identity.lab import Lab
from quiver.net.ssh_policy import make_host_key
from tests.controller.north_ground import issued

SMALL = """
[controller]
id = "controller-1"
state = "state"
[management]
certificate = "c.pem"
private_key = "c.key"
trust = ["ca.pem"]
[northbound]
listen = "127.0.0.1:0"
certificate = "n.pem"
private_key = "n.key"
trust = ["ca.pem"]
"""
HOST_KEY = make_host_key("a")[1]
OVER_TLS = '[[agents]]\nid = "a"\ntls = "127.0.0.1:1"\n'
OVER_SSH = f'[[agents]]\nid = "b"\nssh = "127.0.0.1:2"\nhost_keys = ["{HOST_KEY}"]\n'
DEMAND = '[[demands]]\nname = "v"\nsource = "a"\ndestination = "b"\n'


def example() -> str:
    """The file that the module's text shows."""
    text = (module.__doc__ or "").partition("\n\n")[2]
    return text.replace("ssh-ed25519 AAAA...", HOST_KEY)


def test_the_file_that_is_shown_is_right() -> None:
    config = parse_controller(example(), Path("/etc/quiver"))
    assert config.database == Path("/etc/quiver/state/controller.sqlite")
    assert config.management.trust == (Path("/etc/quiver/management-ca.pem"),)
    assert config.agents[0].address.port == 6513
    assert config.wanted() == (
        Demand(name="alice-carol", source="alice", destination="carol", depth=262_144, origin=Origin.FILE),
    )


def test_the_reference_shows_the_same_file() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/configuration.md").read_text(encoding="utf-8")
    shown = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[controller]" in block]
    assert shown == [(module.__doc__ or "").partition("\n\n")[2].strip() + "\n"]


def test_agents_over_ssh_need_a_key_and_no_certificate() -> None:
    text = re.sub(r"\[management\].*?\[north", '[management]\nssh_key = "k"\n[north', SMALL, flags=re.DOTALL)
    config = parse_controller(text + OVER_SSH, Path())
    assert (config.ssh_user, config.management.credentials) == ("controller-1", None)
    with pytest.raises(ConfigurationError, match=r"agents\[0\]\.tls: needs management\.certificate"):
        parse_controller(text + OVER_TLS, Path())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('id = "controller-1"', 'id = ""'), "controller.id"),
        (lambda text: text.replace("[controller]", "[controller]\nname = 1"), "allowed are id, state, poll"),
        (lambda text: text.replace("[management]", "poll = 0.1\n[management]"), "controller.poll"),
        (lambda text: text.replace('private_key = "c.key"\n', ""), "management.private_key: missing"),
        (lambda text: text.replace('listen = "127.0.0.1:0"', 'listen = "here:1"'), "northbound.listen"),
        (lambda text: text + "allow_classical = true", "classical_certificate belong together"),
        (lambda text: text + 'classical_certificate = "x"', "classical_private_key belong together"),
        (lambda text: text + '[[agents]]\nid = "a"\n', "agents[0]: one address is needed, tls or ssh"),
        (lambda text: text + OVER_TLS + 'ssh = "127.0.0.1:3"\n', "one address is needed, tls or ssh"),
        (lambda text: text + OVER_TLS + f'host_keys = ["{HOST_KEY}"]\n', "agents[0].host_keys: only with ssh"),
        (lambda text: text + '[[agents]]\nid = "b"\nssh = "127.0.0.1:2"\n', "agents[0].host_keys: missing"),
        (lambda text: text + OVER_SSH, "agents[0].ssh: needs management.ssh_key"),
        (lambda text: text + OVER_TLS + OVER_TLS, "agents[1].id: 'a' is named twice"),
        (lambda text: text + OVER_TLS.replace(":1", ":0"), "agents[0].tls"),
        (lambda text: text + DEMAND + DEMAND, "demands[1].name: 'v' is named twice"),
        (lambda text: text + DEMAND + "priority = 9\n", "demands[0]: demand v: priority must be 0 to 7"),
        (lambda text: text + DEMAND + 'origin = "agent"\n', "unknown field `origin`"),
    ],
)
def test_what_is_wrong_is_named(change, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_controller(change(SMALL), Path())
    assert said in refused.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"controller\.toml: No such file"):
        read_controller(tmp_path / "controller.toml")


def files(lab: Lab, directory: Path, *, northbound: str = "northbound", identity: str = "controller-1") -> str:
    own, north = issued(lab, "controller", identity), issued(lab, northbound, identity)
    text = SMALL.replace('"state"', f'"{directory / "state"}"')
    for name, there in (
        ("c.pem", own.certificate),
        ("c.key", own.private_key),
        ("n.pem", north.certificate),
        ("n.key", north.private_key),
        ("ca.pem", lab.management_trust[0]),
    ):
        text = text.replace(f'"{name}"', f'"{there}"')
    return text


def test_a_right_configuration_has_no_findings(lab: Lab, tmp_path: Path) -> None:
    assert check(parse_controller(files(lab, tmp_path) + OVER_TLS, tmp_path)) == []


def test_the_check_finds_what_would_keep_a_controller_from_its_work(lab: Lab, tmp_path: Path) -> None:
    text = files(lab, tmp_path, northbound="controller", identity="other")
    (tmp_path / "state").mkdir(mode=0o755)
    text += OVER_TLS + 'peer = "127.0.0.1:5"\n' + OVER_TLS.replace('"a"', '"b"') + 'peer = "127.0.0.1:5"\n'
    text += DEMAND.replace('"b"', '"z"') + 'excluded = ["B"]\n'
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=10_000)
    found = "\n".join(check(parse_controller(text, tmp_path), now=later))
    for said in (
        "others may use",
        "names urn:quiver:controller:other; urn:quiver:controller:controller-1 is needed",
        "may not be used as server",
        "is expired",
        "demands[0].destination: no agent z",
        "demands[0].excluded: no agent B",
        "b and a have one peer address",
    ):
        assert said in found


def test_files_that_are_not_there_are_findings(tmp_path: Path) -> None:
    found = check(parse_controller(SMALL, tmp_path))
    assert [line.partition("]")[0] for line in found] == ["[northbound", "[management"]
