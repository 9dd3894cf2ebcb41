"""What another configuration file changes while sessions are open: who may stay, and what becomes of a commit that waits."""

import asyncio
from pathlib import Path

import asyncssh
import pytest

from quiver.agent.config_management import UserTable
from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.identity.lab import Lab
from quiver.net.netconf_client import NetconfClient
from tests.agent.management_ground import Managed, home, kms, names, path
from tests.agent.test_management import play

PAIR = "<directory><permitted-pair{}><one>{}</one><other>{}</other></permitted-pair></directory>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("policy"))


def others(made: Managed, user: str, *changed: UserTable) -> list[UserTable]:
    """The users with another entry for one, or without it."""
    return [table for table in made.table.users if table.name != user] + list(changed)


def entry(made: Managed, user: str, **changed: object) -> UserTable:
    (found,) = (table for table in made.table.users if table.name == user)
    known = {"name": user, "role": found.role, "ssh_keys": found.ssh_keys}
    return UserTable(**{**known, **changed})  # type: ignore[arg-type]


async def homes(client: NetconfClient) -> list[str]:
    return names(await client.get_config(kms("<directory/>")), "sae", "id")


async def until_ended(client: NetconfClient) -> None:
    with pytest.raises(RemoteError):
        await _ask_on(client)


async def _ask_on(client: NetconfClient) -> None:
    while True:
        await client.get(kms("<state/>"))


@pytest.mark.parametrize("persist", [None, "word"])
def test_a_commit_that_waits_goes_back_at_node_and_datastore_although_users_changed_meanwhile(
    tmp_path: Path, lab: Lab, persist: str | None
) -> None:
    async def scene(made: Managed) -> None:
        words = {} if persist is None else {"persist": persist}
        word = {} if persist is None else {"persist_id": persist}
        async with await made.ssh("olga") as olga:
            await olga.edit(kms(home("sae-x", "bob")), target="candidate")
            await olga.simple("commit", confirmed=None, confirm_timeout="600", **words)
            made.plane.adopt(others(made, "audrey"), {})
            assert await homes(olga) == ["sae-x"]
            assert made.running.provision.homes == {"sae-x": "bob"}
            await olga.simple("cancel-commit", **word)
            assert (await homes(olga), made.running.provision.homes) == ([], {})
            assert made.database.load().fallback == []

    play(tmp_path / "state", lab, scene)


def test_a_commit_that_waits_goes_back_when_its_author_is_no_longer_a_user(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh("olga") as olga, await made.ssh("audrey") as audrey:
            await olga.edit(kms(home("sae-x", "bob")), target="candidate")
            await olga.simple("commit", confirmed=None, confirm_timeout="600")
            made.plane.adopt(others(made, "olga"), {})
            await until_ended(olga)
            while await homes(audrey):  # noqa: ASYNC110  # nobody tells an auditor
                await asyncio.sleep(0)
            assert made.running.provision.homes == {}

    play(tmp_path / "state", lab, scene)


def test_an_entry_that_the_file_forbids_goes_and_no_rollback_brings_it_back(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh("olga") as olga:
            await olga.edit(kms(path() + path(nodes=("bob", "alice", "dave"), link="bob-dave")))
            delete = "<path nc:operation='delete'><virtual-link>bob-dave</virtual-link>{}</path>"
            numbers = "<number>1</number><version>1</version>"
            await olga.edit(kms(delete.format(numbers) + home("sae-x", "bob")), target="candidate")
            await olga.simple("commit", confirmed=None, confirm_timeout="600", persist="word")
            forbidden = made.running.against(made.policy, frozenset({"bob"}))
            assert [edit.key for edit in forbidden] == ["alice-bob/1/1"]
            await made.plane.withdraw(forbidden)
            assert names(await olga.get_config(), "path", "virtual-link") == []
            assert made.running.provision.paths == {}
            await olga.simple("cancel-commit", persist_id="word")
            assert names(await olga.get_config(), "path", "virtual-link") == ["bob-dave"]
            assert await homes(olga) == []
        (author, entries) = made.database.authors()[-2]
        assert (author.cause, author.user, entries) == ("local policy", "", [("path", "alice-bob/1/1", False)])

    play(tmp_path / "state", lab, scene)


def test_a_replaced_key_ends_its_connections_and_nobody_elses(tmp_path: Path, lab: Lab) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh("olga") as olga, await made.tls("olga") as over_tls, await made.ssh("ctrl") as ctrl:
            new = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
            made.plane.adopt(others(made, "olga", entry(made, "olga", ssh_keys=(new,))), {})
            await until_ended(olga)
            with pytest.raises(RemoteError, match="does not admit olga"):
                await made.ssh("olga")
            assert await homes(over_tls) == await homes(ctrl) == []

    play(tmp_path / "state", lab, scene)


@pytest.mark.parametrize("transport", ["ssh", "tls"])
def test_who_has_another_role_now_does_not_go_on_with_the_former_one(tmp_path: Path, lab: Lab, transport: str) -> None:
    async def scene(made: Managed) -> None:
        async with await (made.ssh("olga") if transport == "ssh" else made.tls("olga")) as olga:
            made.plane.adopt(others(made, "olga", entry(made, "olga", role="auditor")), {})
            await until_ended(olga)

    play(tmp_path / "state", lab, scene)


def test_what_stands_against_a_part_of_a_rollback_is_told_as_an_alarm_and_the_rest_goes_back(
    tmp_path: Path, lab: Lab
) -> None:
    async def scene(made: Managed) -> None:
        async with await made.ssh("olga") as olga, await made.ssh("olga") as other:
            await olga.edit(kms(PAIR.format("", "a", "b")))
            await olga.edit(kms(PAIR.format(' nc:operation="delete"', "a", "b")), target="candidate")
            await olga.edit(kms(home("sae-x", "bob")), target="candidate")
            await olga.simple("commit", confirmed=None, confirm_timeout="600")
            await other.edit(kms(PAIR.format("", "b", "a")))
            await olga.simple("cancel-commit")
            assert names(await olga.get_config(), "permitted-pair", "one") == ["b"]
            assert await homes(olga) == []
            await other.simple("lock", target="running")  # nothing waits any more
        while not made.engine.report().alarms:  # noqa: ASYNC110  # the engine tells nobody
            await asyncio.sleep(0)
        assert made.engine.report().alarms == {"rollback-incomplete": 1}

    play(tmp_path / "state", lab, scene)


def test_an_auditor_with_many_sessions_keeps_no_controller_out(
    tmp_path: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NETCONF_SESSIONS", 5)
    monkeypatch.setattr(limits, "NETCONF_SESSIONS_KEPT", 2)
    monkeypatch.setattr(limits, "NETCONF_SESSIONS_PER_USER", 2)

    async def scene(made: Managed) -> None:
        opened = [await made.ssh("audrey"), await made.tls("audrey"), await made.tls("olga")]
        for user in ("audrey", "olga"):
            with pytest.raises(RemoteError):
                await made.tls(user)
        opened += [await made.tls("ctrl"), await made.ssh("ctrl")]
        assert [await homes(client) for client in opened] == [[]] * 5
        for client in opened:
            await client.close()

    play(tmp_path / "state", lab, scene)
