"""`quiver controller` and `quiver network` as people and scripts have them: a process, its one line, tables, JSON, exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from quiver.cli.main import app
from quiver.identity.lab import Lab
from quiver.net.tls import Credentials

CONFIG = """
[controller]
id = "controller-1"
state = "state"
[management]
certificate = "{own.certificate}"
private_key = "{own.private_key}"
trust = ["{trust}"]
[northbound]
listen = "127.0.0.1:0"
certificate = "{north.certificate}"
private_key = "{north.private_key}"
trust = ["{trust}"]
[metrics]
listen = "127.0.0.1:0"
[[agents]]
id = "a"
tls = "127.0.0.1:1"
[[agents]]
id = "b"
tls = "127.0.0.1:1"
[[demands]]
name = "a-b"
source = "a"
destination = "b"
"""
START = "from quiver.cli.controller import app; app()"


class Running:
    """A controller in a process of its own; its agents are not there."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.lab = directory, Lab(directory / "lab")
        self.trust = self.lab.management_trust[0]
        self.config = directory / "controller.toml"
        own, north = self.lab.issue("controller", "controller-1"), self.lab.issue("northbound", "controller-1")
        self.config.write_text(CONFIG.format(own=own, north=north, trust=self.trust))
        self.operator = self.lab.issue("operator", "anna")
        self.auditor = self.lab.issue("auditor", "otto")
        self.process = self.start()
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())
        state = directory / "demo" / "controller"
        state.mkdir(parents=True, mode=0o700)
        access = {
            "url": self.ready["url"],
            "certificate": str(self.operator.certificate),
            "private_key": str(self.operator.private_key),
            "ca": str(self.trust),
        }
        (state / "operator.json").write_text(json.dumps(access))
        self.state = directory / "demo"

    def start(self) -> "subprocess.Popen[str]":
        with (self.directory / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-c", START, "run", self.config], stdout=subprocess.PIPE, stderr=log, text=True
            )

    def ask(self, *arguments: object, who: Credentials | None = None) -> Result:
        """A command, by the operator."""
        own = who or self.operator
        options = ["--controller", self.ready["url"], "--cert", own.certificate, "--key", own.private_key]
        return quiver(*arguments, *options, "--ca", self.trust)

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask until something holds; nothing is measured by the time that ends it."""
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end

    def json(self, *arguments: object) -> Any:
        """What a command prints with --json."""
        done = self.ask(*arguments, "--json")
        assert done.exit_code == 0, done.output
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)


def quiver(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["network", *map(str, arguments)])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("controller")
    found = Running(directory)
    with found.process:
        try:
            yield found
        finally:
            found.process.send_signal(signal.SIGTERM)
            assert found.process.stdout is not None
            rest = found.process.stdout.read()
            assert (found.process.wait(timeout=30), rest) == (0, "")


def test_the_ready_line_says_where_it_listens(running: Running) -> None:
    assert running.ready["controller"] == "controller-1"
    assert running.ready["pid"] == running.process.pid
    assert running.ready["url"].startswith("https://127.0.0.1:")
    assert running.ready["metrics_url"].startswith("http://127.0.0.1:")


def test_a_second_controller_with_the_same_state_does_not_start(running: Running) -> None:
    second = running.start()
    assert second.stdout is not None
    assert second.stdout.read() == ""
    assert second.wait(timeout=60) == 1
    second.stdout.close()
    assert "another process uses it" in (running.directory / "log").read_text()


def test_looking_gives_tables_for_people_and_one_object_for_scripts(running: Running) -> None:
    for command, word in (
        ("show", "controller controller-1"),
        ("links", "no link is named by both its ends"),
        ("paths", "a-b/1"),
        ("demands", "0 of 1"),
        ("agents", "127.0.0.1:1"),
        ("alarms", "demand-unserved"),
        ("history", "demanded"),
    ):
        shown = running.ask(command)
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert word in shown.stdout
    shown = running.json("show")
    assert shown["network"]["demands"] == 1
    assert [row["node"] for row in shown["nodes"]] == ["a", "b"]
    assert running.json("history", "--limit", "1", "--after", "0")["history"][0]["number"] == 1


def test_a_demand_is_made_and_given_up(running: Running) -> None:
    running.json("agent", "add", "z", "--tls", "127.0.0.1:1")
    made = running.json("demand", "add", "v", "b", "a", "--depth", 8192, "--priority", 0, "--exclude", "z")
    assert (made["name"], made["depth"], made["excluded"], made["origin"]) == ("v", 8192, ["z"], "operator")
    assert [row["demand"]["name"] for row in running.json("demands")["demands"]] == ["a-b", "v"]
    assert running.ask("demand", "remove", "v").stdout == "demand v is given up\n"
    assert running.ask("agent", "remove", "z").exit_code == 0
    assert [row["demand"]["name"] for row in running.json("demands")["demands"]] == ["a-b"]


def test_a_node_is_drained_and_used_again(running: Running) -> None:
    assert running.json("drain", "node", "a") == {"what": "node", "name": "a"}
    assert running.json("show")["nodes"][0]["drained"]
    assert running.ask("undrain", "node", "a").exit_code == 0
    assert not running.json("show")["nodes"][0]["drained"]


def test_an_agent_is_made_known_and_dismissed(running: Running) -> None:
    keys = running.directory / "host.pub"
    keys.write_text("# its keys\nssh-ed25519 AAAA c\n")
    refused = running.ask("agent", "add", "c", "--ssh", "127.0.0.1:1", "--host-key", keys)
    assert (refused.exit_code, "host_keys[0]" in refused.stderr) == (1, True)
    made = running.json("agent", "add", "c", "--tls", "127.0.0.1:1", "--peer", "127.0.0.1:2")
    assert made["peer"] == "127.0.0.1:2"
    assert running.ask("agent", "remove", "c").exit_code == 0
    assert len(running.json("agents")["agents"]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("demand", "add", "a-b", "a", "b"), "demand a-b is there already; PUT changes it (409)"),
        (("demand", "remove", "a-b"), "configuration file; change it there and send SIGHUP (409)"),
        (("demand", "add", "w", "a", "nobody"), "destination: there is no node 'nobody' in the network"),
        (("demand", "add", "w", "a", "b", "--exclude", "B"), "excluded: there is no node 'B' in the network"),
        (("demand", "remove", "x"), "there is no demand x (404)"),
        (("drain", "link", "x"), "there is no link x (404)"),
        (("undrain", "node", "a"), "node a is not drained (404)"),
    ],
)
def test_what_the_controller_refuses_is_one_line_on_stderr(
    running: Running, arguments: tuple[str, ...], said: str
) -> None:
    refused = running.ask(*arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("quiver: controller: ")
    assert said in refused.stderr


def test_an_auditor_sees_and_orders_nothing(running: Running) -> None:
    assert running.ask("show", who=running.auditor).exit_code == 0
    refused = running.ask("drain", "node", "a", who=running.auditor)
    assert (refused.exit_code, "only operators write (403)" in refused.stderr) == (1, True)


def test_the_controller_of_a_demo_is_found_by_its_state(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quiver("show", "--state", running.state).exit_code == 0
    assert "operator.json: No such file" in quiver("show", "--state", tmp_path).stderr
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert "no controller runs here" in quiver("show").stderr
    for name in ("quiver-1", "quiver-2"):
        assert quiver("show").exit_code == (1 if name == "quiver-1" else 0)
        (tmp_path / name).symlink_to(running.state)
    twice = quiver("show")
    assert (twice.exit_code, "2 controllers run here" in twice.stderr) == (1, True)


def test_the_url_of_a_demos_controller_is_enough_where_several_demos_run(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    nobody = quiver("show", "--controller", running.ready["url"])
    assert (nobody.exit_code, "--cert, --key and --ca say who asks" in nobody.stderr) == (1, True)
    (tmp_path / "quiver-1").symlink_to(running.state)
    other = tmp_path / "quiver-2" / "controller"
    other.mkdir(parents=True, mode=0o700)
    access = json.loads((running.state / "controller" / "operator.json").read_text())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        access["url"] = f"https://127.0.0.1:{listening.getsockname()[1]}"
        (other / "operator.json").write_text(json.dumps(access))
        assert quiver("show").exit_code == 1
        shown = quiver("show", "--controller", f"{running.ready['url']}/")
    assert (shown.exit_code, "controller controller-1" in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("links", "--cert", "x"),
        ("links", "--controller", "https://h:1", "--cert", "c"),
        ("links", "--state", "x", "--controller", "https://h:1", "--cert", "c", "--key", "k", "--ca", "c"),
        ("drain", "city", "x"),
        ("drain", "node"),
        ("history", "--limit", "0"),
        ("nothing",),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert quiver(*arguments).exit_code == 2


def test_a_controller_that_is_not_there_ends_with_1(running: Running) -> None:
    own = running.operator
    options = ["--cert", own.certificate, "--key", own.private_key, "--ca", running.trust]
    gone = quiver("show", "--controller", "https://127.0.0.1:1", *options)
    assert (gone.exit_code, "unreachable" in gone.stderr) == (1, True)


def test_hanging_up_takes_over_what_the_file_says_now(running: Running) -> None:
    text = running.config.read_text()
    try:
        running.config.write_text(text + '[[agents]]\nid = "joined"\ntls = "127.0.0.1:1"\n')
        os.kill(running.process.pid, signal.SIGHUP)
        running.until(lambda: "joined" in {row["node"] for row in running.json("show")["nodes"]})
        running.config.write_text("nonsense")
        os.kill(running.process.pid, signal.SIGHUP)
        running.until(lambda: "configuration not taken over" in (running.directory / "log").read_text())
        assert {row["node"] for row in running.json("show")["nodes"] if not row["leaving"]} == {"a", "b", "joined"}
    finally:
        running.config.write_text(text)


def test_check_finds_mistakes_and_changes_nothing(running: Running, tmp_path: Path) -> None:
    def check(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["controller", "check", *map(str, arguments)])

    good = check(running.config)
    assert (good.exit_code, "no mistake found" in good.stdout) == (0, True)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(running.config.read_text().replace('id = "a"', 'idd = "a"', 1))
    refused = check(wrong, "--json")
    assert refused.exit_code == 1
    (finding,) = json.loads(refused.stdout)["findings"]
    assert "agents[0]: Object contains unknown field `idd`; allowed are id, tls, ssh, host_keys, peer" in finding
