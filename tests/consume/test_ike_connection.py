"""A connection in a consumer's file: it fails closed, and what would undo that is refused by its name."""

import copy
from pathlib import Path
from typing import Any

import pytest

from quiver.consume.config import ConsumerConfig, parse_consumer
from quiver.consume.ike_connection import check_connection, connection_message, fence_message
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError

CONNECTION: dict[str, Any] = {
    "local_addrs": ["192.0.2.20"],
    "remote_addrs": "198.51.100.7, 198.51.100.8",
    "encap": True,
    "keyingtries": 3,
    "local": {"auth": "pubkey", "id": "gateway-1.example"},
    "remote": {"auth": "pubkey", "id": "gateway-2.example"},
    "children": {"net": {"local_ts": ["10.1.0.0/24"], "remote_ts": "10.2.0.0/24"}},
}
FILE = """
[consumer]
role = "initiator"
[kme]
url = "https://192.0.2.1:8443"
certificate = "sae.pem"
private_key = "sae.key"
trust = ["ca.pem"]
[partner]
sae = "gateway-2"
address = "198.51.100.7:8460"
certificate = "sae.pem"
private_key = "sae.key"
trust = ["ca.pem"]
[strongswan]
name = "site-2"
[strongswan.connection]
local_addrs = ["192.0.2.20"]
remote_addrs = ["198.51.100.7"]
local = {auth = "pubkey", id = "gateway-1.example"}
remote = {auth = "pubkey", id = "gateway-2.example"}
children.net = {local_ts = ["10.1.0.0/24"], remote_ts = ["10.2.0.0/24"]}
"""


def parsed(text: str) -> ConsumerConfig:
    return parse_consumer(text, Path("/etc/quiver"))


def changed(place: str, value: object) -> dict[str, Any]:
    table = copy.deepcopy(CONNECTION)
    *sections, key = place.split(".")
    section = table
    for name in sections:
        section = section[name]
    if value is None:
        del section[key]
    else:
        section[key] = value
    return table


def test_a_file_with_a_connection_is_read() -> None:
    config = parsed(FILE)
    assert config.kind == "strongswan"
    assert config.strongswan is not None
    assert config.strongswan.socket == Path("/run/charon.vici")
    assert config.strongswan.fence


def test_the_page_for_operators_shows_a_file_that_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "strongswan.md").read_text(encoding="utf-8")
    config = parsed(page.partition("```toml\n")[2].partition("```")[0])
    assert (config.kind, config.consumer.role) == ("strongswan", "initiator")


def test_the_words_of_swanctl_become_a_message_that_fails_closed() -> None:
    check_connection(CONNECTION)
    message = connection_message(CONNECTION, "the-key-id")
    assert message == {
        "local_addrs": ["192.0.2.20"],
        "remote_addrs": ["198.51.100.7", "198.51.100.8"],
        "encap": "yes",
        "keyingtries": "3",
        "local": {"auth": "pubkey", "id": "gateway-1.example"},
        "remote": {"auth": "pubkey", "id": "gateway-2.example"},
        "children": {"net": {"local_ts": ["10.1.0.0/24"], "remote_ts": ["10.2.0.0/24"]}},
        "version": "2",
        "dpd_delay": "10s",
        "ppk_id": "the-key-id",
        "ppk_required": "yes",
        "rekey_time": "0",
        "reauth_time": "0",
        "unique": "no",
    }
    without = connection_message(CONNECTION, None)
    assert "ppk_id" not in without
    assert without["ppk_required"] == "yes"
    assert connection_message(changed("dpd_delay", "3s"), None)["dpd_delay"] == "3s"


def test_the_fence_drops_what_goes_between_the_networks() -> None:
    fence = fence_message(CONNECTION)
    assert fence["children"] == {
        "net": {"mode": "drop", "start_action": "trap", "local_ts": ["10.1.0.0/24"], "remote_ts": ["10.2.0.0/24"]}
    }


@pytest.mark.parametrize("value", [True, "yes", "true"])
def test_a_required_pre_shared_key_may_be_spelt_out(value: object) -> None:
    check_connection(changed("ppk_required", value))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("ppk_required", False, "ppk_required: has to be yes"),
        ("ppk_required", "no", "ppk_required: has to be yes"),
        ("ppk_id", "anybody", "ppk_id: is the key_ID"),
        ("version", 1, "version: has to be 2"),
        ("version", 0, "version: has to be 2"),
        ("reauth_time", "1h", "reauth_time: has to be 0"),
        ("rekey_time", "4h", "rekey_time: has to be 0"),
        ("unique", "replace", "unique: has to be no"),
        ("pools", ["addresses"], "pools: is not for"),
        ("local_addrs", None, "local_addrs: missing"),
        ("remote", None, "remote: missing"),
        ("children", {}, "children: needs a table"),
        ("children", [], "children: needs a table"),
        ("children.net", "all", "children.net: has to be a table"),
        ("children.net.remote_ts", None, "children.net.remote_ts: missing"),
        ("children.net.local_ts", [], "children.net.local_ts: missing"),
        ("children.net.mode", "pass", "children.net.mode: has to be tunnel"),
        ("children.net.mode", ["tunnel"], "children.net.mode: has to be tunnel"),
        ("children.net.start_action", "trap", "children.net.start_action: is the consumer's"),
        ("local.certs", ["gateway.pem"], "local.certs: is not for this file"),
        ("encap", 0.5, "encap: has to be a text"),
        ("proposals", [1], "proposals: a list has to be of texts"),
        ("local.id", "x" * (limits.VICI_VALUE + 1), "local.id: a text has at most"),
        ("children.net.deep", {"er": {"still": "?"}}, "children.net.deep.er: tables are nested"),
        ("x" * (limits.VICI_NAME + 1), "?", "a name has 1 to"),
    ],
)
def test_what_would_undo_it_is_refused_by_its_name(place: str, value: object, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_connection(changed(place, value))
    assert refused.value.message.startswith("strongswan.connection")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"pubkey", id = "gateway-1', '"pubkey", certs = "gateway-1', "strongswan.connection.local.certs"),
        ('name = "site-2"', 'name = "a b"', "strongswan.name"),
        ('name = "site-2"', 'name = "site-fence"', "strongswan.name: may not end in -fence"),
        ('name = "site-2"', 'name = "site-2"\nsocket = 5', "strongswan.socket"),
        ('name = "site-2"', 'name = "site-2"\nppk_required = false', "unknown field `ppk_required`"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_the_place(old: str, new: str, said: str) -> None:
    assert old in FILE
    with pytest.raises(ConfigurationError) as refused:
        parsed(FILE.replace(old, new, 1))
    assert said in refused.value.message
