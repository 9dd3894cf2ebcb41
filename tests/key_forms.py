"""How a key may stand in a text: what every search for keys in messages, logs and files looks for."""

import base64

__all__ = ["forms_of"]


def forms_of(key: bytes) -> list[bytes]:
    """Raw bytes, hexadecimal digits, base64 without padding, and the inside of its repr, whatever quotes are around it."""
    plain, url = base64.b64encode(key), base64.urlsafe_b64encode(key)
    return [
        key,
        key.hex().encode(),
        key.hex().upper().encode(),
        plain.rstrip(b"="),
        url.rstrip(b"="),
        repr(key)[2:-1].encode(),
    ]
