"""The controller's orders as a real agent's NETCONF server takes them, over TLS and over SSH."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from quiver.controller.agents import OrderRefusedError
from quiver.controller.config_tables import ManagementTable
from quiver.controller.endpoints import AgentTable
from quiver.controller.netconf_agent import NetconfAgent, NetconfConnector
from quiver.domain.errors import RemoteError
from quiver.domain.events import RaisedAlarm
from quiver.domain.network import PathEntry
from quiver.domain.sdn.orders import Edit, Failure
from quiver.identity.lab import Lab
from quiver.net.addresses import Address
from quiver.net.ssh_policy import public_line
from tests.agent.management_ground import Managed, files_of, managed

ENTRY = PathEntry(virtual_link="alice-bob", path=1, version=1, nodes=("alice", "bob"), depth=8192, rate=5, priority=3)
Main = Callable[[Managed, NetconfAgent], Awaitable[None]]


def over_tls(node: Managed, *, identity: str = "alice", user: str = "ctrl") -> tuple[ManagementTable, AgentTable]:
    own = files_of(node.lab, "controller", user)
    table = ManagementTable(
        certificate=own.certificate, private_key=own.private_key, trust=node.lab.management_trust[:1]
    )
    return table, AgentTable(id=identity, tls=Address(f"127.0.0.1:{node.tls_port}"))


def over_ssh(node: Managed, host_key: str | None = None) -> tuple[ManagementTable, AgentTable]:
    file = node.directory / "ssh.key"
    file.write_bytes(node.keys["ctrl"].export_private_key("openssh"))
    file.chmod(0o600)
    pinned = host_key or public_line(node.host_key)
    address = Address(f"127.0.0.1:{node.ssh_port}")
    return ManagementTable(ssh_key=file), AgentTable(id="alice", ssh=address, host_keys=(pinned,))


def scene(lab: Lab, directory: Path, transport: str, main: Main) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), managed(directory / "alice", lab) as node:
            table, agent = over_tls(node) if transport == "tls" else over_ssh(node)
            session = await NetconfConnector(table, "ctrl").connect(agent)
            try:
                await main(node, session)
            finally:
                await session.close()

    asyncio.run(run())


both = pytest.mark.parametrize("transport", ["tls", "ssh"])


def edit(term: int, *put: PathEntry, remove: tuple[str, ...] = (), **addresses: str) -> Edit:
    return Edit(id=1, node="alice", term=term, put=put, remove=remove, addresses=addresses)


@both
def test_what_is_written_is_read_back_and_removed(lab: Lab, tmp_path: Path, transport: str) -> None:
    async def main(_: Managed, session: NetconfAgent) -> None:
        await session.stamp(4)
        before = await session.read()
        assert (before.node, before.term, before.configured) == ("alice", 4, ())
        await session.edit(edit(4, ENTRY, bob="192.0.2.2:8443"))
        after = await session.read()
        assert after.configured == (ENTRY,)
        assert after.addresses == {"bob": "192.0.2.2:8443"}
        await session.edit(edit(4, ENTRY, remove=("gone/1/1",)))  # again, and what is not there: no harm
        await session.edit(Edit(id=2, node="alice", term=5, put=(), remove=(ENTRY.key,), forget=("bob", "nobody")))
        last = await session.read()
        assert (last.configured, last.addresses, last.term) == ((), {}, 5)

    scene(lab, tmp_path, transport, main)


@both
def test_a_lower_term_is_refused_as_such(lab: Lab, tmp_path: Path, transport: str) -> None:
    async def main(_: Managed, session: NetconfAgent) -> None:
        await session.stamp(9)
        for order in (session.stamp(8), session.edit(edit(8, ENTRY))):
            with pytest.raises(OrderRefusedError) as refused:
                await order
            assert refused.value.failure is Failure.STALE_TERM
        assert (await session.read()).configured == ()

    scene(lab, tmp_path, transport, main)


@both
def test_what_local_policy_excludes_is_refused_with_its_entry(lab: Lab, tmp_path: Path, transport: str) -> None:
    barred = PathEntry(virtual_link="alice/mallory", path=2, version=3, nodes=("alice", "bob", "mallory"))

    async def main(_: Managed, session: NetconfAgent) -> None:
        await session.stamp(1)
        with pytest.raises(OrderRefusedError) as refused:
            await session.edit(edit(1, ENTRY, barred))
        assert (refused.value.failure, refused.value.about) == (Failure.REFUSED, barred.key)
        assert (await session.read()).configured == ()  # all or nothing

    scene(lab, tmp_path, transport, main)


@both
def test_events_come_with_their_run_and_number(lab: Lab, tmp_path: Path, transport: str) -> None:
    async def main(node: Managed, session: NetconfAgent) -> None:
        journal = node.engine.node.journal
        journal.alarm("test", cause="none")
        run, event = await session.event()
        assert run == (await session.read()).run
        assert isinstance(event.body, RaisedAlarm)
        assert event.body.name == "test"

    scene(lab, tmp_path, transport, main)


@both
def test_an_agent_that_stops_breaks_the_session(lab: Lab, tmp_path: Path, transport: str) -> None:
    async def main(node: Managed, session: NetconfAgent) -> None:
        await node.plane.stop()
        with pytest.raises(RemoteError):
            await session.event()
        with pytest.raises(RemoteError):
            await session.read()

    scene(lab, tmp_path, transport, main)


def test_an_agent_with_the_wrong_certificate_gets_no_order(lab: Lab, tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), managed(tmp_path / "alice", lab) as node:
            table, agent = over_tls(node, identity="bob")
            with pytest.raises(RemoteError, match="bob"):
                await NetconfConnector(table, "ctrl").connect(agent)

    asyncio.run(main())


def test_an_agent_with_another_host_key_gets_no_order(lab: Lab, tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), managed(tmp_path / "alice", lab) as node:
            table, agent = over_ssh(node, public_line(node.keys["ctrl"]))
            with pytest.raises(RemoteError, match="host key"):
                await NetconfConnector(table, "ctrl").connect(agent)

    asyncio.run(main())


def test_a_controller_that_the_agent_does_not_know_is_told_so(lab: Lab, tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(60), managed(tmp_path / "alice", lab) as node:
            table, agent = over_tls(node, user="stranger")
            with pytest.raises(RemoteError):
                await NetconfConnector(table, "stranger").connect(agent)

    asyncio.run(main())
