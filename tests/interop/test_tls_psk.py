"""The example of docs/howto/exec.md: OpenSSL's own programs speak TLS 1.3 under a relayed key, and with no other."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from quiver.net.ports import free_ports
from tests.consume.ground import both_ends, play, rolled_over

pytestmark = pytest.mark.system

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "tls_psk.py"
ANSWER = b"Reused, TLSv1.3"


async def visit(server, client):
    """What `openssl s_client` says that holds one session file, to a server that holds another one."""
    (port,) = free_ports(1)
    identity = Path(f"{server}.id").read_text()  # noqa: ASYNC240
    words = ("-tls1_3", "-psk_identity", identity)
    serving = await asyncio.create_subprocess_exec(
        *(
            "openssl",
            "s_server",
            "-accept",
            f"127.0.0.1:{port}",
            "-nocert",
            "-naccept",
            "1",
            "-psk_session",
            str(server),
        ),
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await serving.stdout.readuntil(b"ACCEPT")
        visiting = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-psk_session", str(client), *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await visiting.communicate()
        return said
    finally:
        if serving.returncode is None:
            serving.kill()
        await serving.communicate()


def test_openssl_speaks_tls_under_each_relayed_key_and_refuses_the_one_before(lab, tmp_path):
    files = {role: tmp_path / role / "session.pem" for role in ("initiator", "responder")}

    async def scene(sites):
        paths = {}
        for role, file in files.items():
            file.parent.mkdir()
            tables = f'[exec]\ncommand = ["{sys.executable}", "{EXAMPLE}", "{file}"]\n'
            paths[role] = sites.write(role, tables, rollover='interval = 3600\nwhen_exhausted = "keep"\nkeep = 7200')
        async with both_ends(paths["initiator"], paths["responder"]) as ends:
            await rolled_over(ends, 1)
        assert ANSWER in await visit(files["responder"], files["initiator"])
        assert files["initiator"].stat().st_mode & 0o077 == 0
        before = tmp_path / "before.pem"
        shutil.copy(files["initiator"], before)
        async with both_ends(
            paths["initiator"], paths["responder"]
        ) as ends:  # the first thing that both do is to change keys
            await rolled_over(ends, 1)
        assert ANSWER in await visit(files["responder"], files["initiator"])
        said = await visit(files["responder"], before)
        assert ANSWER not in said
        assert b"alert" in said

    play(lab, tmp_path, scene)
