"""Messages between the two ends of a tunnel, JSON over HTTPS: key_IDs, states and counts, never keys.

    POST /rollover/v1   {"ask": "offer", "kind": "wireguard", "key_ID": "..."}
    200                 {"answer": "done"}
    200                 {"answer": "done", "packets": [18304, 18297]}     to "settle", of a tunnel that counts

`kind` is the tunnel's kind, the same at both ends. Both are strict: what is unknown is refused.
"""

from typing import Annotated, Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.errors import RequestError
from quiver.domain.rollover.losses import Packets
from quiver.domain.rollover.responder import Answer, Ask

__all__ = ["PATH", "RolloverAnswer", "RolloverAsk", "decode_answer", "decode_ask", "encode"]

PATH: Final = "/rollover/v1"

_KeyId = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.KEY_ID_LENGTH)]
_Kind = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
_T = TypeVar("_T")


class RolloverAsk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of the initiator.

    Attributes:
        ask: what for.
        kind: of the tunnel.
        key_id: the key that it is about; None only in a greeting.
    """

    ask: Ask
    kind: _Kind
    key_id: _KeyId | None = msgspec.field(default=None, name="key_ID")


class RolloverAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The partner's answer.

    Attributes:
        answer: its word.
        reason: why it refuses, in words.
        packets: that its tunnel has carried; to SETTLE, where it counts them.
    """

    answer: Answer
    reason: Annotated[str, msgspec.Meta(max_length=512)] = ""
    packets: Packets | None = None


def encode(message: RolloverAsk | RolloverAnswer) -> bytes:
    """A message as JSON."""
    return msgspec.json.encode(message)


def decode_ask(body: bytes) -> RolloverAsk:
    """A message of the initiator from JSON.

    Raises:
        RequestError: it is none; names the field.
    """
    ask = _decode(body, RolloverAsk)
    if ask.key_id is None and ask.ask is not Ask.GREET:
        raise RequestError(f"key_ID: is needed with {ask.ask.value!r}")
    return ask


def decode_answer(body: bytes) -> RolloverAnswer:
    """A partner's answer from JSON.

    Raises:
        RequestError: it is none; names the field.
    """
    return _decode(body, RolloverAnswer)


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise RequestError(str(error)) from None
    except msgspec.DecodeError:
        raise RequestError("the body is no JSON") from None
