"""Load between the two networks of `charons.py`, counted by those who send it."""

import json
import re
import signal
import subprocess

from tests.interop.charons import Site


class Ping:
    """20 packets a second to the other end and back."""

    def __init__(self, site: Site) -> None:
        words = site.words("ping", "-q", "-i", "0.05", "-I", site.inner, site.far)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def end(self) -> tuple[int, int]:
        """Packets sent, and of these lost."""
        self._process.send_signal(signal.SIGINT)  # on which it prints its count
        said = self._process.communicate()[0]
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert found is not None, said
        return int(found[1]), int(found[1]) - int(found[2])


class Stream:
    """208 packets of UDP a second, 2 Mbit/s, one way, by iperf3, for a time.

    Args:
        source: from here.
        sink: to here.
        seconds: for so long.
    """

    def __init__(self, source: Site, sink: Site, seconds: int) -> None:
        self._server = subprocess.Popen(
            sink.words("iperf3", "-s", "-1", "-B", sink.inner, "--forceflush"), stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout is not None
        while "listening" not in self._server.stdout.readline():
            assert self._server.poll() is None
        words = [
            "iperf3",
            "-c",
            sink.inner,
            "-B",
            source.inner,
            "-u",
            "-b",
            "2M",
            "-l",
            "1200",
            "-t",
            str(seconds),
            "-J",
        ]
        self._client = subprocess.Popen(source.words(*words), stdout=subprocess.PIPE, text=True)

    def end(self) -> tuple[int, int]:
        """Packets sent, and of these lost, once its time is over."""
        said = self._client.communicate()[0]
        self._server.communicate()
        total = json.loads(said)["end"]["sum"]
        return total["packets"], total["lost_packets"]

    def kill(self) -> None:
        """At once, if it still runs."""
        for process in (self._client, self._server):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
