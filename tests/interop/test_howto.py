"""The examples of docs/howto/netconf.md do what the page says."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

import pytest

from quiver.agent.config import parse_agent
from quiver.identity.profiles import profile_named
from tests.agent.configs import AGENT
from tests.agent.management_ground import Managed
from tests.interop.conftest import key_file
from tests.interop.visitors import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "netconf.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block of this language."""
    return PAGE.partition(f"```{language}\n")[2].partition("```")[0]


def placed(text: str, node: Managed) -> str:
    """With the address, the user's key and the server's key that are real here."""
    host_key = node.host_key.export_public_key().decode().split()[1]
    text = text.replace("192.0.2.1", "127.0.0.1").replace("830", str(node.ssh_port)).replace("AAAA...", host_key)
    return text.replace("olga.key", str(key_file(node, "olga")))


def test_the_users_table_is_a_configuration(node: Managed) -> None:
    line = node.keys["olga"].export_public_key().decode().strip()
    text = block("toml").replace("ssh-ed25519 AAAA... olga@example", line)
    config = parse_agent(AGENT + text, Path("/etc/quiver"))
    assert config.management is not None
    assert [user.name for user in config.management.users] == ["olga"]


def test_the_python_example_edits_reads_and_subscribes(node: Managed) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(placed(block("python"), node), "netconf.md", "exec"), {})
    lines = [line for line in printed.getvalue().splitlines() if " is at home " in line or " bytes of pad " in line]
    assert lines == [
        "sae-9 is at home at carol",
        "0 bytes of pad towards bob",
        "0 bytes of pad towards dave",
    ]
    assert node.running.provision.homes == {"sae-9": "carol"}


def test_the_pki_profiles_of_the_page_exist() -> None:
    named = re.findall(r"--profile (\S+)|profile\s+`([a-z-]+)`", PAGE)
    assert named, "the page says which"
    for name in named:
        assert profile_named("".join(name))


@pytest.mark.system
def test_the_yangcli_example_edits_commits_and_reads(node: Managed, tmp_path: Path) -> None:
    key = key_file(node, "olga")
    key.with_name(f"{key.name}.pub").write_bytes(node.keys["olga"].export_public_key())
    (tmp_path / "change.xml").write_text(block("xml"))
    (tmp_path / "commands").write_text(block("text"))
    command = placed(block("bash"), node)
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    printed = " ".join(done.stdout.split())
    assert "sae sae-9 { id sae-9 home carol }" in printed
    assert "pad bob { neighbour bob own 0" in printed
    assert node.running.provision.homes == {"sae-9": "carol"}
