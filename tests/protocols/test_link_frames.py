"""Frames of the link encryptor: what they are made of, and what does not get in."""

import hashlib
import hmac
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.secret import Secret
from quiver.protocols.link_frames import HEADER, OVERHEAD, TAG, Carrier, Drop, Header, Subkey, key_tag, read_header
from quiver.protocols.link_ring import KeyRing

KEY = bytes(range(32))
KEY_ID = "00000000-0000-8000-8000-000000000001"


def ring(*, initiator: bool, carrier: Carrier = Carrier.UDP, key: bytes = KEY, key_id: str = KEY_ID) -> KeyRing:
    made = KeyRing(carrier, initiator=initiator)
    made.stage(key_id, Secret(key))
    made.switch(key_id)
    return made


def pair(carrier: Carrier = Carrier.UDP) -> tuple[KeyRing, KeyRing]:
    return ring(initiator=True, carrier=carrier), ring(initiator=False, carrier=carrier)


def sealed(one: KeyRing, payload: bytes = b"\1hello") -> bytes:
    frame = one.seal(payload)
    assert isinstance(frame, bytes)
    return frame


@pytest.mark.parametrize("initiator", [True, False])
def test_a_frame_is_what_the_table_of_its_format_says(initiator: bool) -> None:
    """By hand: HKDF from HMAC (RFC 5869), GCM from the cipher mode, the header octet by octet."""
    one = ring(initiator=initiator)
    sealed(one)
    frame = sealed(one, b"\1second")
    direction = b"initiator to responder" if initiator else b"responder to initiator"
    extracted = hmac.digest(bytes(32), KEY, "sha256")
    info = b"quiver link 1\0" + direction + b"\0" + KEY_ID.encode() + b"\0"
    subkey = hmac.digest(extracted, info + b"\1", "sha256")
    tag = hashlib.sha256(b"quiver link 1 key tag\0" + KEY_ID.encode()).digest()[:8]
    header = b"\x01\x01" + struct.pack(">H", 7) + tag + struct.pack(">Q", 1)
    cipher = Cipher(algorithms.AES(subkey), modes.GCM(bytes(4) + struct.pack(">Q", 1))).encryptor()
    cipher.authenticate_additional_data(header)
    expected = header + cipher.update(b"\1second") + cipher.finalize() + cipher.tag
    assert frame == expected


@pytest.mark.parametrize("carrier", Carrier)
@pytest.mark.parametrize("size", [1, 2, 1400, limits.ENCRYPTOR_PAYLOAD])
def test_round_trip_in_both_directions(carrier: Carrier, size: int) -> None:
    here, there = pair(carrier)
    payload = bytes(i % 251 for i in range(size))
    for sender, receiver in ((here, there), (there, here)):
        assert receiver.open(sealed(sender, payload)) == payload
        assert (sender.sent, sender.sent_bytes, receiver.received, receiver.received_bytes) == (1, size, 1, size)


def test_every_octet_is_protected() -> None:
    here, there = pair()
    frame = sealed(here)
    for place in range(len(frame)):
        for bit in (0x01, 0x80):
            changed = bytearray(frame)
            changed[place] ^= bit
            assert isinstance(there.open(bytes(changed)), Drop), place
    assert there.received == 0
    assert sum(there.dropped.values()) == 2 * len(frame)
    assert there.open(frame) == b"\1hello", "a forgery does not take the place of what it imitates"


def test_forgeries_do_not_move_the_window() -> None:
    here, there = pair()
    first = sealed(here)
    far_ahead = bytearray(first)
    far_ahead[12:20] = struct.pack(">Q", (1 << 64) - 1)
    assert there.open(bytes(far_ahead)) is Drop.WRONG_TAG
    assert there.open(first) == b"\1hello"


def test_a_frame_that_is_sent_back_is_refused() -> None:
    here, there = pair()
    frame = sealed(here)
    assert here.open(frame) is Drop.WRONG_TAG
    assert there.open(frame) == b"\1hello"


def test_frames_of_another_carrier_key_or_version_are_refused_by_cause() -> None:
    here, there = pair()
    frame = sealed(here)
    assert ring(initiator=False, carrier=Carrier.TUN).open(frame) is Drop.OTHER_CARRIER
    assert ring(initiator=False, key_id="another").open(frame) is Drop.UNKNOWN_KEY
    assert ring(initiator=False, key=bytes(32)).open(frame) is Drop.WRONG_TAG
    assert there.open(b"\2" + frame[1:]) is Drop.MALFORMED
    assert there.open(frame[:-1]) is Drop.MALFORMED
    assert there.open(frame + b"\0") is Drop.MALFORMED
    assert there.open(b"") is Drop.MALFORMED
    huge = Header(Carrier.UDP, limits.ENCRYPTOR_PAYLOAD + 1, key_tag(KEY_ID), 7)
    frame = Subkey(Secret(KEY), KEY_ID, initiator=True).seal(huge, bytes(limits.ENCRYPTOR_PAYLOAD + 1))
    assert there.open(frame) is Drop.OVERSIZE
    assert {cause: count for cause, count in there.dropped.items() if count} == {Drop.MALFORMED: 4, Drop.OVERSIZE: 1}


@pytest.mark.parametrize("size", [0, limits.ENCRYPTOR_PAYLOAD + 1])
def test_what_is_too_long_or_nothing_is_not_sent(size: int) -> None:
    here, _ = pair()
    assert here.seal(bytes(size)) is Drop.OVERSIZE
    assert here.sent == 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_never_opens_nor_raises(garbage: bytes) -> None:
    _, there = pair()
    assert isinstance(there.open(garbage), Drop)
    assert there.received == 0


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 65_535), st.binary(max_size=80))
def test_garbage_behind_a_header_that_looks_right_never_opens(
    version: int, carrier: int, length: int, rest: bytes
) -> None:
    _, there = pair()
    head = struct.pack(">BBHQ", version, carrier, length, key_tag(KEY_ID))
    assert isinstance(there.open(head + rest), Drop)
    assert isinstance(there.open(struct.pack(">BBHQ", 1, 1, max(0, len(rest) - 24), key_tag(KEY_ID)) + rest), Drop)


@settings(deadline=None)
@given(st.integers(0, 2), st.integers(1, limits.ENCRYPTOR_PAYLOAD), st.integers(0, (1 << 64) - 1))
def test_headers_come_back_as_they_were(carrier: int, length: int, counter: int) -> None:
    header = Header(carrier, length, key_tag(KEY_ID), counter)
    encoded = header.encode()
    assert len(encoded) == HEADER == OVERHEAD - TAG
    assert read_header(encoded) == header


def test_the_key_is_wiped_once_its_subkeys_are_made_and_is_nowhere_to_be_seen() -> None:
    key = Secret(KEY)
    one = KeyRing(Carrier.UDP, initiator=True)
    one.stage(KEY_ID, key)
    assert key == Secret(bytes(32))
    one.switch(KEY_ID)
    frame = sealed(one, b"\1" + KEY)
    assert KEY not in frame
    assert KEY.hex() not in repr(vars(one))
