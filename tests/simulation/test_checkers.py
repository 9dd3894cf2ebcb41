"""Every check of the simulation sees its rule broken: the same run is clean when the rule is kept."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest import mock

import msgspec
import pytest
from structlog.testing import capture_logs

from quiver.domain import limits
from quiver.domain.messages import Announcement, Item
from quiver.domain.records import Piece
from quiver.domain.source import Source

from . import broken, broken_priming, promises
from .faults import FIRST_KEY, shifts
from .run import run_seed
from .stage import Stage, chain

Breaking = Callable[[], AbstractContextManager[None]]


def steady(stage: Stage) -> None:
    """A chain of three under a light load."""
    stage.run(2.0)
    stage.ask(0, 2, every=0.25, seconds=4.0)
    for _ in range(5):
        stage.run(1.0)
        stage.load.fetch_rest()


def shared(stage: Stage) -> None:
    """Keys for two slaves of one node, who fetch them one after the other."""
    stage.run(2.0)
    for _ in range(5):
        stage.load.ask("sae-n0-0", "sae-n2-0", 2, others=("sae-n2-2",))
        stage.run(1.0)
        for slave in ("sae-n2-0", "sae-n2-2"):
            stage.load.fetch_rest(slave)
            stage.run(0.1)


def hostile(stage: Stage) -> None:
    """The relay turns bits where the key will be."""
    stage.scenery.transport.liars.add("n1")
    stage.scenery.transport.tamper = shifts("n1", FIRST_KEY)
    stage.faults.note("hostile relay", 60.0, lambda _route: True)
    steady(stage)


def death_of(number: int, where: str, *, fetching: bool = True) -> Callable[[Stage], None]:
    """A node dies twice a second, just before or just after a commit, while keys are asked for, and fetched or not."""

    def act(stage: Stage) -> None:
        stage.run(2.0)
        stage.ask(0, 2, every=0.11, seconds=5.0)
        stage.faults.note("deaths", 5.0, lambda _route: True)
        for turn in range(10):
            if fetching:
                stage.world.after(0.5 * turn + 0.1, stage.load.fetch_rest)
            stage.world.after(0.5 * turn + 0.1, lambda: die(stage.site(number), where))
        stage.run(5.0)

    return act


def cut_off(stage: Stage) -> None:
    """The destination does not hear the source, for longer than a container is repeated."""
    steady(stage)
    stage.faults.note("cut", 20.0, lambda _route: True)
    stage.cut(0, 2)
    stage.ask(0, 2, every=0.25, seconds=1.0)
    stage.run(2.0 * limits.CONTAINER_TIME)
    stage.cut(0, 2, heal=True)
    steady(stage)


def die(site, where: str) -> None:
    def crash_at(transaction):
        if transaction is None:
            return None
        site.crash_at = None
        site.world.after(0.05, site.restart)
        return where

    if site.up:
        site.crash_at = crash_at


def too_much(stage: Stage) -> None:
    """More requests than may wait, over a path that is not whole."""
    stage.scenery.devices["l1-2"].up = False
    stage.scenery.devices["l1-2"]._stock.clear()
    stage.faults.note("dry", 60.0, lambda _route: True)
    stage.run(1.0)
    stage.ask(0, 2, every=0.001, seconds=1.5)
    stage.run(1.5)


def dry(stage: Stage) -> None:
    """The last link never gets a key."""
    stage.faults.note("dry", 60.0, lambda _route: True)
    stage.scenery.devices["l1-2"]._stock.clear()
    stage.scenery.devices["l1-2"].up = False
    steady(stage)


def announced_twice(stage: Stage) -> None:
    """The source announces the bytes of its first range again and again."""
    said: list[tuple[Piece, ...]] = []

    def tamper(sender: str, receiver: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(again(item) if (sender, receiver) == ("n0", "n1") else item for item in items)

    def again(item: Item) -> Item:
        if not isinstance(item, Announcement):
            return item
        said.append(item.pieces)
        same = sum(p.length for p in said[0]) == item.length
        return msgspec.structs.replace(item, pieces=said[0]) if same else item

    stage.scenery.transport.tamper = tamper
    stage.faults.note("repeated ranges", 60.0, lambda _route: True)
    steady(stage)


def going_back(stage: Stage) -> None:
    """The source comes back from before the commit of a container that has left and reached nobody."""
    steady(stage)
    stage.faults.note("rollback", 30.0, lambda _route: True)
    site = stage.site(0)
    number = site.disk.number
    stage.cut(0, 2)
    stage.load.ask("sae-n0-0", "sae-n2-0")
    stage.run(0.0021)
    assert site.disk.number == number + 1
    site.crash()
    site.restart(number)
    stage.cut(0, 2, heal=True)
    stage.run(1.0)
    steady(stage)


def distrusting(stage: Stage) -> None:
    """The destination comes back from earlier commits that others have seen, burns everything, and is asked again."""
    steady(stage)
    stage.faults.note("rollback", 15.0, lambda _route: True)
    site = stage.site(2)
    number = site.disk.number
    site.crash()
    site.restart(number - 5)
    stage.run(15.0)
    assert site.distrusted_at < stage.world.now()
    steady(stage)


def half(stage: Stage) -> None:
    """Path versions that one of their nodes never hears of."""
    stage.run(2.0)
    stage.faults.note("changes of paths", 60.0, lambda _route: True)
    for turn in range(4):
        stage.world.after(3.0 * turn, stage.faults.churn.half)
    stage.run(12.0)
    assert stage.scenery.halves


CASES: dict[str, tuple[Breaking, Callable[[Stage], None], str]] = {
    "effects leave before the commit": (broken.send_early, death_of(2, "before"), "times"),
    "the tag covers the ciphertext": (broken.tag_over_ciphertext, hostile, "has 2 values"),
    "ranges are taken without credit": (broken.no_credit, dry, "credit"),
    "a path that is not whole takes pad": (broken.no_credit, half, "which is not whole"),
    "a batch id comes again": (broken.few_batch_ids, steady, "has 2 values"),
    "a slave is served twice": (broken.key_given_again, steady, "2 times"),
    "the first slave takes the keys of all": (broken.first_takes_all, shared, "never got"),
    "the master is answered before the keys are stored": (broken.answered_unstored, cut_off, "never got"),
    "the keys are acknowledged in memory": (broken.stored_in_memory, death_of(2, "after", fetching=False), "never got"),
    "a node that was rolled back stores nothing any more": (broken.nothing_stored_any_more, distrusting, "never got"),
    "a key stands in the audit": (broken.key_in_audit, steady, "stands in a message or a log"),
    "a key stands in a log": (broken.key_in_log, steady, "stands in a message or a log"),
    "a key stands among words in a log": (broken.key_in_words, steady, "stands in a message or a log"),
    "a key stands in a message": (broken.key_in_message, steady, "stands in a message or a log"),
    "more requests wait than allowed": (broken.limits_lifted, too_much, "waiting requests"),
    "something of nodes is kept that are none": (broken_priming.strangers_kept, steady, "which is no node"),
    "accepted bytes are not remembered": (broken.accepted_forgotten, announced_twice, "not the XOR"),
    "burning is not counted": (broken.burning_uncounted, death_of(1, "after"), "unaccounted for"),
    "a ready block is not durable": (broken.ready_in_memory, death_of(0, "after"), "unaccounted for"),
    "marks are not raised after a rollback": (broken.marks_not_raised, going_back, "used twice"),
}


def played(act: Callable[[Stage], None], breaking: Breaking) -> list[str]:
    with capture_logs() as logs:
        stage = Stage(chain(3), [(0, 1, 2)], depth=8192)
        stage.scenery.logs = logs
        with breaking():
            act(stage)
        return stage.end()


@pytest.mark.parametrize("name", CASES)
def test_a_broken_rule_is_seen(name: str) -> None:
    breaking, act, words = CASES[name]
    assert any(words in violation for violation in played(act, breaking))


@pytest.mark.parametrize("act", dict.fromkeys(act for _, act, _ in CASES.values()))
def test_the_same_run_with_all_rules_kept_is_clean(act: Callable[[Stage], None]) -> None:
    assert played(act, nullcontext) == []


PROMISES: dict[str, tuple[Breaking, Callable[[], list[str]], str]] = {
    "no segment is given away": (broken_priming.no_gifts, promises.one_way_demand, "of the collected pad"),
    "ranges are taken over a dry link": (broken.no_credit, lambda: promises.dry_link(0), "burned"),
    "a relay waits for the next node": (
        broken_priming.relay_waits,
        lambda: promises.opposite_load("ring of 12", 2),
        "requests",
    ),
    "a new version voids what is open": (broken_priming.no_grace, lambda: promises.path_change(0), "burned"),
    "blocks end with their version": (
        broken_priming.blocks_end_with_versions,
        lambda: promises.path_change(16_384),
        "burned",
    ),
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_that_is_not_kept_is_seen(name: str) -> None:
    """`test_promises` shows that the same plays find nothing when the rules are kept."""
    breaking, play, words = PROMISES[name]
    with breaking():
        assert any(words in violation for violation in play())


def test_a_network_that_serves_nobody_under_load_is_seen() -> None:
    """Safe and useless: no sequence begins while anybody asks, so no rule is broken but the one that keys are served."""
    with broken.no_priming():
        outcomes = [run_seed(seed, most_nodes=4) for seed in range(12)]
    assert sum(outcome.loaded_served for outcome in outcomes) == 0
    seen = [any("no fault explains it" in words for words in outcome.violations) for outcome in outcomes]
    assert sum(seen) >= len(seen) / 3, "the others have had faults that explain it"


def test_a_path_that_never_serves_is_seen() -> None:
    with mock.patch.object(Source, "prime", return_value=0):
        outcome = run_seed(2)
    assert any("is stuck" in violation for violation in outcome.violations)
