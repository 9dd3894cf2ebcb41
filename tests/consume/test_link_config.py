"""The table [link]: what each carrier and role needs, and the mistakes that name their key."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from quiver.cli.consume import app
from quiver.consume.config import parse_consumer
from quiver.consume.daemon import make_tunnel
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError

ENDS = 'listen = "192.0.2.20:8470"\nfar = "far.example:8470"\n'
UDP = f'carrier = "udp"\n{ENDS}entry = "127.0.0.1:9000"\n'
TUN = f'carrier = "tun"\n{ENDS}interface = "quiver0"\n'
TCP_INITIATOR = 'carrier = "tcp"\nfar = "far.example:8470"\nentry = "127.0.0.1:9000"\n'
TCP_RESPONDER = 'carrier = "tcp"\nlisten = "192.0.2.20:8470"\ntarget = "127.0.0.1:9000"\n'


def text(link: str, role: str = "initiator", more: str = "") -> str:
    place = "address" if role == "initiator" else "listen"
    return f"""
[consumer]
role = "{role}"
[kme]
url = "https://192.0.2.1:8443"
certificate = "a.pem"
private_key = "a.key"
trust = ["ca.pem"]
[partner]
sae = "gateway-2"
{place} = "192.0.2.7:8460"
certificate = "a.pem"
private_key = "a.key"
trust = ["ca.pem"]
{more}
[link]
{link}
"""


@pytest.mark.parametrize(
    ("link", "role"),
    [
        (UDP, "initiator"),
        (UDP + 'target = "127.0.0.1:9001"\n', "responder"),
        (TUN, "initiator"),
        (TUN, "responder"),
        (TCP_INITIATOR, "initiator"),
        (TCP_INITIATOR + 'target = "127.0.0.1:22"\n', "initiator"),
        (TCP_RESPONDER, "responder"),
    ],
)
def test_what_each_carrier_needs_makes_a_tunnel(link: str, role: str, tmp_path: Path) -> None:
    config = parse_consumer(text(link, role), tmp_path)
    tunnel = make_tunnel(config)
    assert (config.kind, tunnel.kind, tunnel.key_bits) == ("link", "link", 256)
    assert config.link is not None
    assert config.link.rekey_bytes == limits.ENCRYPTOR_BYTES
    assert not tunnel.hungry()


@pytest.mark.parametrize(
    ("link", "role", "said"),
    [
        (UDP.replace("udp", "sctp"), "initiator", "link.carrier: .*allowed are udp, tcp, tun"),
        (UDP.replace('entry = "127.0.0.1:9000"', ""), "initiator", "link.entry: missing; the carrier udp"),
        (UDP.replace('far = "far.example:8470"', ""), "responder", "link.far: missing"),
        (UDP + 'interface = "quiver0"\n', "initiator", "link.interface: is not for the carrier udp"),
        (TUN.replace('interface = "quiver0"', ""), "initiator", "link.interface: missing"),
        (TUN.replace("quiver0", "a/b"), "initiator", "link.interface"),
        (TUN + 'entry = "127.0.0.1:1"\n', "initiator", "link.entry: is not for the carrier tun"),
        (TCP_INITIATOR, "responder", "link.listen: missing; the carrier tcp of a responder"),
        (TCP_RESPONDER, "initiator", "link.listen: is not for the carrier tcp of a initiator|link.far: missing"),
        (
            TCP_INITIATOR.replace('entry = "127.0.0.1:9000"', ""),
            "initiator",
            "link.entry: missing, and so is link.target",
        ),
        (UDP + "rekey_bytes = 1\n", "initiator", "link.rekey_bytes"),
        (UDP + "rekey_bytes = 1000000000000\n", "initiator", "link.rekey_bytes"),
        (UDP + 'secret = "x"\n', "initiator", "link: .*unknown field"),
        (UDP.replace("127.0.0.1:9000", "localhost:9000"), "initiator", "link.entry: .*not allowed"),
        (UDP + "[exec]\ncommand = ['true']\n", "initiator", "one of the tables"),
    ],
)
def test_mistakes_name_their_key(link: str, role: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_consumer(text(link, role), tmp_path)
    assert re.search(said, caught.value.message), caught.value.message


def test_the_command_says_that_it_is_a_demonstration_and_takes_its_own_files_alone(tmp_path: Path) -> None:
    runner = CliRunner()
    assert "DEMONSTRATION" in runner.invoke(app, ["link", "--help"]).output
    path = tmp_path / "end.toml"
    path.write_text(text(UDP))
    assert runner.invoke(app, ["wireguard", str(path)]).exit_code == 1
    assert runner.invoke(app, ["link", str(tmp_path / "none.toml")]).exit_code == 1
