"""Requests that wait for pad, containers that nobody acknowledges, and what a restart makes of both."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.errors import ExhaustedError, LimitError, StorageError
from quiver.domain.events import BufferExhausted, Event, NewApplication
from quiver.domain.messages import Announcement, Credit, Outcome
from quiver.domain.reply import Reply
from quiver.domain.requests import Request

from .delivering import KEY, Delivering, error_of, header_of
from .ground import KIB, TWO_RELAYS, shared_segment


@pytest.fixture
def both() -> Delivering:
    return Delivering()


def give_credit(both: Delivering) -> None:
    segment = shared_segment("s", "a", "b", "a", 16 * KIB)
    both.a.station.context.pads["b"].add(segment)
    both.a.source.grant("run", Credit(key=KEY, digest=TWO_RELAYS.digest, limit=10**6, counter=1))
    both.a.source.share = 16 * KIB


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_requests_wait_for_pad_in_order_of_arrival_and_are_refused_when_their_time_is_over():
    both = Delivering(blocks=1)
    big = both.a.ask(count=1, size=8 * 5000)
    small = both.a.ask(wait=9)
    assert both.a.containers() == []
    assert (len(both.a.delivery.requests), both.a.delivery.deadline) == (2, both.clock.now() + 2)
    both.clock.advance(2)
    both.a.delivery.pump()
    assert isinstance(error_of(big), ExhaustedError)
    both.a.delivery.pump()
    both.carry()
    assert small.keys is not None
    assert both.a.delivery.deadline is None


def test_a_request_of_an_sae_that_has_gone_is_dropped():
    both = Delivering(blocks=0)
    reply = both.a.ask()
    both.a.delivery.requests.abandon(reply)
    assert len(both.a.delivery.requests) == 0


def test_the_table_of_waiting_requests_is_bounded_and_refuses_the_new():
    both = Delivering(blocks=0)
    for _ in range(limits.WAITING_REQUESTS):
        both.a.delivery.requests.add(Request("alice", ("dora",), "d", 1, 256, 2000.0, Reply()))
    with pytest.raises(LimitError):
        both.a.ask()
    assert len(both.a.delivery.requests) == limits.WAITING_REQUESTS


def told(both: Delivering) -> list[Event]:
    return [event.body for event in both.a.station.journal.events.take()]


def test_without_a_path_a_request_waits_for_one_and_the_controller_hears_of_the_pair_once_in_a_while(both: Delivering):
    request = Request("alice", ("xena",), "x", 1, 256, both.clock.now() + 2.0, Reply())
    for _ in range(3):
        both.a.delivery.requests.add(msgspec.structs.replace(request, reply=Reply()))
    both.a.delivery.pump()
    assert len(both.a.delivery.requests) == 3
    assert told(both) == [NewApplication(master="alice", slave="xena", destination="x")]
    both.clock.advance(limits.APPLICATION_PAUSE)
    both.a.delivery.requests.add(request)
    both.a.delivery.pump()
    assert isinstance(request.reply.error, ExhaustedError)
    assert request.reply.error.message == "no path leads to x"
    assert told(both) == [
        NewApplication(master="alice", slave="xena", destination="x"),
        BufferExhausted(destination="x"),
    ]
    assert (both.a.delivery.requests.served, both.a.delivery.requests.refused) == (0, 4)


def test_requests_that_wait_share_one_sequence():
    both = Delivering(blocks=0)
    give_credit(both)
    for _ in range(3):
        both.a.delivery.requests.add(Request("alice", ("dora",), "d", 1, 256, 2000.0, Reply()))
    both.a.delivery.pump()
    both.a.delivery.pump()
    (item,) = both.a.station.said("announcement", "b")
    assert isinstance(item, Announcement)
    assert item.length == limits.HASH_KEY + 3 * 48
    assert both.a.source.commit_ready(0) is Outcome.DONE
    both.a.delivery.pump()
    assert len(both.a.containers()) == 3
    assert both.a.source.blocks == {}


def test_where_credit_covers_only_the_first_request_a_smaller_sequence_begins():
    both = Delivering(blocks=0)
    give_credit(both)
    both.a.source.share = 100
    for _ in range(3):
        both.a.delivery.requests.add(Request("alice", ("dora",), "d", 1, 256, 2000.0, Reply()))
    both.a.delivery.pump()
    assert both.a.source.coming == 100 - limits.HASH_KEY


def test_the_number_of_open_containers_is_bounded(monkeypatch: pytest.MonkeyPatch, both: Delivering):
    monkeypatch.setattr(limits, "CONTAINERS_OPEN", 2)
    for _ in range(3):
        both.a.ask(size=64)
    assert (len(both.a.containers()), len(both.a.delivery.requests), both.a.delivery.open) == (2, 1, 2)
    both.carry()
    both.a.delivery.pump()
    assert (len(both.a.containers()), len(both.a.delivery.requests)) == (1, 0)


def test_the_bytes_of_open_containers_are_bounded(monkeypatch: pytest.MonkeyPatch, both: Delivering):
    monkeypatch.setattr(limits, "CONTAINER_BYTES_OPEN", 100)
    for _ in range(3):
        both.a.ask()
    assert len(both.a.delivery.requests) == 1, "48 + 48 + 48 are more than 100"
    both.carry()
    both.a.delivery.pump()
    assert len(both.a.delivery.requests) == 0


def test_pad_of_containers_that_were_given_up_counts_until_the_destination_has_answered(
    monkeypatch: pytest.MonkeyPatch, both: Delivering
):
    monkeypatch.setattr(limits, "CONTAINER_BYTES_OPEN", 100)
    for _ in range(2):
        both.a.ask()
    both.clock.advance(limits.CONTAINER_TIME)
    both.a.delivery.pump()
    both.a.ask()
    assert len(both.a.delivery.requests) == 1, "a restart would have to skip more than it does"
    both.withdraw()
    both.a.delivery.pump()
    assert len(both.a.delivery.requests) == 0


def test_one_container_may_be_larger_than_the_bound_if_it_is_alone(monkeypatch: pytest.MonkeyPatch, both: Delivering):
    monkeypatch.setattr(limits, "CONTAINER_BYTES_OPEN", 10)
    both.a.ask()
    assert len(both.a.delivery.requests) == 0


# --- giving up and restarting -----------------------------------------------------------------------------------------


def test_a_container_that_nobody_acknowledges_is_withdrawn_and_the_stored_keys_go(both: Delivering):
    reply = both.a.ask(wait=60)
    (item,) = both.a.containers()
    assert both.d.receive(item).outcome is Outcome.STORED
    assert both.a.delivery.deadline == both.clock.now() + limits.CONTAINER_TIME
    both.clock.advance(limits.CONTAINER_TIME)
    both.a.delivery.pump()
    assert "did not acknowledge" in error_of(reply).message
    assert both.a.station.burned("container-timeout") == 48
    assert [answer.outcome for answer in both.withdraw()] == [Outcome.DONE]
    assert (both.d.vault.batches, both.a.delivery.open) == ({}, 0)
    assert both.d.receive(item).outcome is not Outcome.STORED, "a late copy is refused"


def test_the_answer_to_a_container_that_was_given_up_is_not_heard(both: Delivering):
    both.a.ask(wait=60)
    (item,) = both.a.containers()
    answer = both.d.receive(item)
    waiting = both.a.station.outbox._waiting["d", "container"]["d#0"]
    both.clock.advance(limits.CONTAINER_TIME)
    both.a.delivery.pump()
    assert waiting.on_answer is not None
    waiting.on_answer(answer)
    assert both.a.delivery.requests.delivered == 0
    both.a.station.fail("container", "d")
    both.clock.advance(limits.REPEAT_MOST)
    assert both.a.containers() == [], "nor is it repeated"


def test_after_a_restart_what_the_destination_stored_is_kept(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    both.a.station.commit()
    assert both.d.receive(item).outcome is Outcome.STORED
    both.a.restart()
    assert both.a.withdrawals()[0].keep_stored
    assert [answer.outcome for answer in both.withdraw()] == [Outcome.STORED]
    assert len(both.d.vault.batches) == 1, "the master may have its answer"
    assert both.a.delivery.open == 0


def test_after_a_restart_what_did_not_arrive_is_burned_and_a_late_copy_refused(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    both.a.station.commit()
    both.a.restart()
    assert [answer.outcome for answer in both.withdraw()] == [Outcome.DONE]
    assert both.d.station.burned("withdrawn") == 48
    assert both.d.receive(item).outcome in (Outcome.VOID, Outcome.SETTLED)
    assert both.d.vault.batches == {}


def test_a_withdrawal_before_the_restart_stays_one_after_it(both: Delivering):
    both.a.ask(wait=60)
    both.clock.advance(limits.CONTAINER_TIME)
    both.a.delivery.pump()
    both.a.station.commit()
    both.a.restart()
    assert both.a.withdrawals()[0].keep_stored is False, "its master was told that there is no key"


def test_numbers_go_on_above_what_the_destination_has_seen(both: Delivering):
    both.a.delivery.continue_above("d", 7)
    both.a.delivery.continue_above("d", 5)
    both.a.ask()
    assert header_of(both.a.containers()[0]).number == 7


def test_when_the_destinations_database_is_another_one_every_open_request_ends(both: Delivering):
    reply = both.a.ask()
    other = both.a.ask(wait=60)
    both.clock.advance(1)
    both.a.containers()
    both.a.delivery.lost("d")
    assert "cannot tell" in error_of(reply).message
    assert other.error is not None
    assert (both.a.delivery.open, len(both.a.station.outbox), both.a.delivery.floor("d")) == (0, 0, 2)


def test_withdrawals_to_another_database_end_too(both: Delivering):
    both.a.ask()
    both.a.station.commit()
    both.a.restart()
    both.a.delivery.lost("d")
    assert (both.a.delivery.open, both.a.withdrawals()) == (0, [])


def test_a_node_that_can_no_longer_write_refuses_what_is_under_way():
    both = Delivering(blocks=1)
    replies = [both.a.ask(), both.a.ask(size=8 * 8000)]
    both.a.delivery.stop(StorageError("no space left"))
    assert all(isinstance(error_of(reply), StorageError) for reply in replies)


def test_blocks_of_a_version_that_is_no_longer_configured_go_first(both: Delivering):
    both.a.source.standing.retiring = True
    both.deliver()
    assert both.a.source.blocks[0].used.size == 32 + 48
