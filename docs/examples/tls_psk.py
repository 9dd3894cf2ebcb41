"""A program for `quiver consume exec`: each key becomes an OpenSSL session file, a TLS 1.3 pre-shared key.

    python3 tls_psk.py FILE

FILE gets the session, FILE.id the identity, which is the key_ID. A session file is an SSL_SESSION of OpenSSL in PEM: a sequence
of version 1, protocol 0x0304, cipher suite TLS_AES_256_GCM_SHA384 (0x1302), an empty session id and the key, then time and
time-out in seconds.
"""

import base64
import os
import sys
import time
from pathlib import Path

KEY_FD = 3
LIFE = 86_400  # seconds


def tagged(tag: int, content: bytes) -> bytes:
    """A value in DER, with its length in the short form or in the long one."""
    size = len(content)
    longer = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = bytes([size]) if size < 128 else bytes([0x80 | len(longer)]) + longer
    return bytes([tag]) + length + content


def integer(value: int) -> bytes:
    """A whole number, not negative."""
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def session(key: bytes, now: int) -> bytes:
    """The session file of a key."""
    parts = (
        integer(1),
        integer(0x0304),
        tagged(0x04, b"\x13\x02"),
        tagged(0x04, b""),
        tagged(0x04, key),
        tagged(0xA1, integer(now)),
        tagged(0xA2, integer(LIFE)),
    )
    text = base64.encodebytes(tagged(0x30, b"".join(parts)))
    return b"-----BEGIN SSL SESSION PARAMETERS-----\n" + text + b"-----END SSL SESSION PARAMETERS-----\n"


def replace(path: Path, content: bytes) -> None:
    """A whole file at once, for its owner only."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def main() -> None:
    """Called at each `switch`."""
    target = Path(sys.argv[1])
    with os.fdopen(KEY_FD, "rb") as file:
        key = file.read()
    replace(target, session(key, int(time.time())))
    replace(target.with_name(target.name + ".id"), os.environ["QUIVER_KEY_ID"].encode())


if __name__ == "__main__":
    main()
