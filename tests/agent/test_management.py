"""The agent's NETCONF server as a whole: a real node, real sockets and databases, our own client, over both transports."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.domain.errors import ExhaustedError, RemoteError, StorageError
from quiver.domain.events import NewApplication
from quiver.identity.lab import Lab
from quiver.net.netconf_client import NetconfClient
from quiver.protocols.netconf.errors import RpcError
from quiver.protocols.yang.events import event_from_xml
from tests.agent.management_ground import KMS, USERS, Managed, home, kms, managed, names, path, sae_entry, term
from tests.net.wire import PATIENCE

Scene = Callable[[Managed], Coroutine[Any, Any, Any]]
PAIR = "<permitted-pair><one>sae-file</one><other>sae-1</other></permitted-pair>"
PAIRED = f"<directory>{sae_entry('sae-1', 'carol')}{PAIR}</directory>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("management"))


def play(directory: Path, lab: Lab, scene: Scene, **changed: Any) -> Any:
    async def main() -> Any:
        async with managed(directory, lab, **changed) as made:
            return await scene(made)

    return asyncio.run(asyncio.wait_for(main(), PATIENCE))


async def come(made: Managed, transport: str, user: str) -> NetconfClient:
    return await (made.ssh(user) if transport == "ssh" else made.tls(user))


async def configured(client: NetconfClient) -> list[str]:
    return names(await client.get_config(kms("<path/>")), "path", "virtual-link")


def check_refused(refused: pytest.ExceptionInfo[RpcError], tag: str, words: str, place: str = "") -> None:
    assert (refused.value.tag, place in refused.value.path_text) == (tag, True)
    assert words in refused.value.message


transports = pytest.mark.parametrize("transport", ["ssh", "tls"])


# --- what is written lasts --------------------------------------------------------------------------------------------


@transports
def test_what_is_acknowledged_is_in_force_and_survives_a_restart(tmp_path: Path, lab: Lab, transport: str) -> None:
    async def write(made: Managed) -> None:
        async with await come(made, transport, "olga") as olga:
            await olga.edit(kms(PAIRED + path()))
        assert "alice-bob/1/1" in {entry.key for entry in made.engine.node.network.paths}
        assert made.engine.node.network.directory.permits("sae-1", "sae-file")

    async def read(made: Managed) -> None:
        assert "alice-bob/1/1" in {entry.key for entry in made.engine.node.network.paths}
        async with await come(made, transport, "audrey") as audrey:
            data = await audrey.get(kms(""))
            assert names(data, "path", "virtual-link")[0] == "alice-bob"
            assert "carol" in names(data, "sae", "home")
            assert names(data, "configured-path", "virtual-link") == ["alice-bob"]

    play(tmp_path / "state", lab, write)
    play(tmp_path / "state", lab, read)


def test_the_audit_says_who_changed_what_and_from_where(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.tls("ctrl") as controller:
            await controller.edit(kms(term(4) + path()))
        ((author, entries),) = made.database.authors()
        assert (author.user, author.role, author.transport, author.peer) == ("ctrl", "controller", "tls", "127.0.0.1")
        assert author.cause == "edit-config"
        assert sorted(entries) == [("path", "alice-bob/1/1", True), ("term", "", True)]

    play(tmp_path / "state", lab, scene)


def test_a_confirmed_commit_that_nobody_confirmed_before_the_agent_died_is_taken_back(tmp_path: Path, lab: Lab) -> None:
    async def write(made: Managed) -> None:
        async with await made.ssh() as olga:
            await olga.edit(kms(path()))
            await olga.edit(kms(path(2)), target="candidate")
            await olga.simple("commit", confirmed=None, confirm_timeout="600", persist="word")
            assert len(await configured(olga)) == 2

    async def read(made: Managed) -> None:
        async with await made.ssh() as olga:
            assert len(await configured(olga)) == 1

    play(tmp_path / "state", lab, write)
    play(tmp_path / "state", lab, read)


def test_without_its_database_a_change_is_refused_and_the_node_goes_on_as_before(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        commit, made.database.commit = made.database.commit, _full  # type: ignore[method-assign]
        async with await made.ssh() as olga:
            with pytest.raises(RpcError) as refused:
                await olga.edit(kms(path()))
            check_refused(refused, "operation-failed", "the disk is full")
            assert await configured(olga) == []
            assert "alice-bob/1/1" not in {entry.key for entry in made.engine.node.network.paths}
            made.database.commit = commit  # type: ignore[method-assign]
            await olga.edit(kms(path()))
            assert await configured(olga) == ["alice-bob"]

    play(tmp_path / "state", lab, scene)


def _full(*_: Any, **__: Any) -> None:
    raise StorageError("configuration database: the disk is full (SQLITE_FULL)")


# --- who may do what (rule 7) -----------------------------------------------------------------------------------------


@transports
@pytest.mark.parametrize(
    ("user", "config", "place"),
    [
        ("ctrl", term(1) + home("sae-1", "carol"), "sae"),
        ("ctrl", term(1) + f"<directory>{PAIR}</directory>", "permitted-pair"),
        ("olga", term(9), "term"),
        ("audrey", path(), ""),
    ],
)
def test_a_role_writes_what_is_its_own_and_nothing_else(
    tmp_path: Path, lab: Lab, transport: str, user: str, config: str, place: str
) -> None:
    async def scene(made: Managed) -> None:
        async with await come(made, transport, user) as client:
            with pytest.raises(RpcError) as refused:
                await client.edit(kms(config + (path() if user == "ctrl" else "")))
            check_refused(refused, "access-denied", f"the role {USERS[user]} may not", place)
            assert await configured(client) == []

    play(tmp_path / "state", lab, scene)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (("bob", "alice", "mallory"), "local policy excludes mallory"),
        (("alice", "carol"), "no link from alice to carol"),
        (("bob", "dave"), "does not pass alice"),
    ],
)
def test_what_local_policy_or_the_links_do_not_allow_is_refused_with_its_place_and_all_that_came_with_it(
    tmp_path: Path, lab: Lab, nodes: tuple[str, ...], words: str
) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh("ctrl") as controller:
            with pytest.raises(RpcError) as refused:
                await controller.edit(kms(term(3) + path() + path(7, nodes=nodes, link="odd")))
            check_refused(refused, "invalid-value", words, "'odd'")
            assert await configured(controller) == []
            assert made.running.provision.term == 0

    play(tmp_path / "state", lab, scene)


def test_what_the_file_says_cannot_be_changed_from_outside(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh() as olga:
            with pytest.raises(RpcError) as refused:
                await olga.edit(kms(path(nodes=("dave", "alice"), link="bob-alice")))
            check_refused(refused, "invalid-value", "the configuration file holds it with other nodes")
            with pytest.raises(RpcError) as refused:
                await olga.edit(kms(home("sae-file", "mallory")))
            check_refused(refused, "invalid-value", "the configuration file names another home", "sae-file")

    play(tmp_path / "state", lab, scene)


def test_entries_that_the_file_no_longer_allows_do_not_keep_the_agent_from_starting(tmp_path: Path, lab: Lab) -> None:
    async def write(made: Managed) -> None:
        async with await made.ssh() as olga:
            await olga.edit(kms(path() + path(nodes=("bob", "alice", "dave"), link="bob-dave") + home("sae-1", "bob")))

    def stricter(state: Path) -> Managed:
        made = Managed(state, lab, {})
        made.excluded = frozenset({"dave"})
        return made

    async def read() -> None:
        async with stricter(tmp_path / "state") as made, await made.ssh() as olga:
            assert await configured(olga) == ["alice-bob"]
            assert names(await olga.get_config(), "sae", "home") == ["bob"]

    play(tmp_path / "state", lab, write)
    with capture_logs() as logs:
        asyncio.run(asyncio.wait_for(read(), PATIENCE))
    (line,) = [log for log in logs if log["event"] == "entry dropped"]
    assert (line["entry"], line["reason"]) == ("bob-dave/1/1", "path bob-dave/1/1: local policy excludes dave")


# --- the controller's term --------------------------------------------------------------------------------------------


@transports
def test_a_controller_that_was_replaced_changes_nothing_any_more(tmp_path: Path, lab: Lab, transport: str) -> None:
    async def scene(made: Managed) -> None:
        async with await come(made, transport, "ctrl") as controller:
            await controller.edit(kms(term(5)))
            for config, words in [
                (path(), "each edit of a controller carries its term"),
                (term(4) + path(), "term 5 was accepted before"),
            ]:
                with pytest.raises(RpcError) as refused:
                    await controller.edit(kms(config))
                check_refused(refused, "access-denied", words, "term")
                assert refused.value.app_tag == "stale-term"
            await controller.edit(kms(term(5) + path()))
            await controller.edit(kms(term(6) + path(2)))
            assert len(await configured(controller)) == 2

    async def later(made: Managed) -> None:
        assert made.engine.report().term == 6
        async with await come(made, transport, "ctrl") as controller:
            with pytest.raises(RpcError, match="term 6 was accepted before"):
                await controller.edit(kms(term(5) + path(3)))

    play(tmp_path / "state", lab, scene)
    play(tmp_path / "state", lab, later)


def test_no_rollback_takes_the_term_back(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh() as olga, await made.ssh("ctrl") as controller:
            await controller.edit(kms(term(5)))
            await olga.edit(kms(path()), target="candidate")
            await olga.simple("commit", confirmed=None, confirm_timeout="600", persist="word")
            await controller.edit(kms(term(8) + path(2)))
            await olga.simple("cancel-commit", persist_id="word")
            assert len(await configured(olga)) == 1
            with pytest.raises(RpcError, match="term 8 was accepted before"):
                await controller.edit(kms(term(5) + path(3)))
        assert made.running.provision.term == 8

    play(tmp_path / "state", lab, scene)


# --- who comes in -----------------------------------------------------------------------------------------------------


def test_a_certificate_of_a_role_that_the_file_does_not_give_its_owner_opens_nothing(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        for role, user in (("operator", "audrey"), ("operator", "oscar")):
            with pytest.raises(RemoteError):
                await made.tls(user, role)

    with capture_logs() as logs:
        play(tmp_path / "state", lab, scene)
    assert [log["reason"] for log in logs if log["event"] == "login refused"] == [
        "wrong role: the certificate says operator, the configuration auditor",
        "unknown user: the certificate is valid, and the configuration names nobody like that",
    ]


def test_what_an_unauthenticated_client_sends_reaches_no_session(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        for port in (made.ssh_port, made.tls_port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"<hello xmlns='urn:ietf:params:xml:ns:netconf:base:1.0'/>]]>]]>\r\n")
            assert b"hello" not in await reader.read()
            writer.close()
        assert len(made.plane.sessions) == 0

    play(tmp_path / "state", lab, scene)


# --- events -----------------------------------------------------------------------------------------------------------


@transports
def test_a_subscriber_hears_of_what_happens_at_the_node_with_run_and_number(
    tmp_path: Path, lab: Lab, transport: str
) -> None:
    async def scene(made: Managed) -> None:
        async with await come(made, transport, "ctrl") as controller, await made.ssh() as olga:
            await controller.subscribe()
            await olga.edit(kms(PAIRED))
            asking = asyncio.create_task(made.engine.ask("sae-file", ["sae-1"], 1, 256))
            async for notification in controller.notifications():
                if notification.event.tag == f"{{{KMS}}}new-application":
                    break
            run, event = event_from_xml(notification.event)
            assert run == made.engine.report().run
            assert event.sequence == made.engine.report().sequence
            assert event.body == NewApplication(master="sae-file", slave="sae-1", destination="carol")
            with pytest.raises(ExhaustedError):
                await asking

    play(tmp_path / "state", lab, scene)


def test_the_standards_own_notification_comes_beside_ours(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh("audrey") as audrey, await made.ssh() as olga:
            await audrey.subscribe()
            await olga.edit(kms(PAIRED))
            asking = asyncio.create_task(made.engine.ask("sae-file", ["sae-1"], 1, 256))
            seen = []
            async for notification in audrey.notifications():
                seen.append(notification.event.tag.rpartition("}")[2])
                if seen[-1].startswith("sdqkdn_application"):
                    break
            assert seen[-2:] == ["new-application", "sdqkdn_application_new"]
            asking.cancel()

    play(tmp_path / "state", lab, scene)


# --- ends -------------------------------------------------------------------------------------------------------------


@transports
def test_an_agent_that_stops_ends_its_sessions(tmp_path: Path, lab: Lab, transport: str) -> None:
    async def main() -> None:
        async with managed(tmp_path / "state", lab) as made:
            client = await come(made, transport, "audrey")
        with pytest.raises(RemoteError):
            await client.get()
        await client.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


@transports
def test_a_session_that_another_one_kills_is_gone(tmp_path: Path, lab: Lab, transport: str) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh() as olga:
            victim = await come(made, transport, "audrey")
            await olga.simple("kill-session", session_id=str(victim.session_id))
            with pytest.raises(RemoteError, match="the agent has ended it"):
                await _until_refused(victim)
            await victim.close()

    play(tmp_path / "state", lab, scene)


async def _until_refused(client: NetconfClient) -> None:
    while True:
        await client.get(kms("<state/>"))
