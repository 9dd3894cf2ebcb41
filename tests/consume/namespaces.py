"""Two network namespaces with a cable between them, made and removed by the test; they need root."""

import asyncio
import contextlib
import ctypes
import os
import socket
import subprocess
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from contextlib import contextmanager

HOSTS = {"initiator": "10.77.0.1", "responder": "10.77.0.2"}
_CLONE_NEWNET = 0x40000000
_ETH_P_ALL = 3


class Namespaces:
    """One for each role, "initiator" and "responder", whose addresses on the cable are `HOSTS`."""

    def __init__(self) -> None:
        mark = os.getpid()
        self.names = {role: f"q{role[0]}-{mark}" for role in HOSTS}
        self.cables = {role: f"q{role[0]}c{mark}" for role in HOSTS}

    def make(self) -> None:
        """Make them."""
        for name in self.names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        one, other = HOSTS
        ip(
            *("-n", self.names[one], "link", "add", self.cables[one], "type", "veth"),
            *("peer", "name", self.cables[other], "netns", self.names[other]),
        )
        for role, host in HOSTS.items():
            self.ip(role, "addr", "add", f"{host}/24", "dev", self.cables[role])
            self.ip(role, "link", "set", self.cables[role], "up")

    def remove(self) -> None:
        """Remove them with all that is in them."""
        for name in self.names.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)

    def ip(self, role: str, *words: str) -> None:
        """Run `ip` in one of them."""
        ip("-n", self.names[role], *words)

    def within(self, role: str, *words: str) -> list[str]:
        """A command that runs in one of them."""
        return ["ip", "netns", "exec", self.names[role], *words]

    async def output(self, role: str, *words: str) -> tuple[int, str]:
        """Run a program in one of them; exit code, stdout and stderr."""
        child = await asyncio.create_subprocess_exec(*self.within(role, *words), stdout=PIPE, stderr=STDOUT)
        out, _ = await child.communicate()
        assert child.returncode is not None
        return child.returncode, out.decode()

    @contextmanager
    def inside(self, role: str) -> Iterator[None]:
        """Sockets that this thread makes in the block belong to one of them, and stay there."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.names[role]}", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(own)
            os.close(own)
            os.close(there)

    @contextmanager
    def listening(self, role: str) -> Iterator[bytearray]:
        """All that passes the cable's end there, as long as the loop runs in the block; at most some MiB of it."""
        heard = bytearray()
        with self.inside(role):
            own = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_ALL))
            own.bind((self.cables[role], 0))

        def take() -> None:
            with contextlib.suppress(BlockingIOError):
                packet = own.recv(65_535)
                if len(heard) < 8 << 20:
                    heard.extend(packet)

        loop = asyncio.get_running_loop()
        loop.add_reader(own, take)
        try:
            yield heard
        finally:
            loop.remove_reader(own)
            own.close()


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*words: str) -> None:
    """Run `ip`; what it says of an error is shown."""
    subprocess.run(["ip", *words], check=True)


@contextmanager
def namespaces() -> Iterator[Namespaces]:
    """Both, until the end of the block."""
    both = Namespaces()
    try:
        both.make()
        yield both
    finally:
        both.remove()
