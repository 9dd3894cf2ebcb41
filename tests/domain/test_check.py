"""Tags: the published vector, everything that a tag covers, and acknowledgements that only the destination can make."""

import hashlib

import pytest

from quiver.domain import check, limits
from quiver.domain.secret import Secret

# RFC 8439 section 2.5.2: r, s, the message and its tag.
R = bytes.fromhex("85d6be7857556d337f4452fe42d506a8")
S = bytes.fromhex("0103808afb0db2fd4abff6af4149f51b")
MESSAGE = b"Cryptographic Forum Research Group"
TAG = bytes.fromhex("a8061dc1305136c6c22b8baf0c0127a9")


def test_a_link_tag_is_poly1305_of_rfc_8439_with_the_segments_first_16_bytes_as_s():
    segment = Secret(S + MESSAGE)
    assert check.link_tag(segment, R) == TAG
    assert check.verify_link(segment, R, TAG)


def test_a_container_tag_is_poly1305_with_r_from_the_hash_key(monkeypatch: pytest.MonkeyPatch):
    class Fixed:
        def digest(self) -> bytes:
            return R + bytes(16)

    monkeypatch.setattr(check.hashlib, "sha256", lambda _: Fixed())
    key = Secret(MESSAGE[20:])
    assert check.container_tag(Secret(bytes(32)), Secret(S), bytes(32), MESSAGE[:20], key) == TAG


@pytest.mark.parametrize("place", [0, 15, 16, 49])
def test_a_segment_that_differs_in_one_bit_anywhere_is_noticed(place: int):
    material = bytearray(S + MESSAGE)
    material[place] ^= 1
    assert not check.verify_link(Secret(material), R, TAG)


@pytest.mark.parametrize(("nonce", "tag"), [(b"", TAG), (R + b"x", TAG), (R, b""), (R, TAG[:-1])])
def test_nonce_and_tag_of_a_wrong_length_are_wrong(nonce: bytes, tag: bytes):
    assert not check.verify_link(Secret(S + MESSAGE), nonce, tag)


def made() -> list[bytes]:
    """hash key, mask, nonce, header, key"""
    return [hashlib.shake_256(str(i).encode()).digest(size) for i, size in enumerate((32, 16, 32, 80, 48))]


def verified(parts: list[bytes], tag: bytes) -> bool:
    hash_key, mask, nonce, header, key = parts
    return check.verify_container(Secret(hash_key), Secret(mask), nonce, header, Secret(key), tag)


def tag_of(parts: list[bytes]) -> bytes:
    hash_key, mask, nonce, header, key = parts
    return check.container_tag(Secret(hash_key), Secret(mask), nonce, header, Secret(key))


@pytest.mark.parametrize("part", range(5), ids=["hash key", "mask", "nonce", "header", "key"])
def test_a_container_tag_depends_on_every_part(part: int):
    parts = made()
    tag = tag_of(parts)
    assert verified(parts, tag)
    changed = bytearray(parts[part])
    changed[-1] ^= 0x80
    parts[part] = bytes(changed)
    assert not verified(parts, tag)
    assert not verified(made(), tag[:-1])


def test_r_does_not_depend_on_the_key_alone_but_on_a_nonce_drawn_late():
    parts = made()
    other = [*parts[:2], bytes(32), *parts[3:]]
    assert tag_of(parts) != tag_of(other)


def test_an_acknowledgement_proves_hash_key_container_and_result():
    digest = check.container_digest(b"header", Secret(b"ciphertext"), b"tag")
    right = check.acknowledge(Secret(bytes(32)), digest, "stored")
    assert len(right) == 64
    wrong = [
        check.acknowledge(Secret(bytes(31) + b"\1"), digest, "stored"),
        check.acknowledge(Secret(bytes(32)), digest, "refused"),
        check.acknowledge(
            Secret(bytes(32)), check.container_digest(b"header", Secret(b"ciphertexT"), b"tag"), "stored"
        ),
    ]
    assert right not in wrong


def test_with_several_paths_everything_is_the_xor_of_all():
    one, two, three = (Secret(hashlib.sha256(name).digest()) for name in (b"1", b"2", b"3"))
    assert check.combine([one]) == one
    assert check.combine([one, two, three]) == one ^ two ^ three
    assert limits.LINK_CHECK == limits.TAG == len(S)
