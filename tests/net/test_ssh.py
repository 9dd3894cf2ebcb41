"""SSH: who gets in, what can be asked for, and how much of the process a connection can take up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncssh
import pytest
from asyncssh.channel import SSHClientChannel
from structlog.testing import capture_logs

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, RemoteError
from quiver.net.places import Places
from quiver.net.ssh_client import SshClient
from quiver.net.ssh_policy import (
    POST_QUANTUM,
    WITH_CLASSICAL,
    make_host_key,
    public_key,
    public_line,
    read_private_key,
)
from quiver.net.ssh_stream import SshStream
from tests.net.ssh_ground import HOST, Ground, ground, new_key, read_exactly
from tests.net.wire import LoopFactory, run

Scene = Callable[[Ground], Coroutine[Any, Any, Any]]


def play(loop_factory: LoopFactory, scene: Scene, *arguments: Any, **options: Any) -> Any:
    """A scene on a fresh ground; what it returns."""

    async def main() -> Any:
        async with ground(*arguments, **options) as made:
            return await scene(made)

    return run(loop_factory, main())


def test_a_user_with_its_key_gets_the_subsystem_and_bytes_go_both_ways(loop_factory):
    async def scene(made: Ground) -> bytes:
        client = await made.client()
        stream = await client.open()
        sent = bytes(range(256)) * 8192  # 2 MiB: more than a window
        writing = asyncio.create_task(stream.write(sent))
        received = await read_exactly(stream, len(b"olga:") + len(sent))
        await writing
        await stream.close()
        await client.close()
        assert received == b"olga:" + sent
        return received

    play(loop_factory, scene)


def test_a_peer_that_ends_its_side_gets_what_was_still_to_be_sent(loop_factory):
    async def late(user: str, stream: SshStream) -> None:
        del user
        while await stream.read():
            pass
        await stream.write(b"done")

    async def scene(made: Ground) -> None:
        connection = await made.foreign()
        async with connection, await connection.create_process(subsystem="netconf", encoding=None) as process:
            process.stdin.write(b"all of it")
            process.stdin.write_eof()
            assert await process.stdout.read() == b"done"
            assert (await process.wait()).exit_status == 0

    play(loop_factory, scene, late)


@pytest.mark.parametrize("who", ["unknown user", "unknown key"])
def test_strangers_are_refused_and_the_log_says_why(loop_factory, who):
    async def scene(made: Ground) -> None:
        changed = {"user": "mallory"} if who == "unknown user" else {"key": new_key()}
        with pytest.raises(RemoteError, match="does not admit"):
            await made.client(**changed)

    with capture_logs() as logs:
        play(loop_factory, scene)
    (line,) = [log for log in logs if log["event"] == "login refused"]
    assert line["reason"].startswith(who)
    assert line["key"].startswith("SHA256:")
    assert line["peer"] == HOST


def test_passwords_are_not_asked_for(loop_factory):
    async def scene(made: Ground) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            await made.foreign(client_keys=[], password="secret", preferred_auth="password,keyboard-interactive")

    play(loop_factory, scene)


def test_a_client_that_tries_many_keys_is_cut_off(loop_factory):
    async def scene(made: Ground) -> None:
        many = [new_key() for _ in range(limits.SSH_ATTEMPTS + 1)]
        with pytest.raises((asyncssh.Error, OSError)):
            await made.foreign(client_keys=[*many, made.key])

    play(loop_factory, scene)


@pytest.mark.parametrize(
    "ask",
    [
        lambda connection: connection.run("id", check=True),
        lambda connection: connection.create_process(),
        lambda connection: connection.start_sftp_client(),
        lambda connection: connection.create_process(subsystem="shell"),
        lambda connection: connection.open_connection("127.0.0.1", 22),
        lambda connection: connection.open_unix_connection("/run/socket"),
        lambda connection: connection.start_server(lambda *_: None, "127.0.0.1", 0),
    ],
    ids=["command", "shell", "sftp", "other subsystem", "forwarding", "unix forwarding", "remote forwarding"],
)
def test_nothing_but_the_subsystem_can_be_had(loop_factory, ask):
    async def scene(made: Ground) -> None:
        async with await made.foreign() as connection:
            with pytest.raises((asyncssh.Error, asyncssh.ChannelListenError, OSError)):
                await ask(connection)

    play(loop_factory, scene)


@pytest.mark.parametrize(
    "weak",
    [
        {"kex_algs": ["curve25519-sha256"]},
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"encryption_algs": ["aes128-ctr"]},
        {"encryption_algs": ["aes256-ctr"]},
    ],
    ids=lambda weak: next(iter(weak.values()))[0],
)
def test_without_leave_for_classical_algorithms_only_post_quantum_ones_are_spoken(loop_factory, weak):
    async def scene(made: Ground) -> None:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await made.foreign(**weak)

    with capture_logs() as logs:
        play(loop_factory, scene)
    # Either side may notice it first; a client that hangs up can take its offer with it.
    ours = "no algorithms in common (key exchanges here: mlkem768x25519-sha256"
    assert any(log.get("reason", "").startswith((ours, "the peer hung up")) for log in logs)


def test_with_leave_elliptic_curves_are_spoken_and_old_ones_still_are_not(loop_factory):
    async def scene(made: Ground) -> None:
        async with await made.foreign(kex_algs=["curve25519-sha256"], encryption_algs=["aes256-ctr"]):
            pass
        for weak in ("diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1"):
            with pytest.raises(asyncssh.KeyExchangeFailed):
                await made.foreign(kex_algs=[weak])

    play(loop_factory, scene, policy=WITH_CLASSICAL)


def test_a_client_speaks_to_the_pinned_server_only(loop_factory):
    async def scene(made: Ground) -> None:
        with pytest.raises(RemoteError, match="not the one that is pinned"):
            await made.client(host_keys=[new_key().convert_to_public()])

    play(loop_factory, scene)


def test_a_client_does_not_fall_back_to_a_classical_key_exchange(loop_factory):
    async def scene(made: Ground) -> None:
        async def old_server() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                HOST, 0, server_host_keys=[made.host_key], kex_algs=["curve25519-sha256"], gss_host=None
            )

        async with await old_server() as listening:
            port = listening.sockets[0].getsockname()[1]
            with pytest.raises(RemoteError, match="no SSH algorithms in common"):
                await SshClient.connect(
                    HOST, port, user="olga", key=made.key, host_keys=[made.pinned], policy=POST_QUANTUM
                )

    play(loop_factory, scene)


def test_a_connection_has_a_bounded_number_of_channels(loop_factory):
    async def scene(made: Ground) -> None:
        client = await made.client()
        streams = [await client.open() for _ in range(limits.SSH_CHANNELS)]
        with pytest.raises(RemoteError, match="no subsystem"):
            await client.open()
        await streams[0].close()
        while True:  # the server has to hear of it first
            try:
                await client.open()
                break
            except RemoteError:
                await asyncio.sleep(0)
        await client.close()

    play(loop_factory, scene)


async def silent_channel(connection: asyncssh.SSHClientConnection) -> SSHClientChannel[bytes]:
    """A channel of a client that does not ask for a subsystem."""
    loop = asyncio.get_running_loop()
    channel = SSHClientChannel[bytes](connection, loop, True, None, "strict", 1 << 21, 1 << 15)
    await channel._open(b"session")
    channel._session = asyncssh.SSHClientSession[bytes]()
    return channel


def test_channels_without_a_subsystem_count_and_are_closed_after_a_while(loop_factory, monkeypatch):
    async def scene(made: Ground) -> None:
        async with await made.foreign() as connection:
            monkeypatch.setattr(limits, "SSH_SUBSYSTEM_TIME", 3600.0)
            for _ in range(limits.SSH_CHANNELS - 1):
                await silent_channel(connection)
            monkeypatch.setattr(limits, "SSH_SUBSYSTEM_TIME", 0.05)
            last = await silent_channel(connection)
            with pytest.raises(asyncssh.ChannelOpenError):
                await silent_channel(connection)
            await last.wait_closed()
            _, stream = await connection.create_session(asyncssh.SSHClientSession, subsystem="netconf", encoding=None)
            assert stream is not None

    play(loop_factory, scene)


def test_who_lost_a_key_is_let_go_of_and_gets_no_channel_any_more(loop_factory):
    async def scene(made: Ground) -> None:
        one, other = await made.client(), await made.client()
        stream = await one.open()
        assert await read_exactly(stream, len(b"olga:")) == b"olga:"
        made.keys["olga"] = frozenset({new_key().public_data})
        with pytest.raises(RemoteError, match="no subsystem"):
            await other.open()
        made.server.expel()
        assert await stream.read() == b""
        for client in (one, other):
            with pytest.raises(RemoteError):
                await client.open()
            await client.close()

    play(loop_factory, scene)


def test_who_keeps_a_key_is_not_disturbed_when_others_lose_theirs(loop_factory):
    async def scene(made: Ground) -> None:
        client = await made.client()
        stream = await client.open()
        made.keys["olga"] |= {new_key().public_data}
        made.server.expel()
        await stream.write(b"still here")
        assert await read_exactly(stream, len(b"olga:still here")) == b"olga:still here"
        await client.close()

    play(loop_factory, scene)


def test_one_user_does_not_take_all_connections(loop_factory):
    async def scene(made: Ground) -> None:
        clients = [await made.client() for _ in range(2)]
        streams = [await client.open() for client in clients]
        third = await made.client()
        with pytest.raises(RemoteError):
            await third.open()
        await third.close()
        await clients[0].close()
        assert await streams[0].read() in (b"", b"olga:")
        while True:  # the server has to hear of it first
            client = await made.client()
            try:
                await client.open()
                break
            except RemoteError:
                await client.close()
        await client.close()
        await clients[1].close()

    play(loop_factory, scene, places=Places(8, each=2, kept=1, favoured=lambda _: False))


def test_strangers_who_say_nothing_do_not_keep_others_out_for_longer_than_the_handshake_may_take(
    loop_factory, monkeypatch
):
    monkeypatch.setattr(limits, "HANDSHAKE_TIME", 1.0)

    async def scene(made: Ground) -> None:
        silent = [await asyncio.open_connection(HOST, made.port) for _ in range(limits.MANAGEMENT_HANDSHAKES)]
        async with await made.foreign():
            pass
        for _, writer in silent:
            writer.close()

    with capture_logs() as logs:
        play(loop_factory, scene)
    assert any("not done in" in log.get("reason", "") for log in logs)


def test_a_connection_ends_at_its_greatest_age(loop_factory):
    async def scene(made: Ground) -> None:
        client = await made.client()
        stream = await client.open()
        assert await read_exactly(stream, len(b"olga:")) == b"olga:"
        assert await stream.read() == b""
        with pytest.raises(ConnectionError):
            await stream.write(b"too late")
        await client.close()

    play(loop_factory, scene, age=1.0)


def test_a_peer_that_reads_nothing_is_given_up(loop_factory, monkeypatch):
    monkeypatch.setattr(limits, "STREAM_WRITE", 0.3)
    given_up = asyncio.Event()

    async def flood(user: str, stream: SshStream) -> None:
        del user
        try:
            while True:
                await stream.write(bytes(65_536))
        except ConnectionError:
            given_up.set()

    async def scene(made: Ground) -> None:
        class Deaf(asyncssh.SSHClientSession[bytes]):
            def connection_made(self, chan: Any) -> None:
                chan.pause_reading()

        async with await made.foreign() as connection:
            await connection.create_session(Deaf, subsystem="netconf", encoding=None)
            await given_up.wait()

    play(loop_factory, scene, flood)


def test_a_peer_with_a_huge_window_that_reads_nothing_from_its_socket_is_given_up(loop_factory, monkeypatch):
    monkeypatch.setattr(limits, "STREAM_WRITE", 0.3)
    given_up = asyncio.Event()
    sent = 0

    async def flood(user: str, stream: SshStream) -> None:
        nonlocal sent
        del user
        try:
            while True:
                await stream.write(bytes(65_536))
                sent += 65_536
        except ConnectionError:
            given_up.set()

    async def scene(made: Ground) -> None:
        connection = await made.foreign()
        await connection.create_session(
            asyncssh.SSHClientSession, subsystem="netconf", encoding=None, window=0xFFFF_FFFF
        )
        connection._transport.pause_reading()
        await given_up.wait()
        assert sent < 32 * 1024 * 1024  # what both kernels hold; never what a window of 4 GiB allows
        connection.abort()

    play(loop_factory, scene, flood)


@pytest.mark.parametrize("algorithm", ["ssh-rsa", "ssh-ed448"])
def test_only_modern_keys_are_taken(algorithm, tmp_path):
    key = asyncssh.generate_private_key(algorithm)
    with pytest.raises(ConfigurationError, match="allowed are ssh-ed25519"):
        public_key(key.export_public_key().decode())
    file = tmp_path / "key"
    file.write_bytes(key.export_private_key())
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="allowed are ssh-ed25519"):
        read_private_key(file)


def test_private_keys_that_others_may_read_or_that_need_a_password_are_refused(tmp_path):
    file = tmp_path / "key"
    file.write_bytes(new_key().export_private_key("openssh"))
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_private_key(file)
    file.write_bytes(new_key().export_private_key("openssh", passphrase="words", rounds=50))
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match="encrypted"):
        read_private_key(file)


def test_a_new_host_key_is_ed25519_and_its_public_line_is_its_own():
    private, line = make_host_key("quiver alice")
    key = asyncssh.import_private_key(private)
    assert key.get_algorithm() == "ssh-ed25519"
    assert public_key(line).public_data == key.public_data
    assert public_line(key) == line
