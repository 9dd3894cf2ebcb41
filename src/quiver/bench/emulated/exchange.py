"""What lies between emulated nodes: their messages in the wire's own encoding, and links that can be cut.

Two nodes of one process reach each other by a call, others over a local socket: no TLS, no HTTP. On a network each node pays for
those on a machine of its own; here two cores would pay for all. Beats of links are many and all alike: between two nodes of one
process they are not even encoded.

A link that is cut swallows what goes along it and tells nobody, as on a fibre that a digger has found.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from quiver.agent.peer_plane import Receive
from quiver.bench.emulated.between import Frame, Line
from quiver.domain import limits
from quiver.domain.errors import QuiverError, RemoteError, RequestError
from quiver.domain.messages import Answer, Header, Item, LinkBeat
from quiver.protocols import peer as wire

__all__ = ["Exchange", "Way"]


class Exchange:
    """The messages of all nodes of one process.

    Args:
        here: number of this process.
        hosts: node → number of the process that emulates it.
        sockets: number of each other process → where it takes messages.
    """

    def __init__(self, here: int, hosts: Mapping[str, int], sockets: Mapping[int, Path]) -> None:
        self._here: Final = here
        self._hosts: Final = hosts
        self._lines: Final = {number: Line(socket) for number, socket in sockets.items()}
        self._receivers: Final[dict[str, Receive]] = {}
        self._dropped: Final[dict[tuple[str, str], asyncio.Event]] = {}  # sender and link → its calls are given up
        self.cut: Final[set[str]] = set()

    def join(self, node: str, receive: Receive) -> None:
        """A node of this process takes messages from now on."""
        self._receivers[node] = receive

    async def close(self) -> None:
        """No message leaves this process any more."""
        for line in self._lines.values():
            await line.close()

    # --- messages -------------------------------------------------------------------------------------------------

    async def carry(self, frame: Frame, link: str) -> bytes:
        """Carry a message, along a link where one is named; the encoded answers.

        Raises:
            RemoteError: there are none, or nobody will ever know.
        """
        answer = None if link in self.cut else await self._carried(frame)
        if link in self.cut:
            await self._silence(frame.sender, frame.kind, link)
        if not answer:
            raise RemoteError(f"{frame.kind} to {frame.receiver}: refused")
        return answer

    async def _carried(self, frame: Frame) -> bytes | None:
        host = self._hosts.get(frame.receiver)
        if host is None:
            raise RemoteError(f"{frame.receiver} is not in the directory")
        return await (self.deliver(frame) if host == self._here else self._lines[host].ask(frame))

    async def deliver(self, frame: Frame) -> bytes | None:
        """Hand a message to its receiver, a node of this process; the encoded answers, None where it has none."""
        receive = self._receivers.get(frame.receiver)
        if receive is None:
            return None
        try:
            header, items = wire.decode_message(frame.kind, frame.body)
            return wire.encode_answers(frame.kind, *await receive(frame.sender, frame.kind, header, items))
        except QuiverError:
            return None

    def near(self, node: str) -> Receive | None:
        """How a node takes messages, where this process emulates it."""
        return self._receivers.get(node)

    async def beat(
        self, sender: str, receive: Receive, header: Header, items: Sequence[Item], link: str
    ) -> tuple[Header, list[Answer]]:
        """Carry a beat within this process.

        Raises:
            RemoteError: there is no answer.
        """
        if link not in self.cut:
            try:
                return await receive(sender, LinkBeat.kind, header, tuple(items))
            except QuiverError as error:
                raise RemoteError(error.message) from None
        return await self._silence(sender, LinkBeat.kind, link)

    async def _silence(self, sender: str, kind: str, link: str) -> NoReturn:
        """As long as a call waits for an answer that does not come.

        Raises:
            RemoteError: always.
        """
        dropped = self._dropped.setdefault((sender, link), asyncio.Event())
        seconds = limits.LINK_ANSWER if kind == LinkBeat.kind else limits.PEER_ANSWER
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await dropped.wait()
        raise RemoteError(f"{kind} along {link}: no answer in time")

    def drop(self, node: str, link: str) -> None:
        """A node gives its calls along a link up."""
        dropped = self._dropped.pop((node, link), None)
        if dropped is not None:
            dropped.set()


class Way:
    """One node's way to the others: the `Peers` of its engine.

    Args:
        node: its id.
        exchange: of its process.
    """

    def __init__(self, node: str, exchange: Exchange) -> None:
        self._node: Final = node
        self._exchange: Final = exchange

    async def send(
        self, peer: str, kind: str, header: Header, items: Sequence[Item], link: str = ""
    ) -> tuple[Header, list[Answer]]:
        """As `Peers.send`."""
        if kind == LinkBeat.kind and (receive := self._exchange.near(peer)) is not None:
            return await self._exchange.beat(self._node, receive, header, items, link)
        frame = Frame(self._node, peer, kind, wire.encode_message(kind, header, items))
        answer = await self._exchange.carry(frame, link)
        try:
            said, answers = wire.decode_answers(kind, answer)
        except RequestError as error:
            raise RemoteError(f"{kind} to {peer}: wrong answer: {error.message}") from None
        if len(answers) != len(items):
            raise RemoteError(f"{kind} to {peer}: {len(answers)} answers to {len(items)} items")
        return said, answers

    async def drop(self, _peer: str, link: str) -> None:
        """As `Peers.drop`."""
        self._exchange.drop(self._node, link)
