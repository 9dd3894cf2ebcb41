"""Two charons of Debian's strongSwan, each in a network namespace that this module makes, with a cable between them.

    10.1.0.1 (left) 192.0.2.1 ───────── 192.0.2.2 (right) 10.2.0.1

ESP is strongSwan's own in userspace (plug-in kernel-libipsec). Without a tunnel packets go over the cable in the clear, so that
a tunnel that leaks is found out. The sockets lie in a directory of the test's.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.interop.visitors import PATIENCE

CHARON = "/usr/lib/ipsec/charon"
NUMBERS = {"left": 1, "right": 2}
USERSPACE = "kernel-libipsec kernel-netlink"
PLUGINS = "random nonce aes sha1 sha2 hmac kdf pem pkcs1 x509 pubkey curve25519 chapoly socket-default vici"
CHARON_CONF = """
charon {{
  load = {plugins}
  plugins {{ vici {{ socket = unix://{socket} }} }}
  filelog {{ log {{
    path = {log}
    flush_line = yes
  }} }}
}}
"""
SWANCTL_CONF = """
secrets { ike-sites {
  id-left = left.example
  id-right = right.example
  secret = "the classical half of the authentication"
} }
"""


class Site:
    """One end: its namespace, and its charon if one runs."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.number = name, NUMBERS[name]
        self.namespace = f"qsw{os.getpid()}-{name}"
        self.directory = root / name
        self.directory.mkdir()
        self.socket, self.log = self.directory / "vici", self.directory / "charon.log"
        self.inner = f"10.{self.number}.0.1"
        self._charon: subprocess.Popen[bytes] | None = None

    @property
    def outer(self) -> str:
        return f"192.0.2.{self.number}"

    @property
    def far(self) -> str:
        """The inner address of the other end."""
        return f"10.{3 - self.number}.0.1"

    def connection(self) -> dict[str, Any]:
        """What stands under `[strongswan.connection]` of its consumer."""
        other = {"left": "right", "right": "left"}[self.name]
        return {
            "local_addrs": [self.outer],
            "remote_addrs": [f"192.0.2.{3 - self.number}"],
            "proposals": ["chacha20poly1305-prfsha256-x25519"],
            "local": {"auth": "psk", "id": f"{self.name}.example"},
            "remote": {"auth": "psk", "id": f"{other}.example"},
            "children": {
                "net": {
                    "local_ts": [f"10.{self.number}.0.0/24"],
                    "remote_ts": [f"10.{3 - self.number}.0.0/24"],
                    "esp_proposals": ["chacha20poly1305"],
                }
            },
        }

    def start(self, kernel: str = USERSPACE) -> None:
        """Start its charon and load the authentication of swanctl.conf; pid files go to a /run that only it has."""
        conf = self.directory / "strongswan.conf"
        conf.write_text(CHARON_CONF.format(plugins=f"{PLUGINS} {kernel}", socket=self.socket, log=self.log))
        (self.directory / "swanctl.conf").write_text(SWANCTL_CONF)
        self.socket.unlink(missing_ok=True)
        words = self.words("sh", "-c", f"mount -t tmpfs none /run && exec {CHARON}")
        self._charon = subprocess.Popen(
            words,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "STRONGSWAN_CONF": str(conf)},
        )
        deadline = time.monotonic() + PATIENCE
        while self.swanctl("--stats", check=False).returncode != 0:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        self.load_credentials()

    def load_credentials(self) -> None:
        """`swanctl --load-creds`, as an operator does after a change of swanctl.conf."""
        self.swanctl("--load-creds", "--file", str(self.directory / "swanctl.conf"))

    def swanctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["swanctl", *words, "--uri", f"unix://{self.socket}"]
        environment = {**os.environ, "SWANCTL_DIR": str(self.directory)}
        return subprocess.run(command, capture_output=True, text=True, check=check, env=environment, timeout=PATIENCE)

    def stop(self) -> None:
        """End its charon, if it runs."""
        if self._charon is not None:
            self._charon.kill()
            self._charon.wait()
            self._charon = None

    def words(self, *command: str) -> list[str]:
        """A command in its namespace."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def run(self, *command: str) -> None:
        subprocess.run(self.words(*command), check=True, capture_output=True)

    def reaches(self, *, tries: int = 3) -> bool:
        """Whether one of some packets gets to the other end's network and back."""
        ping = self.words("ping", "-q", "-i", "0.1", "-c", str(tries), "-W", "1", "-I", self.inner, self.far)
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0


async def becomes(true: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> bool:
    """Whether something becomes so in good time."""
    deadline = time.monotonic() + seconds
    while not await true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


@contextmanager
def two_sites() -> Iterator[tuple[Site, Site]]:
    """Both, without charons; everything is gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="qc-"))  # sockets have short names
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root)
        sites = Site("left", root), Site("right", root)
        for site in sites:
            subprocess.run(["ip", "netns", "add", site.namespace], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "delete", site.namespace], check=True)
            stack.callback(site.stop)
        left, right = sites
        left.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", right.namespace)
        for site in sites:
            for interface, addresses in (("cable", (site.outer,)), ("lo", (site.inner, f"10.{site.number}.1.1"))):
                for address in addresses:
                    site.run("ip", "address", "add", f"{address}/24", "dev", interface)
                site.run("ip", "link", "set", interface, "up")
        for site in sites:
            network = f"10.{3 - site.number}.0.0/16"
            site.run("ip", "route", "add", network, "via", f"192.0.2.{3 - site.number}", "src", site.inner)
        yield left, right
