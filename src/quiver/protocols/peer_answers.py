"""The answers to a message: `{"quiver_header": …, "answers": […]}`, one entry per item and in the items' order.

An item that was taken is answered with a plain object, as `{"outcome": "done"}`. One that was refused is answered with an
*Error* (ETSI GS QKD 014 clause 6.5), whose details say the outcome in our own terms: `{"quiver_outcome": "no-credit"}`.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from quiver.domain import limits
from quiver.domain.errors import RequestError
from quiver.domain.messages import Answer, Container, Header, Hello, Outcome
from quiver.protocols.etsi014 import Error
from quiver.protocols.peer_checks import check_body, check_count, check_struct, convert, decode

__all__ = ["REFUSALS", "decode_answers", "encode_answers"]

REFUSALS: Final = {
    Outcome.REFUSED: "it contradicts what is here; nothing was changed",
    Outcome.NO_CREDIT: "there is no pad for it; nothing was changed",
    Outcome.NO_SEGMENT: "a piece is of a segment that is not here, or not the sender's; nothing was changed",
    Outcome.PATH_MISMATCH: "this node's entry of the path version differs; nothing was changed",
    Outcome.MEET_FIRST: "the two nodes have to meet first; nothing was changed",
    Outcome.WRONG_TAG: "the tag is wrong; the pad was burned",
}
"""Outcomes that are Errors on the wire, with their message."""

_PREFIX: Final = "quiver_"
_LOCAL: Final = "header"  # which the receiver itself notes; never on the wire
_MEMBERS: Final = tuple(field for field in Answer.__struct_fields__ if field != _LOCAL)
_ONLY: Final = {"ack": Container.kind, "offer": Hello.kind}  # members that answers to one kind alone may have


class _Answers(msgspec.Struct):
    quiver_header: Header
    answers: list[dict[str, Any]]


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(_Answers)


def _wire(answer: Answer) -> dict[str, Any] | Error:
    members = {member: value for member in _MEMBERS if (value := getattr(answer, member))}
    if answer.outcome not in REFUSALS:
        return members
    details = tuple({_PREFIX + member: value} for member, value in members.items())
    return Error(message=REFUSALS[answer.outcome], details=details)


def encode_answers(kind: str, header: Header, answers: Sequence[Answer]) -> bytes:
    """The body of the answer to a message of a kind; what `Answer.header` holds stays here."""
    foreign = [member for answer in answers for member in _ONLY if getattr(answer, member) and _ONLY[member] != kind]
    assert not foreign, f"no {kind} is answered with {foreign}"
    return _encoder.encode({"quiver_header": header, "answers": [_wire(answer) for answer in answers]})


def _read(kind: str, entry: dict[str, Any], place: str) -> Answer:
    refused = "message" in entry
    if refused:
        error = convert(entry, Error, place)
        entry = {
            name.removeprefix(_PREFIX): value
            for detail in error.details
            for name, value in detail.items()
            if name.startswith(_PREFIX)
        }
    answer = convert({member: entry[member] for member in _MEMBERS if member in entry}, Answer, place)
    if refused != (answer.outcome in REFUSALS):
        raise RequestError(f"{place}: a refusal shall be an Error, and no other answer")
    for member, only in _ONLY.items():
        if getattr(answer, member) and kind != only:
            raise RequestError(f"{place}.{member}: no part of an answer to a {kind}")
    check_struct(place, answer)
    return answer


def decode_answers(kind: str, body: bytes) -> tuple[Header, list[Answer]]:
    """The answers to a message of a kind; whether they are as many as its items is for the caller to see.

    Raises:
        RequestError: the body is wrong; the message names the member and shows no value.
        TooLargeError: it is longer than `limits.PEER_BODY`.
    """
    check_body(body)
    message = decode(_decoder, body)
    check_count("answers", len(message.answers), 0, limits.ITEMS_PER_MESSAGE)
    check_struct("quiver_header", message.quiver_header)
    return message.quiver_header, [
        _read(kind, entry, f"answers[{index}]") for index, entry in enumerate(message.answers)
    ]
