"""An SSH server on loopback that echoes, and clients of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from quiver.net.ssh import SshServer
from quiver.net.ssh_client import SshClient
from quiver.net.ssh_policy import POST_QUANTUM, SshPolicy
from quiver.net.ssh_stream import SshStream

HOST = "127.0.0.1"


def new_key(algorithm: str = "ssh-ed25519") -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(algorithm)


async def echo(user: str, stream: SshStream) -> None:
    """Say who it is, then repeat what comes."""
    await stream.write(f"{user}:".encode())
    while part := await stream.read():
        await stream.write(part)


class Ground:
    """A server with one user, olga."""

    def __init__(self, serve: Any = echo, policy: SshPolicy = POST_QUANTUM, **options: Any) -> None:
        self.host_key, self.key = new_key(), new_key()
        self.keys = {"olga": frozenset({self.key.public_data})}
        self.server = SshServer(
            serve,
            keys=self.keys,
            host_key=self.host_key,
            policy=policy,
            plane="management",
            host=HOST,
            **options,
        )

    @property
    def pinned(self) -> asyncssh.SSHKey:
        return self.host_key.convert_to_public()

    @property
    def port(self) -> int:
        return self.server.address[1]

    async def client(self, **changed: Any) -> SshClient:
        options = {
            "user": "olga",
            "key": self.key,
            "host_keys": [self.pinned],
            "policy": POST_QUANTUM,
            **changed,
        }
        return await SshClient.connect(HOST, self.port, **options)

    async def foreign(self, **options: Any) -> asyncssh.SSHClientConnection:
        """asyncssh's own client with its defaults, which know more than our server allows."""
        return await asyncssh.connect(
            HOST,
            self.port,
            config=None,
            known_hosts=([self.pinned], [], []),
            **{"username": "olga", "client_keys": [self.key], "agent_path": None, **options},
        )


@asynccontextmanager
async def ground(*arguments: Any, **options: Any) -> AsyncIterator[Ground]:
    made = Ground(*arguments, **options)
    await made.server.start()
    try:
        yield made
    finally:
        await made.server.stop()


async def read_exactly(stream: SshStream, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = await stream.read()
        if not part:
            raise asyncio.IncompleteReadError(received, count)
        received += part
    return received
