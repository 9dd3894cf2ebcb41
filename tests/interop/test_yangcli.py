"""Debian's yangcli, a NETCONF client in C of another house: it logs in with a key, loads our modules, edits, commits, reads."""

import subprocess
from pathlib import Path

import pytest

from quiver.protocols.yang.library import DIRECTORY
from tests.agent.management_ground import HOST, Managed, home, path
from tests.interop.conftest import key_file
from tests.interop.visitors import PATIENCE

KMS = "urn:quiver:yang:quiver-kms"
MODULES = "/usr/share/yuma/modules"


def yangcli(node: Managed, user: str, directory: Path, *commands: str) -> str:
    """What it prints when it runs these commands."""
    private = key_file(node, user)
    public = private.with_suffix(".pub")
    public.write_bytes(node.keys[user].export_public_key())
    script = directory / "script"
    script.write_text("".join(f"{command}\n" for command in commands))
    command = [
        "yangcli",
        f"--server={HOST}",
        f"--ncport={node.ssh_port}",
        f"--user={user}",
        f"--public-key={public}",
        f"--private-key={private}",
        "--batch-mode",
        f"--run-script={script}",
        f"--modpath={DIRECTORY}:{MODULES}",
        "--log-level=info",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout


@pytest.mark.system
def test_yangcli_logs_in_with_a_key_gets_edits_and_commits(node: Managed, tmp_path: Path) -> None:
    edit = tmp_path / "edit.xml"
    edit.write_text(f'<kms xmlns="{KMS}">{home("sae-1", "carol")}{path()}</kms>')
    printed = yangcli(
        node,
        "olga",
        tmp_path,
        f"edit-config target=candidate default-operation=merge config=@{edit}",
        "create /kms/directory/sae[id='sae-2']/home --value='bob'",
        "commit",
        "sget-config source=running /kms",
        "sget /kms/state/configured-path",
    )
    assert "Protocol version set to: RFC 6241 (base:1.1)" in printed
    assert printed.count("RPC OK Reply") == 3
    read = " ".join(printed.partition("RPC Data Reply")[2].split())
    assert "sae sae-1 { id sae-1 home carol }" in read
    assert "sae sae-2 { id sae-2 home bob }" in read
    assert read.count("path alice-bob 1 1 { virtual-link alice-bob number 1 version 1 node alice node bob") == 2
    assert node.running.provision.homes == {"sae-1": "carol", "sae-2": "bob"}


@pytest.mark.system
def test_yangcli_is_told_what_it_may_not_do(node: Managed, tmp_path: Path) -> None:
    edit = tmp_path / "edit.xml"
    edit.write_text(f'<kms xmlns="{KMS}">{path()}</kms>')
    command = f"edit-config target=running default-operation=merge config=@{edit}"
    printed = yangcli(node, "audrey", tmp_path, command)
    assert "error-tag access-denied" in printed
    assert node.running.provision.paths == {}
