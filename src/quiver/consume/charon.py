"""strongSwan's daemon charon, spoken to over VICI, its control interface: the library `vici`, which blocks, in a thread."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import vici
from vici.exception import CommandException, DeserializationException, EventUnknownException, SessionException

from quiver.consume.ike_connection import Message
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.domain.secret import Secret
from quiver.net.http_client import printable

__all__ = ["Charon", "ChildSa", "IkeSa", "PacketTally"]

_T = TypeVar("_T")
_MS: Final = 1000  # per second: VICI's times
_SAID: Final = 2  # lines of charon's log that say why an IKE_SA did not come up
_GARBLED: Final = (
    *(SessionException, EventUnknownException, DeserializationException),
    *(struct.error, LookupError, ValueError, AttributeError, TypeError),  # which the library lets through
)
_UP: Final = frozenset({"ESTABLISHED", "REKEYING"})
_CHILD_UP: Final = frozenset({"INSTALLED", "REKEYING", "REKEYED"})
_GOING: Final = frozenset({"DELETING", "DESTROYING"})


class ChildSa(msgspec.Struct, frozen=True):
    """A CHILD_SA: two security associations of ESP, one for each direction.

    Attributes:
        number: charon's number of it.
        name: the child's, in the connection.
        up: whether it carries traffic.
        packets_in, packets_out: that it has carried, as this end counts.
    """

    number: int
    name: str
    up: bool
    packets_in: int
    packets_out: int


class IkeSa(msgspec.Struct, frozen=True):
    """An IKE_SA.

    Attributes:
        number: charon's number of it; later ones have higher ones until charon is started anew.
        up: whether it is established.
        going: whether it is being deleted.
        ppk: whether a post-quantum pre-shared key is in its keys (RFC 8784).
        children: its CHILD_SAs.
    """

    number: int
    up: bool
    going: bool
    ppk: bool
    children: tuple[ChildSa, ...]

    def carries(self, children: Iterable[str]) -> bool:
        """Whether it is established with a post-quantum pre-shared key, and so are these children."""
        return self.up and self.ppk and set(children) <= {child.name for child in self.children if child.up}


class Charon:
    """The daemon behind one socket. Each call has a connection of its own: a daemon that was started anew is found again.

    Args:
        path: of the socket.
        time_limit: seconds for a call.
    """

    def __init__(self, path: Path, *, time_limit: float = limits.VICI_TIME) -> None:
        self._path: Final = path
        self._time_limit: Final = time_limit

    async def load_connection(self, name: str, connection: Message) -> None:
        """Make a connection known, in place of one of the same name. IKE_SAs that exist keep what they were made with.

        Raises:
            TunnelError: charon cannot be reached or refuses; so for all calls here.
        """
        await self._ask("load-conn", {name: connection})

    async def unload_connection(self, name: str) -> None:
        """Forget a connection; its IKE_SAs stay."""
        if name in await self.connections():
            await self._ask("unload-conn", {"name": name})

    async def connections(self) -> frozenset[str]:
        """Names of the connections that charon knows."""
        return frozenset(item.decode() for item in (await self._ask("get-conns")).get("conns", ()))

    async def load_ppk(self, identifier: str, ppk_id: str, key: Secret) -> None:
        """Make a post-quantum pre-shared key known.

        Args:
            identifier: under which charon keeps it.
            ppk_id: by which the other end asks for it (RFC 8784 section 5.1).
            key: the key. The copies that the library makes on its way to the socket cannot be wiped.
        """
        await self._ask("load-shared", {"id": identifier, "type": "ppk", "data": key.reveal(), "owners": [ppk_id]})

    async def unload_secret(self, identifier: str) -> None:
        """Forget a secret."""
        if identifier in await self.secrets():
            await self._ask("unload-shared", {"id": identifier})

    async def secrets(self) -> frozenset[str]:
        """Under what charon keeps its shared secrets, those of other programs among them."""
        return frozenset(item.decode(errors="replace") for item in (await self._ask("get-shared")).get("keys", ()))

    async def ike_sas(self, name: str) -> list[IkeSa]:
        """The IKE_SAs of a connection."""

        def work(session: vici.Session) -> list[IkeSa]:
            found = session.streamed_request("list-sas", "list-sa", {"ike": name})
            return [_ike_sa(about) for event in found for about in event.values()]

        return await self._with_session("list-sas", work)

    async def initiate(self, name: str, child: str, seconds: float) -> str | None:
        """Have a child of a connection come up; why it did not, in charon's words, or None where it did.

        Args:
            name: the connection's. An IKE_SA that was made with another pre-shared key is not used.
            child: the child's.
            seconds: to wait for it.
        """
        message = {"ike": name, "child": child, "timeout": str(round(_MS * seconds)), "loglevel": "1"}

        def work(session: vici.Session) -> str | None:
            said = []
            try:
                for event in session.streamed_request("initiate", "control-log", message):
                    said.append(event["msg"].decode(errors="replace"))  # noqa: PERF401  # what came counts when it fails
            except CommandException as error:
                return printable("; ".join(said[-_SAID:] or [str(error)]))
            return None

        return await self._with_session("initiate", work, seconds)

    async def terminate(self, number: int, *, force: bool) -> None:
        """End an IKE_SA with its CHILD_SAs.

        Args:
            number: charon's number of it.
            force: at once, whether the peer answers or not; else this returns before the peer has answered.
        """
        timeout = round(_MS * limits.VICI_FORCE) if force else -1
        message: Message = {"ike-id": str(number), "force": "yes" if force else "no", "timeout": str(timeout)}
        await self._ask("terminate", message)

    async def _ask(self, command: str, message: Message | None = None) -> dict[str, Any]:
        def work(session: vici.Session) -> dict[str, Any]:
            answer: dict[str, Any] = session.request(command, message)
            return answer

        return await self._with_session(command, work)

    async def _with_session(self, command: str, work: Callable[[vici.Session], _T], more: float = 0.0) -> _T:
        """Do something with a connection to charon, in a thread, within the time limit and so many seconds more."""
        limit = self._time_limit + more
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(limit):
                return await asyncio.to_thread(self._call, line, limit, work)
        except TimeoutError:
            raise TunnelError(f"{self._path}: {command}: no answer within {limit:g} s") from None
        except OSError as error:
            raise TunnelError(f"{self._path}: {error.strerror or 'charon has hung up'}") from None
        except CommandException as error:
            raise TunnelError(f"charon: {command}: {printable(str(error))}") from None
        except _GARBLED:  # never their texts: they may hold what was sent
            raise TunnelError(f"{self._path}: {command}: that is not the VICI of a charon that can do this") from None
        finally:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)  # wakes the thread, which the library lets wait without a limit

    def _call(self, line: socket.socket, limit: float, work: Callable[[vici.Session], _T]) -> _T:
        with line:
            line.settimeout(limit)
            line.connect(str(self._path))
            return work(vici.Session(line))


class PacketTally:
    """Packets that all CHILD_SAs of a connection have carried, from readings of those that there are.

    What one carries after its last reading is missing: read before it ends, while nothing goes through it any more.
    """

    def __init__(self) -> None:
        self._ended = (0, 0)
        self._read: dict[int, tuple[int, int]] = {}

    def read(self, sas: Iterable[IkeSa]) -> None:
        """Take in a reading."""
        now = {child.number: (child.packets_in, child.packets_out) for sa in sas for child in sa.children}
        for number, last in self._read.items():
            if number not in now or now[number] < last:  # it has ended, or charon was started anew and counts from 1
                self._ended = (self._ended[0] + last[0], self._ended[1] + last[1])
        self._read = now

    @property
    def packets_in(self) -> int:
        """That came."""
        return self._ended[0] + sum(read[0] for read in self._read.values())

    @property
    def packets_out(self) -> int:
        """That were sent."""
        return self._ended[1] + sum(read[1] for read in self._read.values())


def _ike_sa(about: Mapping[str, Any]) -> IkeSa:
    state = about["state"].decode()
    children = tuple(map(_child_sa, about["child-sas"].values()))
    return IkeSa(int(about["uniqueid"]), state in _UP, state in _GOING, about.get("ppk") == b"yes", children)


def _child_sa(about: Mapping[str, Any]) -> ChildSa:
    return ChildSa(
        number=int(about["uniqueid"]),
        name=about["name"].decode(),
        up=about["state"].decode() in _CHILD_UP,
        packets_in=int(about.get("packets-in", b"0")),
        packets_out=int(about.get("packets-out", b"0")),
    )
