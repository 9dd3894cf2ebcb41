"""The management plane in a real agent process: what was acknowledged survives `kill -9`, and SIGHUP brings local policy home."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from quiver.domain.errors import RemoteError
from quiver.identity.lab import Lab
from quiver.net.netconf_client import NetconfClient
from quiver.net.ssh_policy import public_key
from tests.agent.configs import AGENT
from tests.agent.management_ground import kms, names, path, term
from tests.net.wire import PATIENCE
from tests.scenarios.processes import QUIVER

KEYS = {user: asyncssh.generate_private_key("ssh-ed25519") for user in ("ctrl", "olga")}


def _line(user: str) -> str:
    return KEYS[user].export_public_key().decode().strip()


MANAGEMENT = f"""
[management]
ssh_listen = "127.0.0.1:0"
tls_listen = "127.0.0.1:0"
certificate = "management-alice.pem"
private_key = "management-alice.key"
trust = ["management-ca.pem"]
users = [
  {{ name = "ctrl", role = "controller", ssh_keys = ["{_line("ctrl")}"] }},
  {{ name = "olga", role = "operator", ssh_keys = ["{_line("olga")}"] }},
]

[policy]
excluded_nodes = ["mallory"]
"""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("life")
    directory.chmod(0o700)
    lab = Lab(directory)
    for profile in ("node", "kme", "kme-pq", "device-client", "management"):
        lab.issue(profile, "alice")
    text = AGENT
    for address in ("127.0.0.1:8443", "[::1]:8444", "127.0.0.1:9100"):
        text = text.replace(address, "127.0.0.1:0")
    (directory / "agent.toml").write_text(text + MANAGEMENT)
    return directory


@pytest.fixture
def config(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine, tmp_path / "agent")
    return tmp_path / "agent" / "agent.toml"


class Agent:
    """A running `quiver agent run`."""

    def __init__(self, config: Path) -> None:
        command = [QUIVER, "agent", "run", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.told: dict[str, Any] = json.loads(line)

    def log(self, event: str) -> dict[str, Any]:
        """The next line of its log with this event."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if (entry := json.loads(line))["event"] == event:
                return entry
        raise AssertionError(f"the agent ended without {event}")

    async def session(self, user: str) -> NetconfClient:
        return await NetconfClient.over_ssh(
            self.told["netconf_ssh_host"],
            self.told["netconf_ssh_port"],
            user=user,
            key=KEYS[user],
            host_keys=[public_key(self.told["ssh_host_key"])],
        )


@contextmanager
def agent(config: Path) -> Iterator[Agent]:
    made = Agent(config)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def run(scene: Any) -> Any:
    return asyncio.run(asyncio.wait_for(scene, PATIENCE))


def hang_up(running: Agent, config: Path, old: str, new: str) -> None:
    """Another configuration file, and the signal."""
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    os.kill(running.process.pid, signal.SIGHUP)


async def configured(running: Agent) -> list[str]:
    async with await running.session("olga") as olga:
        return names(await olga.get_config(kms("<path/>")), "path", "virtual-link")


def test_on_its_own_machine_and_only_while_it_does_not_run_an_agent_forgets_its_term(config: Path) -> None:
    def forget() -> tuple[int, str]:
        done = subprocess.run(
            [QUIVER, "agent", "forget-term", str(config)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    async def write(running: Agent, number: int) -> None:
        async with await running.session("ctrl") as controller:
            await controller.edit(kms(term(number) + (path() if number > 7 else "")))

    code, said = forget()
    assert (code, "nothing has come over NETCONF yet" in said) == (1, True)
    with agent(config) as running:
        run(write(running, 1 << 30))
        code, said = forget()
        assert (code, "another process uses it" in said) == (1, True)
    assert forget() == (0, "node alice: term 1073741824 is forgotten\n")
    with agent(config) as running:
        run(write(running, 7))
        assert run(configured(running)) == ["alice-bob"]


def test_an_acknowledged_edit_and_the_term_survive_kill_9_and_so_does_the_servers_key(config: Path) -> None:
    async def write(running: Agent) -> None:
        controller = await running.session("ctrl")
        await controller.edit(kms(term(7) + path()))
        os.kill(running.process.pid, signal.SIGKILL)
        await controller.close()

    async def read(running: Agent) -> None:
        assert await configured(running) == ["alice-bob"]
        async with await running.session("ctrl") as controller:
            with pytest.raises(Exception, match="term 7 was accepted before"):
                await controller.edit(kms(term(6)))

    with agent(config) as first:
        run(write(first))
        line = first.told["ssh_host_key"]
    public = (config.parent / "state" / "ssh_host_key.pub").read_text()
    assert public.startswith(line)
    assert (config.parent / "state" / "ssh_host_key").stat().st_mode & 0o777 == 0o600
    with agent(config) as second:
        assert second.told["ssh_host_key"] == line
        run(read(second))


def test_a_lost_key_database_leaves_the_configuration(config: Path) -> None:
    async def write(running: Agent) -> None:
        async with await running.session("olga") as olga:
            await olga.edit(kms(path()))

    with agent(config) as first:
        run(write(first))
    for file in (config.parent / "state").glob("keys.sqlite*"):
        file.unlink()
    with agent(config) as second:
        assert run(configured(second)) == ["alice-bob"]


def test_sighup_takes_out_what_local_policy_excludes_now_also_for_sessions_that_are_open(config: Path) -> None:
    async def scene(running: Agent) -> None:
        async with await running.session("olga") as olga:
            await olga.edit(kms(path() + path(nodes=("bob", "alice", "dave"), link="bob-dave")))
            hang_up(running, config, '["mallory"]', '["mallory", "dave"]')
            running.log("configuration taken over")
            assert names(await olga.get_config(kms("<path/>")), "path", "virtual-link") == ["alice-bob"]

    with agent(config) as running:
        run(scene(running))
    with agent(config) as again:
        assert run(configured(again)) == ["alice-bob"]


def test_sighup_shuts_out_a_user_who_was_taken_out_of_the_file_and_lets_a_new_one_in(config: Path) -> None:
    async def scene(running: Agent) -> None:
        olga = await running.session("olga")
        hang_up(running, config, 'name = "olga"', 'name = "otto"')
        with pytest.raises(RemoteError):
            await _until_ended(olga)
        await olga.close()
        with pytest.raises(RemoteError, match="does not admit olga"):
            await running.session("olga")
        KEYS["otto"] = KEYS["olga"]
        await (await running.session("otto")).close()

    with agent(config) as running:
        run(scene(running))


async def _until_ended(client: NetconfClient) -> None:
    while True:
        await client.get(kms("<state/>"))
