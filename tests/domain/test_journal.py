"""The journal: what a step hands to the database is the step's outcome, no more and no less."""

from quiver.domain import records
from quiver.domain.journal import Journal
from quiver.domain.records import Batch, Burned, Segment
from quiver.domain.secret import Secret

from .ground import MemoryDatabase, shared_segment


def journal() -> Journal:
    return Journal(Burned())


def segment(name: str = "s") -> Segment:
    return shared_segment(name, "a", "b", "a")


def test_lazy_writes_wait_for_the_next_commit_and_go_with_it():
    noted, first, second = journal(), segment("1"), segment("2")
    noted.put(first, lazy=True)
    noted.burn("timeout", 5)
    assert not noted.urgent
    noted.put(second)
    assert noted.urgent
    writes, _ = noted.take()
    assert {write.id for write in writes} == {"1", "2", noted.burned.id}
    assert (noted.urgent, noted.take()) == (False, ([], []))


def test_a_record_is_written_once_as_it_is_at_the_end_of_the_step():
    noted, record = journal(), segment()
    noted.put(record)
    record.mark = 99
    noted.put(record, lazy=True)
    (write,) = noted.take()[0]
    assert noted.urgent is False
    kept = records.decode(write.kind, write.body or b"", None)
    assert isinstance(kept, Segment)
    assert (kept.mark, write.secret, write.erasures) == (99, None, [])


def test_a_commit_holds_a_copy_whatever_the_next_step_does_to_the_buffer():
    noted, record = journal(), segment()
    assert record.secret is not None
    before = record.secret.reveal()
    noted.put(record, secret=True)
    (write,) = noted.take()[0]
    noted.erase(record, 16, 100)
    assert write.secret is not None
    assert write.secret.reveal() == before


def test_erased_bytes_are_wiped_in_memory_at_once_and_in_storage_with_the_commit():
    noted, record = journal(), segment()
    noted.erase(record, 16, 4)
    noted.erase(record, 20, 4)
    assert record.secret is not None
    assert record.secret.part(16, 8).reveal() == bytes(8)
    (write,) = noted.take()[0]
    assert (write.secret, write.erasures) == (None, [(16, 4), (20, 4)])


def test_a_secret_that_is_new_in_the_same_step_carries_its_erasures_already():
    for order in ("erase last", "put last"):
        noted, record = journal(), segment()
        if order == "put last":
            noted.erase(record, 16, 4)
        noted.put(record, secret=True)
        if order == "erase last":
            noted.erase(record, 16, 4)
        (write,) = noted.take()[0]
        assert write.secret is not None
        assert (write.secret.part(16, 4).reveal(), write.erasures) == (bytes(4), [])


def test_nothing_is_noted_where_there_is_nothing_to_erase():
    noted, record = journal(), segment()
    noted.erase(record, 16, 0)
    record.secret = None
    noted.erase(record, 16, 4)
    assert noted.take() == ([], [])


def test_a_deleted_record_takes_its_secret_with_it():
    noted, record = journal(), segment()
    noted.put(record, secret=True)
    noted.erase(record, 16, 4)
    secret = record.secret
    noted.delete(record, lazy=True)
    assert secret is not None
    assert secret.reveal() == bytes(len(secret))
    (write,) = noted.take()[0]
    assert (write.body, write.secret, write.erasures) == (None, None, [])


def test_a_record_whose_secret_went_loses_it_in_storage_too():
    database, noted = MemoryDatabase(), journal()
    batch = Batch(batch="b", source="a", number=0, master="m", slaves=[], count=1, size=64)
    batch.secret = Secret(b"12345678")
    noted.put(batch, secret=True)
    database.commit(noted)
    batch.secret = None
    noted.put(batch, secret=True)
    database.commit(noted)
    assert database.load()[0].secret is None


def test_burned_bytes_add_up_by_cause():
    noted = journal()
    for cause, length in (("timeout", 5), ("meeting", 7), ("timeout", 2), ("timeout", 0), ("none", -3)):
        noted.burn(cause, length)
    assert noted.burned.causes == {"timeout": 7, "meeting": 7}


def test_an_alarm_is_told_once_and_is_durable_as_audit():
    noted = journal()
    noted.alarm("link-mismatch", link="a-b", bytes=3)
    assert noted.urgent
    assert [(a.name, a.facts) for a in noted.take_alarms()] == [("link-mismatch", {"link": "a-b", "bytes": 3})]
    assert noted.take_alarms() == []
    _, (line,) = noted.take()
    assert (line.event, line.facts) == ("link-mismatch", {"link": "a-b", "bytes": 3})
