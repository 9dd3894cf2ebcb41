"""Promises of the secret type: it never shows what it holds, and it can be wiped."""

import copy
import pickle

import pytest

from quiver.domain import xor
from quiver.domain.secret import Secret


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r:>40}".format])
def test_a_secret_never_shows_its_bytes(show):
    shown = show(Secret(b"\x41\x42\x43"))
    assert "ABC" not in shown
    assert "414243" not in shown
    assert "3 bytes" in shown


@pytest.mark.parametrize("spill", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_never_serialised(spill):
    with pytest.raises(TypeError, match="never serialised"):
        spill(Secret(b"abc"))


def test_a_wiped_range_is_zero_and_the_rest_stays():
    secret = Secret(b"abcdef")
    secret.wipe(2, 3)
    assert secret.reveal() == b"ab\0\0\0f"
    secret.wipe()
    assert secret.reveal() == bytes(6)


def test_a_part_beyond_the_end_is_refused():
    with pytest.raises(ValueError, match="no part"):
        Secret(b"abc").part(1, 3)


@pytest.mark.parametrize(("start", "length"), [(1, 3), (4, None), (-1, 1), (2, -1)])
def test_what_is_beyond_the_end_is_not_wiped(start, length):
    secret = Secret(b"abc")
    with pytest.raises(ValueError, match="no part"):
        secret.wipe(start, length)
    assert secret.reveal() == b"abc"


@pytest.mark.parametrize("size", [1, 31, 256, 257, 70_000])
def test_combining_twice_restores_the_key(size):
    key, pad = bytes(i % 251 for i in range(size)), bytes((7 * i + 3) % 256 for i in range(size))
    assert xor.combine(xor.combine(key, pad), pad) == key


def test_a_pad_of_another_length_is_refused_not_cut():
    with pytest.raises(ValueError, match="does not fit"):
        xor.combine(b"abc", b"ab")
