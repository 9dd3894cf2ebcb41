"""What nodes say to each other, on the wire: the bodies of `POST /quiver/v1/{kind}` and of their answers, as JSON.

Where ETSI GS QKD 014 has an object that fits, it is that object (`peer_items`, `peer_answers`): a relay's ciphertext and a
container of keys are Key containers, ranges of link pad and source key_IDs are Key IDs, refusals are Errors. What the standard
does not know stands in extension objects whose names begin with `quiver_`. `peer_openapi.json` describes all of it.

Nothing here does input or output.
"""

from collections.abc import Sequence
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import RequestError
from quiver.domain.messages import Header, Item
from quiver.protocols.peer_answers import decode_answers, encode_answers
from quiver.protocols.peer_checks import check_body, check_count, check_struct
from quiver.protocols.peer_items import FORMS

__all__ = ["PATH", "decode_answers", "decode_message", "encode_answers", "encode_message"]

PATH: Final = "/quiver/v1/{kind}"
"""The path of a kind's messages."""


def encode_message(kind: str, header: Header, items: Sequence[Item]) -> bytes:
    """The body of a message.

    Args:
        kind: the items' kind, a key of `messages.ITEMS`.
        header: what the sender says of its database.
        items: 1 to `limits.ITEMS_PER_MESSAGE`.
    """
    return FORMS[kind].encode(header, items)


def decode_message(kind: str, body: bytes) -> tuple[Header, tuple[Item, ...]]:
    """What a body of a kind says.

    Raises:
        RequestError: the kind is none, or the body is wrong; the message names the member and shows no value.
        TooLargeError: it is longer than `limits.PEER_BODY`.
    """
    form = FORMS.get(kind)
    if form is None:
        raise RequestError("there are no messages of this kind")
    check_body(body)
    header, items = form.decode(body)
    check_count("items", len(items), 1, limits.ITEMS_PER_MESSAGE)
    check_struct("quiver_header", header)
    for index, item in enumerate(items):
        check_struct(f"items[{index}]", item)
    return header, items
