"""Slaves: each that was named takes a key once, all or none of those it asks for, and nobody else ever does."""

import pytest

from quiver.domain import limits
from quiver.domain.errors import KeyNotFoundError, LimitError, RequestError, UnauthorizedError
from quiver.domain.key_ids import key_id
from quiver.domain.messages import Outcome
from quiver.domain.reply import Reply
from quiver.domain.requests import Request
from quiver.domain.secret import Secret

from .delivering import Delivering, answered


@pytest.fixture
def both() -> Delivering:
    return Delivering()


# --- slaves -----------------------------------------------------------------------------------------------------------


def test_each_named_slave_takes_each_key_once(both: Delivering):
    keys = both.deliver(count=2, slaves=("dora", "dave"))
    for slave in ("dora", "dave"):
        assert both.d.fetch(slave, *keys) == list(keys.values())
        for one in keys:
            with pytest.raises(KeyNotFoundError):
                both.d.fetch(slave, one)


def test_keys_of_a_batch_may_be_taken_one_by_one_in_any_order_and_case(both: Delivering):
    keys = both.deliver(count=3)
    names = list(keys)
    assert both.d.fetch("dora", names[2].upper()) == [keys[names[2]]]
    (batch,) = both.d.vault.batches.values()
    assert batch.taken == {"dora": "4"}
    assert both.d.fetch("dora", names[0], names[1]) == [keys[names[0]], keys[names[1]]]
    assert batch.taken == {"dora": "7"}


def test_taken_keys_are_taken_after_a_restart_too(both: Delivering):
    keys = both.deliver(count=2)
    first, second = keys
    both.d.fetch("dora", first)
    assert both.d.station.journal.urgent, "durable before the slave has it"
    both.d.station.commit()
    both.d.restart()
    with pytest.raises(KeyNotFoundError):
        both.d.fetch("dora", first)
    assert both.d.fetch("dora", second) == [keys[second]]


def test_a_request_gets_all_of_its_keys_or_none(both: Delivering):
    keys = both.deliver(count=2)
    first, second = keys
    other = key_id("00" * 16, 0)
    beyond = key_id(first.replace("-", ""), 2)
    for missing in (other, beyond):
        with pytest.raises(KeyNotFoundError):
            both.d.fetch("dora", first, missing)
    with pytest.raises(RequestError, match="named twice"):
        both.d.fetch("dora", first, first.upper())
    with pytest.raises(RequestError, match="must be a UUID"):
        both.d.fetch("dora", first, "x")
    assert both.d.fetch("dora", first, second) == list(keys.values()), "nothing was taken"


def test_another_sae_is_unauthorised_before_it_learns_which_keys_are_here(both: Delivering):
    keys = both.deliver()
    (name,) = keys
    with pytest.raises(UnauthorizedError):
        both.d.fetch("dave", name, key_id("00" * 16, 0))
    with pytest.raises(KeyNotFoundError):
        both.d.fetch("dora", name, master="anna")
    assert both.d.fetch("dora", name) == list(keys.values())


def test_keys_that_all_slaves_have_taken_are_erased_and_the_record_waits_for_the_floor(both: Delivering):
    keys = both.deliver(count=2, slaves=("dora", "dave"))
    both.d.fetch("dora", *keys)
    both.d.station.commit()
    assert both.d.station.database.holds(next(iter(keys.values())))
    both.d.fetch("dave", *keys)
    both.d.station.commit()
    for key in keys.values():
        assert not both.d.station.database.holds(key[:16])
    both.d.vault.expire()
    assert len(both.d.vault.batches) == 1, "the source may still repeat its container"
    both.d.vault.observe("a", 1)
    both.d.vault.expire()
    assert both.d.vault.batches == {}


def test_a_batch_below_the_floor_goes_with_its_last_key(both: Delivering):
    keys = both.deliver()
    both.d.vault.observe("a", 1)
    both.d.fetch("dora", *keys)
    assert both.d.vault.batches == {}
    with pytest.raises(KeyNotFoundError):
        both.d.fetch("dora", *keys)


def test_unclaimed_keys_expire_also_where_the_source_is_silent_ever_after(both: Delivering):
    keys = both.deliver(count=2)
    both.d.fetch("dora", next(iter(keys)))
    both.clock.advance(limits.UNFETCHED_LIFE)
    for _ in range(2):
        both.d.vault.expire()
    both.d.station.commit()
    assert [line.event for line in both.d.station.database.audit].count("batch-expired") == 1
    for name, key in keys.items():
        assert not both.d.station.database.holds(key)
        with pytest.raises(KeyNotFoundError):
            both.d.fetch("dora", name)
    both.d.restart()
    assert both.d.vault.seen("a") == 1, "the record still answers a repeat"


def test_unclaimed_keys_expire_and_the_audit_says_so(both: Delivering):
    keys = both.deliver()
    both.d.vault.observe("a", 1)
    both.clock.advance(limits.UNFETCHED_LIFE - 1)
    both.d.vault.expire()
    assert both.d.vault.batches
    both.clock.advance(1)
    both.d.vault.expire()
    assert both.d.vault.batches == {}
    assert both.d.station.journal.take()[1][-1].event == "batch-expired"
    with pytest.raises(KeyNotFoundError):
        both.d.fetch("dora", *keys)


# --- two SAEs of one node ---------------------------------------------------------------------------------------------


def test_two_saes_of_one_node_share_fresh_keys_without_pad(both: Delivering):
    reply = Reply()
    both.d.vault.store_local(Request("dora", ("dave",), "d", 2, 128, 0.0, reply))
    assert not reply.at_once, "the master is answered with the commit"
    keys = answered(reply)
    assert both.d.fetch("dave", *keys, master="dora") == list(keys.values())
    assert both.d.vault.batches == {}


def test_local_keys_count_for_the_bound_too(monkeypatch: pytest.MonkeyPatch, both: Delivering):
    monkeypatch.setattr(limits, "UNFETCHED_BATCHES", 0)
    with pytest.raises(LimitError):
        both.d.vault.store_local(Request("dora", ("dave",), "d", 1, 128, 0.0, Reply()))


# --- meeting ----------------------------------------------------------------------------------------------------------


def test_after_a_rollback_every_waiting_key_is_erased(both: Delivering):
    keys = both.deliver()
    both.d.vault.burn_all()
    assert both.d.vault.batches == {}
    both.d.station.commit()
    assert both.d.station.database.audit[-1].event == "batch-burned"
    assert not both.d.station.database.holds(next(iter(keys.values())))


def test_a_source_with_another_database_starts_its_numbers_anew_and_stored_keys_stay(both: Delivering):
    keys = both.deliver()
    both.d.vault.forget_source("a")
    assert (both.d.peer.floor, both.d.vault.seen("a")) == (0, 0)
    both.a.peer.next_number = 0
    both.a.ask()
    (item,) = both.a.containers()
    assert both.d.receive(item).outcome is Outcome.STORED
    assert both.d.fetch("dora", *keys) == list(keys.values())


def test_the_highest_number_that_came_is_kept_for_the_meeting(both: Delivering):
    assert both.d.vault.seen("a") == 0
    both.deliver()
    assert both.d.vault.seen("a") == 1
    both.d.station.commit()
    both.d.restart()
    assert both.d.vault.seen("a") == 1
    secret = next(iter(both.d.vault.batches.values())).secret
    assert isinstance(secret, Secret)
