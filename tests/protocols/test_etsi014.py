"""The promises of `quiver.protocols.etsi014`: right forms are read, wrong ones named, keys never shown."""

import base64
import contextlib
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiver.domain.errors import KeyNotFoundError, RequestError
from quiver.domain.secret import Secret
from quiver.protocols import etsi014

STATUS = {
    "source_KME_ID": "KME-A",
    "target_KME_ID": "KME-B",
    "master_SAE_ID": "SAE-A",
    "slave_SAE_ID": "SAE-B",
    "key_size": 352,
    "stored_key_count": 25_000,
    "max_key_count": 100_000,
    "max_key_per_request": 128,
    "max_key_size": 1024,
    "min_key_size": 64,
    "max_SAE_ID_count": 0,
}
KEY_TEXT = base64.b64encode(bytes(range(32))).decode()


def test_status_has_exactly_the_members_of_clause_6_1() -> None:
    status = etsi014.decode_status(json.dumps(STATUS).encode())
    assert status.max_sae_id_count == 0
    assert json.loads(etsi014.encode(status)) == STATUS


@pytest.mark.parametrize("member", sorted(STATUS))
def test_a_status_without_a_required_member_is_refused_by_its_name(member: str) -> None:
    body = json.dumps({name: value for name, value in STATUS.items() if name != member}).encode()
    with pytest.raises(RequestError, match=member):
        etsi014.decode_status(body)


def test_a_device_may_send_more_status_members() -> None:
    assert etsi014.decode_status(json.dumps(STATUS | {"qber": 0.01}).encode()).key_size == 352


@pytest.mark.parametrize("body", [b"", b"  ", b"{}"])
def test_an_empty_request_is_one_key_of_default_size(body: bytes) -> None:
    assert etsi014.decode_key_request(body) == etsi014.KeyRequest(number=1, size=None)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"number":"3"}', "number: expected integer, got string"),
        (b'{"size":true}', "size: expected integer"),
        (b'{"additional_slave_SAE_IDs":"B"}', "additional_slave_SAE_IDs: expected array"),
        (b'{"extension_mandatory":{"a":1}}', "extension_mandatory: expected array"),
        (b'{"extension_mandatory":[1]}', "extension_mandatory"),
        (b'{"extension_mandatoy":[]}', "extension_mandatoy; allowed are number, size, additional"),
        (b"[]", "body: expected object"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"number":1}{}', "not JSON"),
        (b'{"extension_optional":[{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}]}", "nested"),
    ],
)
def test_a_wrong_key_request_is_refused_naming_the_member(body: bytes, named: str) -> None:
    with pytest.raises(RequestError, match=named) as caught:
        etsi014.decode_key_request(body)
    assert caught.value.status == 400
    assert len(caught.value.message) <= etsi014.MESSAGE_LENGTH


def test_key_ids_are_objects_not_strings() -> None:
    with pytest.raises(RequestError, match="key_IDs"):
        etsi014.decode_key_ids(b'{"key_IDs":["6f1c2b7e-54a4-4a53-9d5a-0a3a1c7f9a10"]}')
    with pytest.raises(RequestError, match="key_id; allowed are key_ID, key_ID_extension"):
        etsi014.decode_key_ids(b'{"key_IDs":[{"key_id":"x"}]}')


@pytest.mark.parametrize("text", [KEY_TEXT[:-1], KEY_TEXT + "\n", "*" + KEY_TEXT[1:], "é"])
def test_a_key_that_is_no_base64_is_refused_without_being_shown(text: str) -> None:
    body = json.dumps({"keys": [{"key_ID": "a", "key": text}]}).encode()
    with pytest.raises(RequestError, match=r"keys.*key: expected") as caught:
        etsi014.decode_key_container(body)
    assert text.strip()[1:8] not in caught.value.message or len(text) < 3
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_key_is_shown_by_no_object_but_the_container_on_the_wire() -> None:
    body = json.dumps({"keys": [{"key_ID": "a", "key": KEY_TEXT}]}).encode()
    container = etsi014.decode_key_container(body)
    assert KEY_TEXT not in repr(container)
    assert container.keys[0].key == Secret(bytes(range(32)))
    assert json.loads(etsi014.encode(container)) == json.loads(body)


def test_an_exception_becomes_an_error_object_with_details_as_an_array() -> None:
    error = etsi014.error_of(KeyNotFoundError({"key_ID": "x is not here"}))
    assert json.loads(etsi014.encode(error)) == {
        "message": "one or more keys specified are not found on KME",
        "details": [{"key_ID": "x is not here"}],
    }
    assert etsi014.decode_error(etsi014.encode(error)) == error


@given(st.lists(st.tuples(st.uuids(), st.binary(min_size=1, max_size=300)), max_size=6))
def test_any_container_survives_the_wire(keys: list[tuple[uuid.UUID, bytes]]) -> None:
    container = etsi014.KeyContainer(
        keys=tuple(etsi014.Key(key_id=str(name), key=Secret(key)) for name, key in keys),
        key_container_extension={"acme_part": {"of": [1, 2, None]}},
    )
    assert etsi014.decode_key_container(etsi014.encode(container)) == container


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_never_a_crash(body: bytes) -> None:
    for decode in (
        etsi014.decode_status,
        etsi014.decode_key_request,
        etsi014.decode_key_container,
        etsi014.decode_key_ids,
        etsi014.decode_error,
    ):
        with contextlib.suppress(RequestError):
            decode(body)
