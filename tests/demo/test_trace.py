"""A key's way is told from logs: the QKD keys behind it, each message, in order."""

import datetime
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from quiver.agent.trace import ANSWERED, SENT, digest_of
from quiver.demo.draw import draw_plan
from quiver.demo.trace import Step, follow, read_events, source_key_ids
from quiver.domain import key_ids
from quiver.domain.errors import RemoteError
from quiver.domain.network import PathEntry

PLAN = draw_plan(1)
ROUTE = ("ulm", "linz", "wien", "brno")
ENTRY = PathEntry(PLAN.main.virtual_link, 1, 1, ROUTE)
PATH = ENTRY.key
BATCH = "0123456789abcdef8123456789ab0000"
KEY_ID = key_ids.key_id(BATCH, 0)
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Logs:
    """Agents' logs, a line each millisecond."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.count = 0

    def say(self, event: str, node: str, peer: str, kind: str, *items: dict[str, Any], **more: object) -> None:
        self.count += 1
        at = (START + datetime.timedelta(milliseconds=self.count)).isoformat().replace("+00:00", "Z")
        line = {"event": event, "node": node, "peer": peer, "kind": kind, "items": items, "timestamp": at, **more}
        self.lines.setdefault(node, []).append(json.dumps(line))

    def write(self, directory: Path) -> list[Path]:
        paths = []
        for node, lines in self.lines.items():
            paths.append(directory / f"{node}.log")
            paths[-1].write_text("\n".join([*lines, "no JSON", '{"event": "something else"}']) + "\n")
        return paths


def keys(name: str) -> list[str]:
    return [f"{name}-{number}" for number in range(64)]


@pytest.fixture
def steps(tmp_path: Path) -> list[Step]:
    """One block of 1,024 bytes over three hops; its key took the bytes [600, 648) of it."""
    logs, route = Logs(), ROUTE
    hops = list(pairwise(route))
    for one, other in hops:  # 64 keys of 32 bytes; the second hop's range lies in two segments
        for name in (one, f"{one}-more"):
            item = {"segment": name, "link": "l", "length": 2048, "key_ids": keys(name)}
            logs.say(SENT, one, other, "segments", item)
    for one, other in reversed(hops):
        logs.say(SENT, other, one, "credit", {"path": PATH, "limit": 5000})
    block = {"path": PATH, "sequence": 7, "length": 1024}
    for number, (one, other) in enumerate(hops):
        pieces = [[one, 16, 610], [f"{one}-more", 16, 414]] if number == 1 else [[one, 16, 1024]]
        logs.say(
            SENT, one, other, "announcement", {"path": PATH, "sequence": 6, "length": 4}, {**block, "pieces": pieces}
        )
    for relay in route[1:-1]:
        logs.say(SENT, relay, route[-1], "ciphertext", {**block, "ciphertext": f"digest of {relay}"})
    logs.say(SENT, route[-1], route[0], "ready", {"path": PATH, "sequence": 7})
    container = {
        "batch": digest_of(BATCH),
        "number": 3,
        "keys": 1,
        "bits": 256,
        "paths": {PATH: [[7, 600, 48]]},
        "ciphertext": "cc",
        "tag": "tt",
    }
    logs.say(SENT, route[0], route[-1], "container", container)
    logs.say(ANSWERED, route[-1], route[0], "container", container, outcomes=["stored"])
    return follow(KEY_ID, PLAN, {PATH: ENTRY}, read_events(logs.write(tmp_path)))


def test_every_message_of_the_way_is_there_in_order(steps: list[Step]):
    source, first, second, destination = ROUTE
    assert [(step.message, step.sender, step.receiver) for step in steps] == [
        ("segments", source, first),
        ("segments", first, second),
        ("segments", first, second),
        ("segments", second, destination),
        ("credit", destination, second),
        ("credit", second, first),
        ("credit", first, source),
        ("announcement", source, first),
        ("announcement", first, second),
        ("announcement", second, destination),
        ("ciphertext", first, destination),
        ("ciphertext", second, destination),
        ("ready", destination, source),
        ("container", source, destination),
        ("acknowledgement", destination, source),
    ]
    moments = [step.milliseconds for step in steps]
    assert moments == sorted(moments)
    assert moments[0] == 0.0


def test_the_source_key_ids_are_those_of_the_bytes_that_the_key_used(steps: list[Step]):
    found = {step.segment: step.source_key_ids for step in steps if step.message == "segments"}
    source, first, second, _ = ROUTE
    # The hash key's 32 bytes stand at the range's start, the key's at 600; each range begins at byte 16 of its segment.
    assert found == {
        source: [f"{source}-0", f"{source}-1", f"{source}-19", f"{source}-20"],
        first: [f"{first}-0", f"{first}-1", f"{first}-19"],
        f"{first}-more": [f"{first}-more-0", f"{first}-more-1"],
        second: [f"{second}-0", f"{second}-1", f"{second}-19", f"{second}-20"],
    }


def test_who_xored_what_and_what_went_straight_to_the_destination_is_said(steps: list[Step]):
    told = [step for step in steps if step.message == "ciphertext"]
    source, first, second, destination = ROUTE
    assert f"{first} XORs its {source}–{first} range with its {first}–{second} range" in told[0].text
    assert f"straight to {destination}" in told[0].text
    assert [step.ciphertext for step in told] == [f"digest of {first}", f"digest of {second}"]


def test_part_of_a_segment_names_each_key_that_it_touches():
    segment = {"length": 96, "key_ids": ["a", "b", "c"]}
    assert source_key_ids(segment, 0, 32) == ["a"]
    assert source_key_ids(segment, 31, 2) == ["a", "b"]
    assert source_key_ids(segment, 40, 56) == ["b", "c"]


def test_logs_that_do_not_know_the_key_are_an_error(tmp_path: Path):
    with pytest.raises(RemoteError, match="the logs hold no container"):
        follow(KEY_ID, PLAN, {PATH: ENTRY}, read_events(Logs().write(tmp_path)))
