"""The examples for systemd name commands that there are, and give each kind of tunnel what it has to reach."""

from configparser import ConfigParser
from pathlib import Path

import pytest

from quiver.consume.config import KINDS

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Unit(ConfigParser):
    """A unit, or a drop-in: of a key that is set twice the last one counts, as an empty one only clears it."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None)
        self.read_string((EXAMPLES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name", ["quiver-consume@.service", "quiver-consume-strongswan.conf", "quiver-consume-tun.conf"]
)
def test_each_unit_starts_a_kind_that_there_is(name: str) -> None:
    words = Unit(name)["Service"]["ExecStart"].split()
    assert words[1] == "consume"
    assert words[2] in KINDS


def test_a_tun_interface_can_be_opened() -> None:
    service = Unit("quiver-consume-tun.conf")["Service"]
    assert service["PrivateDevices"] == "no"
    assert service["DeviceAllow"] == "/dev/net/tun rw"


@pytest.mark.parametrize("name", ["quiver-consume-strongswan.conf", "quiver-consume-wireguard-go.conf"])
def test_sockets_of_root_can_be_reached_without_capabilities(name: str) -> None:
    service = Unit(name)["Service"]
    assert (service["User"], service["CapabilityBoundingSet"]) == ("root", "")
