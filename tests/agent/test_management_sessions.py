"""Sessions in the agent's one loop: what somebody sends there holds nobody else up."""

import asyncio

from quiver.agent.management_sessions import Caller, Sessions
from quiver.protocols.netconf.access import Role
from tests.protocols.netconf.ground import HELLO_1_1, Site

HELLO = HELLO_1_1.replace("base:1.1", "base:1.0").encode() + b"]]>]]>"
GET = b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><get/></rpc>]]>]]>'


class Stream:
    """A peer that has sent all that it will say, and takes everything at once."""

    peer = "192.0.2.7"

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.answers = list(parts), 0
        self.answered, self.wanted = asyncio.Event(), sum(part.count(b"]]>]]>") for part in parts)

    async def read(self) -> bytes:
        if self.parts:
            return self.parts.pop(0)
        await self.answered.wait()
        return b""

    async def write(self, content: bytes) -> None:
        self.answers += content.count(b"]]>]]>")
        if self.answers == self.wanted:
            self.answered.set()

    async def close(self) -> None:
        self.answered.set()


async def never(*_: object) -> None:
    raise AssertionError("nothing is changed here")


def test_all_else_in_the_loop_has_a_turn_between_two_messages_of_one_session() -> None:
    site = Site()
    turns, seen = 0, []
    site.server._operations._state = lambda _: seen.append(turns) or []  # type: ignore[assignment, func-returns-value]

    async def main() -> None:
        nonlocal turns
        sessions = Sessions(site.server, never)
        stream = Stream(HELLO, GET * 200)
        serving = asyncio.create_task(sessions.serve(Caller("audrey", Role.AUDITOR, "ssh", stream.peer), stream))
        while not serving.done():
            turns += 1
            await asyncio.sleep(0)
        await serving

    asyncio.run(main())
    assert (len(seen), len(set(seen))) == (200, 200)
