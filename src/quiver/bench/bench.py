"""What the figures of one group share: the network, the bare listener, the time, and how latency is measured."""

import msgspec

from quiver.bench.ceilings import Serial, bare_commits
from quiver.bench.figures import RUNS, Figure, latency
from quiver.bench.load import connected, one_by_one, post
from quiver.bench.network import Line
from quiver.bench.processes import Child
from quiver.bench.progress import Progress
from quiver.domain import limits
from quiver.protocols.etsi014 import KeyRequest, encode
from quiver.protocols.etsi014_urls import Method, path_of

__all__ = ["Bench", "asking"]


def asking(slave: str, number: int) -> bytes:
    """A master's request for keys of the default size that it will share with the SAE of the node `slave`."""
    return post(
        path_of(Method.ENC_KEYS, f"sae-{slave}"), encode(KeyRequest(number=number, size=limits.KEY_SIZE_DEFAULT))
    )


class Bench(msgspec.Struct):
    """A network that is ready to be measured.

    Attributes:
        listener: bare listeners with the TLS of the line's first node.
        seconds: for each figure with its ceiling.
        progress: is told what goes on.
    """

    line: Line
    listener: Child
    seconds: float
    progress: Progress

    @property
    def run(self) -> float:
        """Seconds of one run of a figure; its ceiling takes as long."""
        return self.seconds / (2 * RUNS)

    async def latency(self, name: str, master: str, slave: str, serial: Serial) -> Figure:
        """Milliseconds until the SAE of the node `master` has a single key, one request after the other.

        Raises:
            RemoteError: a request was refused.
        """
        self.progress(name)
        line, request, times, least = self.line, asking(slave, 1), list[float](), list[float]()
        first, second = line.nodes[:2]
        bare = connected(self.listener.ready["peer_url"], line.peer_tls(second, first))
        async with connected(line.sae_url(master), line.sae_tls(master)) as (caller,), bare as (other,):
            with bare_commits(line.root) as commits:
                for _ in range(RUNS):
                    times.append(await one_by_one(caller, lambda: request, self.run))
                    least.append(await serial.milliseconds(other, commits, self.run))
        return latency(name, times, serial.name, least)
