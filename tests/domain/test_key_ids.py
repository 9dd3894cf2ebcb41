"""key_IDs: one random batch id, an index for each key, and the text of a UUID."""

import uuid

import pytest

from quiver.domain.errors import RequestError
from quiver.domain.key_ids import key_id, new_batch, parse

from .ground import SeededEntropy


class Ones:
    def draw(self, count: int) -> bytes:
        return b"\xff" * count


@pytest.mark.parametrize("entropy", [SeededEntropy("a"), Ones()])
def test_every_key_id_is_a_uuid_of_version_8_that_leads_back_to_batch_and_index(entropy):
    batch = new_batch(entropy)
    texts = [key_id(batch, index) for index in range(128)]
    assert len(set(texts)) == 128
    for index, text in enumerate(texts):
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 8, uuid.RFC_4122)
        assert parse(text) == parse(text.upper()) == (batch, index)


def test_a_batch_id_has_106_random_bits():
    entropy = SeededEntropy("bits")
    drawn = [int(new_batch(entropy), 16) for _ in range(400)]
    changing = 0
    for batch in drawn:
        changing |= batch ^ drawn[0]
    assert changing.bit_count() == 128 - 16 - 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 32,
        "{12345678-1234-8234-8234-123456789abc}",
        "12345678-1234-8234-8234-12345678９abc",
        "12345678-1234-8234-8234-123456789abc\n",
        "x" * 36,
    ],
)
def test_text_that_is_no_uuid_is_refused_without_being_repeated(text: str):
    with pytest.raises(RequestError, match="key_ID must be a UUID") as caught:
        parse(text)
    assert not text or text not in caught.value.message
