"""Delivery: fresh keys, answered only when the destination has proved that it stored them."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.errors import ExhaustedError
from quiver.domain.messages import Answer, Container, Outcome
from quiver.domain.secret import Secret

from .delivering import KEY, RETRY, Delivering, answered, error_of, header_of
from .ground import KIB, TWO_RELAYS, bytes_of


@pytest.fixture
def both() -> Delivering:
    return Delivering()


def pad_of(sequence: int = 0) -> bytes:
    return bytes_of(f"{KEY}#{sequence}", 4 * KIB)


def changed(item: Container, **parts: object) -> Container:
    return msgspec.structs.replace(item, **parts)


def test_master_and_slave_get_the_same_fresh_key_which_is_never_pad(both: Delivering):
    keys = both.deliver(count=3)
    assert len(keys) == 3
    assert both.d.fetch("dora", *keys) == list(keys.values())
    for key in keys.values():
        assert len(key) == 32
        assert all(key[:16] not in pad_of(i) for i in (0, 1))


def test_the_container_is_key_xor_pad_and_its_header_names_everything(both: Delivering):
    reply = both.a.ask(count=2, size=128, slaves=("dora", "dave"))
    (item,) = both.a.containers()
    both.carry()
    key = b"".join(answered(reply).values())
    assert item.ciphertext.reveal() == bytes(x ^ y for x, y in zip(key, pad_of()[32:64], strict=True))
    header = header_of(item)
    assert (header.source, header.destination, header.master) == ("a", "d", "alice")
    assert (header.slaves, header.count, header.size) == (("dora", "dave"), 2, 128)
    assert header.paths == {KEY: (TWO_RELAYS.digest, [(0, 32, 48)])}


def test_pad_use_and_audit_are_durable_before_the_container(both: Delivering):
    both.a.ask()
    assert both.a.station.journal.urgent
    both.a.station.commit()
    assert not both.a.station.database.holds(pad_of()[32:48])
    (line,) = both.a.station.database.audit
    assert line.event == "batch-sent"
    batch = header_of(both.a.containers()[0]).batch
    assert batch not in str(line.facts), "nobody who reads the log can ask for the keys"


def test_the_master_is_not_answered_before_the_destination(both: Delivering):
    reply = both.a.ask()
    assert not reply.done
    both.carry()
    assert reply.at_once, "what it says is durable at the destination"
    assert both.a.delivery.requests.delivered == 1


def test_a_retry_repeats_the_same_bytes_and_the_keys_are_stored_once(both: Delivering):
    reply = both.a.ask()
    (first,) = both.a.containers()
    assert both.d.receive(first).outcome is Outcome.STORED
    both.a.station.fail("container", "d")
    both.clock.advance(RETRY)
    assert both.a.containers() == [first]
    both.carry()
    (key_id,) = answered(reply)
    assert len(both.d.vault.batches) == 1
    assert both.d.fetch("dora", key_id) == list(answered(reply).values())


@pytest.mark.parametrize("ack", ["", "00" * 32, "another"])
def test_without_the_right_hmac_the_master_is_not_answered(both: Delivering, ack: str):
    reply = both.a.ask(wait=0)
    if ack == "another":
        other = Delivering()
        other.a.ask(size=128)
        ack = other.carry()[0].ack
    both.carry([Answer(Outcome.STORED, ack=ack)])
    assert isinstance(error_of(reply), ExhaustedError)
    assert both.a.station.alarms() == ["wrong-tag"]
    assert both.a.withdrawals()[0].keep_stored is False


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.VOID, Outcome.SETTLED, Outcome.DONE])
def test_a_refused_container_is_withdrawn_its_request_ends_and_its_pad_is_never_used_again(
    both: Delivering, outcome: Outcome
):
    reply = both.a.ask()
    (first,) = both.a.containers()
    both.a.station.answer("container", "d", outcome)
    assert both.a.station.burned(f"container-{outcome.value}") == 48
    assert "refused" in error_of(reply).message
    assert both.a.withdrawals()[0].batch == header_of(first).batch
    both.a.ask()
    (second,) = both.a.containers()
    assert header_of(second).number == header_of(first).number + 1
    assert header_of(second).paths[KEY][1] == [(0, 80, 48)], "other pad"


def test_a_destination_that_refuses_again_and_again_gets_a_rest(both: Delivering):
    for i in range(limits.REFUSALS):
        assert both.a.source.ready, i
        both.a.ask()
        both.a.station.answer("container", "d", Outcome.REFUSED)
    assert both.a.station.alarms() == ["containers-refused"]
    assert both.a.source.ready == 0
    both.clock.advance(limits.REFUSAL_PAUSE)
    both.deliver()


def test_after_a_wrong_tag_the_request_is_served_with_fresh_keys_and_other_pad(both: Delivering):
    reply = both.a.ask()
    (first,) = both.a.containers()
    both.a.station.answer("container", "d", both.d.receive(shifted(first)))
    assert not reply.done
    both.a.delivery.pump()
    (second,) = both.a.containers()
    assert header_of(second).batch != header_of(first).batch
    assert header_of(second).paths[KEY][1] == [(0, 80, 48)]
    both.carry()
    assert reply.keys is not None


# --- the check --------------------------------------------------------------------------------------------------------


def shifted(item: Container) -> Container:
    moved = bytearray(item.ciphertext.reveal())
    moved[3] ^= 1
    return changed(item, ciphertext=Secret(moved))


@pytest.mark.parametrize("change", ["ciphertext", "pad", "header", "nonce", "tag"])
def test_whatever_is_shifted_the_tag_is_wrong_and_the_range_burned_at_both_ends(both: Delivering, change: str):
    both.a.ask(wait=0)
    (item,) = both.a.containers()
    match change:
        case "ciphertext":
            item = shifted(item)
        case "pad":  # a relay that shifted its ciphertext: D's block differs from A's
            block = both.d.destination.blocks[0].secret
            assert block is not None
            block._buffer[40] ^= 1
        case "header":
            item = changed(item, header=item.header.replace(b'"dora"', b'"dave"'))
        case "nonce":
            item = changed(item, nonce=bytes(32))
        case "tag":
            item = changed(item, tag=bytes(16))
    answer = both.d.receive(item)
    assert (answer.outcome, answer.ack) == (Outcome.WRONG_TAG, "")
    assert both.d.station.alarms() == ["wrong-tag"]
    assert both.d.station.burned("wrong-tag") == 48
    assert both.d.vault.batches == {}
    both.a.station.answer("container", "d", answer)
    assert both.a.station.burned("container-wrong-tag") == 48
    assert both.a.station.alarms() == ["wrong-tag"]
    assert both.a.source.ready == sum(b.length - b.used.size for b in both.d.destination.blocks.values())
    assert both.d.receive(item).outcome is Outcome.VOID, "nor on a second try"


def test_three_wrong_tags_in_a_row_suspend_the_path_for_a_while(both: Delivering):
    both.a.ask(wait=60)
    for i in range(limits.WRONG_TAGS):
        assert not both.a.source.suspended, i
        (item,) = both.a.containers()
        both.a.station.answer("container", "d", both.d.receive(shifted(item)))
        both.a.delivery.pump()
    assert both.a.station.alarms() == ["wrong-tag"] * 3 + ["path-suspended"]
    assert (both.a.source.suspended, both.a.source.ready, both.a.containers()) == (True, 0, [])
    both.clock.advance(limits.SUSPENSION)
    assert both.a.source.ready > 0


def test_a_right_answer_between_wrong_tags_begins_the_count_anew(both: Delivering):
    for _ in range(2):
        both.a.ask(wait=0)
        both.a.station.answer("container", "d", both.d.receive(shifted(both.a.containers()[0])))
    both.deliver()
    both.a.ask(wait=0)
    both.a.station.answer("container", "d", both.d.receive(shifted(both.a.containers()[0])))
    assert not both.a.source.suspended
