"""Node-to-node traffic, as recorded on its way, read with the very types that serve SAEs (ETSI GS QKD 014 clause 6)."""

import msgspec
import pytest

from quiver.domain.messages import Announcement, Ciphertext, Container, Segments
from quiver.protocols import etsi014

from .load import Load
from .scenery import Scenery
from .world import World


@pytest.fixture(scope="module")
def record():
    world = World(14)
    scenery = Scenery(world, 4, edges=[(0, 1), (1, 2), (2, 3)], routes=[(0, 1, 2, 3), (3, 2, 1, 0)], depth=8192)
    load = Load(world, scenery)
    world.run(3.0)
    load.random_requests(20, 5.0)
    world.run(8.0)
    scenery.sites["n2"].crash()
    scenery.sites["n2"].restart()  # so that there are refusals too
    world.run(5.0)
    return scenery.transport.record


@pytest.mark.parametrize("kind", [Ciphertext, Container])
def test_one_time_padded_material_travels_as_key_containers(record, kind):
    sent = [message for message in record if message.kind == kind.kind and message.items]
    assert sent
    for message in sent:
        container = etsi014.decode_key_container(message.body)
        assert [key.key for key in container.keys] == [item.ciphertext for item in message.items]
        assert set(container.key_container_extension or {}) == {"quiver_header"}


@pytest.mark.parametrize("kind", [Announcement, Segments])
def test_ranges_and_source_key_ids_travel_as_key_ids(record, kind):
    sent = [message for message in record if message.kind == kind.kind and message.items]
    assert sent
    for message in sent:
        named = [entry.key_id for entry in etsi014.decode_key_ids(message.body).key_ids]
        if kind is Segments:
            assert named == [key_id for item in message.items for key_id in item.key_ids]
        else:
            pieces = [piece.segment for item in message.items for piece in item.pieces]
            assert [name.replace("-", "") for name in named] == pieces


def test_refusals_travel_as_errors(record):
    refused = [
        answer
        for message in record
        if not message.items
        for answer in msgspec.json.decode(message.body)["answers"]
        if "message" in answer
    ]
    assert refused
    for answer in refused:
        error = etsi014.decode_error(msgspec.json.encode(answer))
        assert any("quiver_outcome" in detail for detail in error.details)
