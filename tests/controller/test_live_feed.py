"""Those who follow the live state hear of everything once, in order, and none of them holds up anybody."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from quiver.controller.live_feed import LiveFeed
from quiver.controller.resources import Resources
from quiver.domain import limits
from quiver.domain.errors import LimitError
from quiver.domain.sdn.demands import Demand, Origin
from quiver.domain.sdn.records import What
from quiver.identity.lab import Lab
from tests.controller.ground import PATIENCE, running
from tests.controller.north_ground import DOCUMENT, Caller, North, north, validate
from tests.controller.paper_network import PaperNetwork

SQUARE = ("a-b", "b-d", "a-c", "c-d")
A_TO_D = Demand(name="a-d", source="a", destination="d", origin=Origin.FILE)
SCHEMAS = DOCUMENT["components"]["schemas"]


class Event:
    def __init__(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines)
        self.name, self.id = fields.get("event", ""), fields.get("id")
        self.data: Any = json.loads(fields["data"]) if "data" in fields else None
        if self.name in ("history", "state"):
            validate(SCHEMAS["Entry" if self.name == "history" else "StateEvent"], self.data)


@asynccontextmanager
async def following(caller: Caller, **headers: str) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of one connection."""

    async def events(found: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        lines: list[str] = []
        async for raw in found.content:
            line = raw.decode().rstrip("\n")
            if line and not line.startswith(":"):
                lines.append(line)
            elif lines:
                event, lines = Event(lines), []
                if event.name:
                    yield event

    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with caller.session.get(f"{caller.url}/api/v1/events", ssl=caller.context, headers=sent) as found:
        assert (found.status, found.headers["Content-Type"]) == (200, "text/event-stream")
        yield events(found)


def scene(lab: Lab, state: Path, main: Callable[[North], Awaitable[None]], *demands: Demand) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE), north(lab, state, PaperNetwork(*SQUARE), *demands) as found:
            looking = asyncio.create_task(found.feed.run())
            try:
                await main(found)
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(run())


def test_a_reader_gets_everything_first_and_then_what_changes(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        await found.engine.until(lambda: found.engine.up("a-d"))
        async with following(await found.caller("auditor", "otto")) as events:
            first = await anext(events)
            assert (first.name, first.data["whole"]) == ("state", True)
            assert [row["node"] for row in first.data["nodes"]["changed"]] == ["a", "b", "c", "d"]
            found.network.cut("a-b")
            async for event in events:
                changed = event.data.get("links", {}).get("changed", []) if event.name == "state" else []
                if [(row["id"], row["state"]) for row in changed] == [("a-b", "down")]:
                    break

    scene(lab, tmp_path, main, A_TO_D)


def test_a_reader_who_returns_is_given_what_it_missed(lab: Lab, tmp_path: Path) -> None:
    async def main(found: North) -> None:
        await found.engine.until(lambda: found.engine.up("a-d"))
        caller = await found.caller()
        newest = found.engine.newest
        async with following(caller, Last_Event_ID="2") as events:
            missed = [await anext(events) for _ in range(newest - 2)]
            assert [event.id for event in missed] == [str(number) for number in range(3, newest + 1)]
            state = await anext(events)
            assert (state.name, state.id) == ("state", str(newest))
            await caller.call("POST", "/drains", {"what": "link", "name": "c-d"})
            ordered = [event async for event in _until(events, lambda event: event.name == "history")][-1]
            assert ordered.data["about"] == {"by": "operator anna", "what": "drain", "link": "c-d"}

    scene(lab, tmp_path, main, A_TO_D)


async def _until(events: AsyncIterator[Event], last: Callable[[Event], bool]) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if last(event):
            return


def test_a_reader_who_was_away_for_too_long_is_told_of_the_gap(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIVE_REPLAY", 2)

    async def main(found: North) -> None:
        await found.engine.until(lambda: found.engine.up("a-d"))
        newest = found.engine.newest
        for last, missed in ((newest - 2, ["history", "history"]), (newest - 3, ["gap"]), (newest + 1, ["gap"])):
            async with following(await found.caller(), Last_Event_ID=str(last)) as events:
                assert [event.name async for event in _until(events, lambda e: e.name == "state")] == [*missed, "state"]

    scene(lab, tmp_path, main, A_TO_D)


@pytest.mark.parametrize("last", ["x", "-1", "1" * 17])
def test_an_id_that_is_none_is_refused(lab: Lab, tmp_path: Path, last: str) -> None:
    async def main(found: North) -> None:
        answer = await (await found.caller()).call("GET", "/events", Last_Event_ID=last)
        assert answer.status == 400

    scene(lab, tmp_path, main)


def test_while_nothing_happens_a_comment_keeps_the_connection(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIVE_HEARTBEAT", 0.01)

    async def main(found: North) -> None:
        caller = await found.caller()
        async with caller.session.get(f"{found.url}/api/v1/events", ssl=caller.context) as answer:
            async for line in answer.content:
                if line == b": still here\n":
                    return
            pytest.fail("the stream ended without a comment")

    scene(lab, tmp_path, main)


def test_a_reader_that_reads_nothing_is_cut_off_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIVE_WAITING", 4)

    async def main() -> None:
        async with running(tmp_path, PaperNetwork(*SQUARE), A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))
            feed = LiveFeed(engine, Resources(engine, "controller-1"))
            slow, quick = await feed.follow(None), await feed.follow(None)
            for reader in (slow, quick):
                assert (await anext(reader)).startswith(b"retry")
                assert b"event: state" in await anext(reader)
            for drained in (True, False) * 3:
                await engine.order(
                    "operator o",
                    "drain",
                    lambda controller, drained=drained: controller.operator.drain(What.LINK, "a-b", drained=drained),
                )
                assert b"event: history" in await anext(quick)
            assert len([event async for event in slow]) == 4  # and then it ends
            assert feed.readers == 1
            await quick.aclose()

    asyncio.run(main())


def test_the_number_of_readers_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_READERS", 1)

    async def main() -> None:
        async with running(tmp_path, PaperNetwork(*SQUARE)) as engine:
            feed = LiveFeed(engine, Resources(engine, "controller-1"))
            first = await feed.follow(None)  # and has not been sent anything yet
            with pytest.raises(LimitError):
                await feed.follow(None)
            await first.aclose()
            assert feed.readers == 0
            second = await feed.follow(None)
            assert (await anext(second)).startswith(b"retry:")
            await second.aclose()

    asyncio.run(main())
