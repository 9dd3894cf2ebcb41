"""What a change over NETCONF does in which order: a node that takes a new path can call that path's nodes at once."""

import asyncio
from pathlib import Path

import pytest

from quiver.agent.management_entries import Edit, EntryKind, entry_of, read_entry
from quiver.agent.management_running import Running
from quiver.domain.errors import ConfigurationError
from quiver.domain.network import PathEntry
from quiver.domain.provision import Provision
from quiver.store.configuration import Author, ConfigurationDatabase, Entry
from tests.agent.management_ground import POLICY

AUTHOR = Author(user="ctrl", role="controller", transport="tls", peer="", session=1, cause="edit-config")


class Node:
    """Takes changes, and notes which addresses it could call when it did."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.callable: dict[str, str] = {}
        self.could_call: list[dict[str, str]] = []

    def check(self, provision: Provision) -> None:
        del provision

    async def provision(self, provision: Provision) -> None:
        del provision
        self.could_call.append(dict(self.callable))
        if self.refuses:
            raise ConfigurationError("no link leads there")

    def alarm(self, name: str, **facts: str) -> None:
        raise AssertionError(name)

    def tell(self, provision: Provision) -> None:
        self.callable = dict(provision.addresses)


def changed(node: Node, directory: Path, *changes: list[Edit]) -> Running:
    """The configuration after some changes, one after another."""
    database = ConfigurationDatabase(directory / "configuration.sqlite")
    running = Running(database, POLICY, frozenset())

    async def run() -> None:
        running.work_by(node, node.tell)
        for edits in changes:
            await running._change(edits, [], AUTHOR)

    try:
        asyncio.run(run())
    finally:
        running.close()
        database.close()
    return running


def address(node: str, value: str | None) -> Edit:
    return Edit(EntryKind.ADDRESS, node, value)


def test_a_new_address_can_be_called_before_the_node_takes_what_came_with_it(tmp_path: Path):
    node = Node()
    changed(node, tmp_path, [address("erin", "192.0.2.5:8443")])
    assert node.could_call == [{"erin": "192.0.2.5:8443"}]


def test_an_address_that_goes_can_be_called_until_the_node_has_let_go_of_it(tmp_path: Path):
    node = Node()
    changed(node, tmp_path, [address("erin", "192.0.2.5:8443")], [address("erin", None)])
    assert node.could_call[1] == {"erin": "192.0.2.5:8443"}
    assert node.callable == {}


def test_an_address_of_a_change_that_was_refused_is_called_by_nobody(tmp_path: Path):
    node = Node(refuses=True)
    with pytest.raises(ConfigurationError):
        changed(node, tmp_path, [address("erin", "192.0.2.5:8443")])
    assert node.callable == {}


# --- what the database holds ------------------------------------------------------------------------------------------


def version(number: int) -> Edit:
    entry = PathEntry(virtual_link="alice-bob", path=1, version=number, nodes=("alice", "bob"))
    return Edit(EntryKind.PATH, entry.key, entry)


def pair(one: str, other: str) -> Edit:
    return Edit(EntryKind.PAIR, f'["{one}","{other}"]', True)


@pytest.mark.parametrize(
    ("held", "fallback", "left"),
    [
        ([pair("b", "a")], [pair("a", "b")], {pair("b", "a").key}),
        ([version(2), version(3)], [version(1)], {version(2).key, version(3).key}),
    ],
    ids=["a pair in both orders", "a third version"],
)
def test_an_agent_starts_although_a_commit_cannot_be_taken_back_as_others_have_written_against_it(
    tmp_path, held, fallback, left
):
    home = Edit(EntryKind.HOME, "sae-1", "bob")
    gone = Edit(EntryKind.HOME, "sae-1", None)
    with_fallback = ConfigurationDatabase(tmp_path / "configuration.sqlite")
    with_fallback.commit(list(map(entry_of, [*held, home])), AUTHOR, fallback=list(map(entry_of, [*fallback, gone])))
    with_fallback.close()
    for _ in range(2):
        database = ConfigurationDatabase(tmp_path / "configuration.sqlite")
        running = Running(database, POLICY, frozenset())
        assert {key for kind, key in running.places()} == left  # the home went back
        assert database.load().fallback == []
        running.close()
        database.close()


@pytest.mark.parametrize(
    ("kind", "key", "body"),
    [
        ("address", "bob", b'"nonsense"'),
        ("address", "bob", b"5"),
        ("home", "a\x02", b'"alice"'),
        ("home", ".", b'"alice"'),
        ("path", "x/1/1", b'{"virtual_link":"y","path":1,"version":1,"nodes":["alice","bob"]}'),
        ("path", "x/1/1", b'{"virtual_link":"x","path":1,"version":1,"nodes":["alice","alice"]}'),
        ("path", "x\x01/1/1", b'{"virtual_link":"x\\u0001","path":1,"version":1,"nodes":["alice","bob"]}'),
        ("pair", '["a"]', b"true"),
        ("pair", '["a","a"]', b"true"),
        ("pair", '["a","b"]', b"false"),
        ("pair", '["a", "b"]', b"true"),
        ("pair", "nonsense", None),
        ("term", "", b"-4"),
        ("term", "", b"99999999999999999999"),
        ("term", "other", b"4"),
        ("kind", "", b"1"),
    ],
)
def test_a_row_that_no_edit_could_have_written_is_refused_by_name(kind, key, body):
    with pytest.raises(ConfigurationError) as refused:
        read_entry(Entry(kind, key, body))
    assert refused.value.message == f"configuration database: entry {kind} {key!r} cannot be read"


@pytest.mark.parametrize("edit", [version(1), pair("a", "b"), Edit(EntryKind.TERM, "", 4), address("bob", "[::1]:1")])
def test_what_an_edit_writes_is_read_again(edit):
    assert read_entry(entry_of(edit)) == edit
    gone = Edit(edit.kind, edit.key, None)
    assert read_entry(entry_of(gone)) == gone
