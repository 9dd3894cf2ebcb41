"""What goes wrong between a consumer and charon becomes one error, in good time, without a key in it.

What a real charon does is shown in `tests/interop/test_strongswan.py`; here is what none does when asked.
"""

import asyncio
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from quiver.consume.charon import Charon, ChildSa, IkeSa, PacketTally
from quiver.consume.tunnel import TunnelError
from quiver.domain.secret import Secret

KEY = Secret(b"a key that nobody may ever see..")
UNKNOWN, REFUSED, GARBAGE = b"\x02", b"\x01\x03\x07success\x00\x02no\x03\x06errmsg\x00\x0cno such type", b"\x01\x03\xff"
PATIENCE = 20.0


@pytest.fixture
def place() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="qc-"))  # sockets have short names
    yield root / "vici"
    shutil.rmtree(root)


def framed(packet: bytes) -> bytes:
    return len(packet).to_bytes(4, "big") + packet


@contextmanager
def daemon(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """One that takes one connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def work() -> None:
            line, _ = listener.accept()
            with line:
                serve(line)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        thread.join(PATIENCE)
        assert not thread.is_alive()


def answering(packet: bytes) -> Callable[[socket.socket], None]:
    def serve(line: socket.socket) -> None:
        line.recv(4096)
        line.sendall(packet)
        while line.recv(4096):
            pass

    return serve


def refusal(path: Path, time_limit: float = PATIENCE) -> str:
    """What comes of a key that is to be loaded."""
    with pytest.raises(TunnelError) as refused:
        asyncio.run(Charon(path, time_limit=time_limit).load_ppk("quiver-site-1", "1", KEY))
    shown = f"{refused.value.message} {refused.value!r} {refused.value.__cause__} {refused.value.__context__!r}"
    assert KEY.reveal().decode() not in shown
    assert refused.value.__suppress_context__
    return refused.value.message


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (framed(REFUSED), "charon: load-shared: Command failed: no such type"),
        (framed(UNKNOWN), "not the VICI of a charon"),
        (framed(GARBAGE), "not the VICI of a charon"),
        (framed(b""), "not the VICI of a charon"),
    ],
)
def test_an_answer_that_is_none_is_an_error(place: Path, packet: bytes, said: str) -> None:
    with daemon(place, answering(packet)):
        assert said in refusal(place)


@pytest.mark.parametrize("begun", [b"", b"\x00", framed(REFUSED)[:-1]])
def test_a_charon_that_does_not_finish_its_answer_is_given_up_in_time_and_hung_up_on(place: Path, begun: bytes) -> None:
    """The library waits without a limit once an answer has begun: the thread has to end all the same."""
    with daemon(place, answering(begun)):
        assert "load-shared: no answer within 0.2 s" in refusal(place, 0.2)


def test_a_charon_that_hangs_up_is_an_error(place: Path) -> None:
    with daemon(place, lambda line: None):
        assert str(place) in refusal(place)


def test_a_charon_that_is_not_there_is_named(place: Path) -> None:
    assert refusal(place) == f"{place}: No such file or directory"


def sa(number: int, *children: tuple[int, int, int], ppk: bool = True, up: bool = True) -> IkeSa:
    made = (ChildSa(one, "net", up=True, packets_in=come, packets_out=sent) for one, come, sent in children)
    return IkeSa(number, up=up, going=not up, ppk=ppk, children=tuple(made))


def test_packets_of_associations_that_have_ended_stay_counted() -> None:
    tally = PacketTally()
    for reading in (
        [sa(1, (1, 10, 20))],
        [sa(1, (1, 12, 21)), sa(2, (2, 0, 1))],
        [sa(2, (2, 5, 6))],
        [],
        [sa(1, (1, 1, 2))],  # charon was started anew, and counts from 1
        [sa(1, (1, 3, 3))],
    ):
        tally.read(reading)
    assert (tally.packets_in, tally.packets_out) == (12 + 5 + 3, 21 + 6 + 3)
    tally.read([sa(1, (1, 1, 0))])  # likewise, between two readings
    assert (tally.packets_in, tally.packets_out) == (12 + 5 + 3 + 1, 21 + 6 + 3)


def test_only_a_whole_association_with_a_post_quantum_key_counts_as_carrying() -> None:
    assert sa(1, (1, 0, 0)).carries(["net"])
    assert not sa(1, (1, 0, 0), ppk=False).carries(["net"])
    assert not sa(1, (1, 0, 0), up=False).carries(["net"])
    assert not sa(1, (1, 0, 0)).carries(["net", "more"])
    assert not sa(1).carries(["net"])
