"""What a key database must hold, as a dict, and a history of transactions that anyone can compute anew."""

import hashlib
from collections.abc import Iterable
from typing import Final

from quiver.domain.journal import AuditLine, Write
from quiver.domain.secret import Secret
from quiver.store.database import KeyDatabase

State = dict[tuple[str, str], tuple[bytes, bytes | None]]

PAD: Final = 64 * 1024


def apply(state: State, writes: Iterable[Write]) -> None:
    for write in writes:
        name = write.kind, write.id
        if write.body is None:
            state.pop(name, None)
            continue
        secret = state.get(name, (b"", None))[1]
        if write.secret is not None:
            secret = write.secret.reveal() or None
        if secret is not None:
            left = bytearray(secret)
            for offset, length in write.erasures:
                stop = min(offset + length, len(left))
                left[offset:stop] = bytes(max(0, stop - offset))
            secret = bytes(left)
        state[name] = write.body, secret


def state_of(database: KeyDatabase) -> State:
    return {
        (kind, key): (body, None if secret is None else secret.reveal()) for kind, key, body, secret in database.load()
    }


def bytes_of(name: str, length: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(length)


def transaction(number: int) -> tuple[list[Write], list[AuditLine]]:
    """The writes and the audit of commit `number`: marks, pad of several sizes, an erasure, deletions."""
    pad = Secret(bytes_of("pad", PAD)) if number % 50 == 1 else None
    writes = [
        Write("segment", "s", b"mark %d" % number, pad, [] if pad else [(number * 997 % PAD, 48)]),
        Write("relayed", f"r{number}", b"%d" % number * (number % 90 + 1)),
        Write("block", f"b{number}", b"block", Secret(bytes_of(f"b{number}", 40 + number * 911 % 9000))),
        Write("block", f"b{number - 5}", None),
        Write("relayed", f"r{number - 20}", None),
    ]
    return writes, [AuditLine("step", {"number": number})]


def state_after(number: int) -> State:
    state: State = {}
    for n in range(1, number + 1):
        apply(state, transaction(n)[0])
    return state
