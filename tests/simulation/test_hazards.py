"""Promises under one hazard each: a hostile relay, a change of route, a full disk, a rollback."""

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from quiver.domain.errors import StorageError
from quiver.domain.messages import Announcement, Ciphertext, Container, Item
from quiver.domain.secret import Secret

from .faults import FIRST_KEY, WHOLE, shifts
from .promises import SQUARE
from .stage import Stage, chain

Tamper = Callable[[str, str, tuple[Item, ...]], tuple[Item, ...]]


def anywhere(_route: tuple[str, ...]) -> bool:
    return True


def changing(kind: type[Item], change: Callable[[Item], Item]) -> Tamper:
    """A relay n1 that changes all items of a kind."""

    def tamper(sender: str, _receiver: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(change(item) if sender == "n1" and isinstance(item, kind) else item for item in items)

    return tamper


def moved(item: Announcement) -> Announcement:
    """The announcement of a range that begins 48 bytes later."""
    pieces = tuple(msgspec.structs.replace(piece, offset=piece.offset + 48) for piece in item.pieces)
    return msgspec.structs.replace(item, pieces=pieces)


def zeroed(item: Ciphertext) -> Ciphertext:
    return msgspec.structs.replace(item, ciphertext=Secret(bytes(item.length)))


HOSTILE: dict[str, Tamper] = {
    "shifts whole ciphertexts": shifts("n1", WHOLE),
    "shifts the bits of the first key": shifts("n1", FIRST_KEY),
    "sends zeros": changing(Ciphertext, zeroed),
    "announces another range than it uses": changing(Announcement, moved),
    "says that its sequences are longer": changing(
        Ciphertext, lambda item: msgspec.structs.replace(item, start=item.start + 1)
    ),
    "keeps its ciphertexts": lambda sender, _receiver, items: tuple(
        item for item in items if sender != "n1" or not isinstance(item, Ciphertext)
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("depth", [0, 8192])
def test_a_hostile_relay_never_gets_a_wrong_key_accepted(name: str, depth: int) -> None:
    stage = Stage(chain(4), [(0, 1, 2, 3)], depth=depth)
    stage.scenery.transport.liars.add("n1")
    stage.scenery.transport.tamper = HOSTILE[name]
    stage.faults.note(name, 60.0, anywhere)
    stage.run(3.0)
    stage.ask(0, 3, every=0.2, seconds=6.0)
    stage.run(9.0)
    wrong = [alarm.name for alarm in stage.site(0).alarms]
    if "ciphertexts" in name or "zeros" in name or "another range" in name:
        assert stage.served == 0 or "first key" in name
    if name in ("shifts whole ciphertexts", "sends zeros", "announces another range than it uses"):
        assert Counter(wrong)["wrong-tag"] >= 3
        assert "path-suspended" in wrong
        assert "wrong-tag" in [alarm.name for alarm in stage.site(3).alarms]
    assert stage.end() == []


def test_a_hostile_relay_costs_the_wrong_keys_and_no_others() -> None:
    """In a filled block the relay hits one container; the next ones are right, and the path stays in use."""
    stage = Stage(chain(4), [(0, 1, 2, 3)], depth=8192)
    stage.scenery.transport.liars.add("n1")
    stage.scenery.transport.tamper = shifts("n1", FIRST_KEY)
    stage.run(4.0)
    stage.ask(0, 3, every=0.2, seconds=6.0)
    stage.run(8.0)
    assert "wrong-tag" in [alarm.name for alarm in stage.site(0).alarms]
    assert "path-suspended" not in [alarm.name for alarm in stage.site(0).alarms]
    assert stage.share == 1.0
    assert stage.end() == []


def test_ready_blocks_outlive_their_version() -> None:
    stage = Stage(SQUARE, [(0, 1, 3)], depth=16_384)
    stage.run(8.0)
    ready = stage.node(0).paths.sources["v0/1/1"].ready
    assert ready >= 12_000
    stage.faults.reroute(("n0", "n2", "n3"))
    stage.run(3.0)
    old = stage.node(0).paths.sources["v0/1/1"]
    assert old.standing.retiring
    assert old.ready >= ready
    stage.ask(0, 3, every=0.05, seconds=6.0, size=1024)
    stage.run(8.0)
    used = Counter(path for _, _, item in stage.sent(Container) for path in msgspec.json.decode(item.header)["paths"])
    assert used["v0/1/1"] >= ready // (128 + 16) - 4
    assert old.ready < 128 + 16  # too little for a request
    assert stage.burned() == 0
    assert stage.share == 1.0
    assert stage.end() == []


@pytest.mark.parametrize("depth", [0, 8192])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_full_disk_promises_nothing_and_recovers(number: int, depth: int) -> None:
    stage = Stage(chain(3), [(0, 1, 2)], depth=depth)
    stage.run(3.0)
    stage.ask(0, 2, every=0.1, seconds=3.0)
    stage.world.after(1.0, lambda: setattr(stage.site(number).disk, "broken", True))
    stage.run(3.0)
    stage.faults.note("disk full", 3.0, anywhere)
    durable = stage.site(number).disk.number
    stage.ask(0, 2, every=0.1, seconds=3.0)
    stage.load.fetch_rest()
    stage.run(3.0)
    failed = [asked for asked in stage.load.asked if not asked.keys]
    assert failed or (number == 1 and depth)  # what stands in the buffers needs no relay
    assert all(asked.error is None or asked.error.status == 503 for asked in failed)
    assert stage.site(number).disk.number == durable
    if number == 0:
        assert any(isinstance(asked.error, StorageError) for asked in failed)
    stage.site(number).disk.broken = False
    stage.run(6.0)
    before = stage.served
    stage.ask(0, 2, every=0.1, seconds=2.0)
    stage.run(4.0)
    assert stage.served == before + 20
    assert stage.end() == []


def rolled_back(number: int, back: int, *, silent: bool) -> Stage:
    """Two paths under load through three nodes; one of them comes back from an earlier commit, and the load goes on.

    Args:
        number: of the node.
        back: commits.
        silent: whether the node was cut off while it made them, so that no other has seen them.
    """
    stage = Stage(chain(3), [(0, 1, 2), (2, 1, 0)], depth=8192, seed=back)
    stage.faults.note("rollback", 60.0, anywhere)
    stage.run(2.5)
    for source, destination in ((0, 2), (2, 0)):
        stage.ask(source, destination, every=0.07, seconds=4.0)
    stage.run(0.8)
    stage.load.fetch_rest()
    others = [other for other in range(3) if other != number]
    if silent:
        for other in others:
            stage.cut(number, other)
    for turn in range(20):  # two SAEs of the node itself: commits that need nobody else
        stage.world.after(0.02 * turn, lambda: stage.load.ask(f"sae-n{number}-0", f"sae-n{number}-1"))
    stage.run(0.45)
    site = stage.site(number)
    number_now = site.disk.number
    site.crash()
    site.restart(max(0, number_now - back))
    for other in others:
        stage.cut(number, other, heal=True)
    stage.run(3.5)
    for source, destination in ((0, 2), (2, 0)):
        stage.ask(source, destination, every=0.1, seconds=1.0)
    stage.run(3.0)
    return stage


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("silent", [False, True])
def test_a_rollback_to_any_commit_never_uses_pad_twice(number: int, silent: bool) -> None:
    detected = 0
    steps = range(1, 24, 3) if silent else range(1, 150, 20)
    for back in steps:
        stage = rolled_back(number, back, silent=silent)
        detected += stage.site(number).distrusted_at < float("inf")
        assert stage.end() == []
    assert detected if not silent else detected < len(steps)
