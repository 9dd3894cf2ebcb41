"""The promises of the paths, query forms and request rules of ETSI GS QKD 014."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiver.domain.errors import RequestError
from quiver.protocols import etsi014_checks as checks
from quiver.protocols import etsi014_urls as urls
from quiver.protocols.etsi014 import KeyIDs, KeyRequest
from quiver.protocols.etsi014_urls import Method

LIMITS = checks.RequestLimits(
    key_size=256, min_key_size=64, max_key_size=1024, max_keys=8, max_sae_ids=1, max_bytes=512
)
ID = "6F1C2B7E-54a4-4a53-9d5a-0a3a1c7f9a10"


@given(st.text(min_size=1, max_size=128).filter(lambda t: t.isprintable() and t not in {".", ".."}))
def test_any_sae_id_comes_back_out_of_its_path(sae_id: str) -> None:
    for method in Method:
        path = urls.path_of(method, sae_id)
        assert path.count("/") == 5
        call = urls.parse_path(path)
        assert call is not None
        assert (call.method, call.sae_id) == (method, sae_id)


def test_an_encoded_slash_stays_inside_its_segment() -> None:
    call = urls.parse_path("/api/v1/keys/site%2Fencryptor%252F1/enc_keys")
    assert call is not None
    assert call.sae_id == "site/encryptor%2F1"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1/keys/a",
        "/api/v1/keys/a/b/enc_keys",
        "/api/v1/keys/a/enc_keys/",
        "/api/v1/keys/a/ENC_KEYS",
        "/api/v2/keys/a/status",
    ],
)
def test_other_paths_are_no_calls(path: str) -> None:
    assert urls.parse_path(path) is None


@pytest.mark.parametrize("segment", ["", ".", "..", "%ff", "%2", "%zz", "a%00", "a%0a", "x" * 129])
def test_a_bad_sae_id_is_refused_by_name(segment: str) -> None:
    with pytest.raises(RequestError, match="SAE_ID"):
        urls.parse_path(f"/api/v1/keys/{segment}/status")


def test_get_carries_number_and_size() -> None:
    assert urls.read_key_request("GET", "", b"") == KeyRequest()
    assert urls.read_key_request("GET", "size=128&number=3", b"") == KeyRequest(number=3, size=128)
    assert urls.key_request_query(KeyRequest(number=3, size=128)) == "number=3&size=128"
    assert urls.read_key_ids("GET", f"key_ID={ID}", b"") == KeyIDs.of([ID])


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("number=1&number=2", "number shall occur once"),
        ("number=", "number shall be a decimal integer"),
        ("number=-1", "number shall be"),
        ("number=1e3", "number shall be"),
        ("size=%31%30x", "size shall be"),
        ("additional_slave_SAE_IDs=B", "additional_slave_SAE_IDs.*unknown"),
        ("Number=1", "'Number' is unknown"),
        ("number=%ff", "percent-encoded"),
    ],
)
def test_a_wrong_query_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(RequestError, match=named):
        urls.read_key_request("GET", query, b"")


@pytest.mark.parametrize("query", ["", f"key_IDs={ID}", f"key_ID={ID}&key_ID={ID}"])
def test_get_names_exactly_one_key(query: str) -> None:
    with pytest.raises(RequestError, match="key_ID"):
        urls.read_key_ids("GET", query, b"")


def test_a_post_with_a_query_is_refused() -> None:
    with pytest.raises(RequestError, match="none in the query"):
        urls.read_key_request("POST", "number=1", b'{"number":1}')


def test_what_get_cannot_carry_needs_post() -> None:
    with pytest.raises(RequestError, match="POST"):
        urls.key_request_query(KeyRequest(extension_optional=({"a": 1},)))
    with pytest.raises(RequestError, match="POST"):
        urls.key_ids_query(KeyIDs.of([ID, ID]))


def test_the_default_size_is_the_kmes() -> None:
    assert checks.check_key_request(KeyRequest(number=2), LIMITS) == (2, 256)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (KeyRequest(number=0), "number shall be 1 to 8, not 0"),
        (KeyRequest(number=9), "number shall be 1 to 8, not 9"),
        (KeyRequest(size=129), "size shall be a multiple of 8"),
        (KeyRequest(size=56), "size shall be 64 to 1024, not 56"),
        (KeyRequest(size=0), "size shall be 64 to 1024, not 0"),
        (KeyRequest(size=-8), "size shall be 64 to 1024, not -8"),
        (KeyRequest(number=5, size=1024), "number × size shall be at most 4096 bits, not 5120"),
        (KeyRequest(additional_slave_sae_ids=("a", "b")), "additional_slave_SAE_IDs shall have at most 1"),
        (KeyRequest(additional_slave_sae_ids=("",)), "additional_slave_SAE_IDs shall have 1 to 128"),
    ],
)
def test_a_request_out_of_range_says_what_is_allowed(request_: KeyRequest, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        checks.check_key_request(request_, LIMITS)
    assert caught.value.message.startswith(message)


def test_the_standards_own_text_refuses_an_unknown_mandatory_extension() -> None:
    request = KeyRequest(extension_mandatory=({"abc_route_type": "direct"},), extension_optional=({"x_y": 1},))
    with pytest.raises(RequestError) as caught:
        checks.check_extensions(request, set())
    assert caught.value.message == "not all extension_mandatory parameters are supported"
    assert caught.value.details == {"extension_mandatory_unsupported": "abc_route_type is not supported"}
    checks.check_extensions(request, {"abc_route_type"})


def test_key_ids_are_compared_without_case() -> None:
    assert checks.check_key_ids(KeyIDs.of([ID]), 4) == [ID.lower()]
    with pytest.raises(RequestError, match="twice"):
        checks.check_key_ids(KeyIDs.of([ID, ID.lower()]), 4)


@pytest.mark.parametrize("ids", [[], [ID] * 5, ["no-uuid"], [ID + "\n"], ["{" + ID + "}"]])
def test_wrong_key_ids_are_refused_by_name(ids: list[str]) -> None:
    with pytest.raises(RequestError, match="key_ID"):
        checks.check_key_ids(KeyIDs.of(ids), 4)
