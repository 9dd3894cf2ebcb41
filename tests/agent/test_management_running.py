"""What a change over NETCONF does in which order: a node that takes a new path can call that path's nodes at once."""

import asyncio
from pathlib import Path

import pytest

from quiver.agent.management_entries import Edit, EntryKind
from quiver.agent.management_running import Running
from quiver.domain.errors import ConfigurationError
from quiver.domain.provision import Provision
from quiver.store.configuration import Author, ConfigurationDatabase
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
