"""What an agent says at log level DEBUG about its messages with other nodes, so that a key's way can be followed.

Names, lengths, source key_IDs, and SHA-256 digests of what stood in messages as ciphertext; never bytes, and of pad and keys not
even a digest. Batch ids appear as digests too: the master may not have been answered yet.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog

from quiver.domain.delivery import ContainerHeader
from quiver.domain.messages import (
    Announcement,
    Answer,
    Ciphertext,
    Confirmation,
    Container,
    Credit,
    Gift,
    Item,
    Lost,
    Ready,
    Retirement,
    Segments,
    Voided,
    Withdrawal,
)
from quiver.domain.secret import Secret

__all__ = ["ANSWERED", "SENT", "described", "digest_of", "log_answered", "log_sent"]

SENT: Final = "message sent"
ANSWERED: Final = "message answered"  # once what the answers say is durable here
_DIGITS: Final = 16  # hexadecimal digits of a digest that are shown

_log = structlog.get_logger("quiver.agent.trace")
_header: Final = msgspec.json.Decoder(ContainerHeader)

Facts = dict[str, Any]


def digest_of(what: bytes | str | Secret) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a ciphertext, or of a batch id's text."""
    match what:
        case Secret():
            plain = what.reveal()
        case str():
            plain = what.encode()
        case _:
            plain = what
    return hashlib.sha256(plain).hexdigest()[:_DIGITS]


def describe(item: Item) -> Facts:
    """What may be said of an item: its place on a path, its range with the segments' names, digests of its ciphertext."""
    match item:
        case Segments():
            return {
                "segment": item.segment,
                "link": item.link,
                "length": item.length,
                "key_ids": list(item.key_ids),
            }
        case Confirmation() | Gift() | Retirement():
            return {"segment": item.segment}
        case Credit():
            return {"path": item.key, "limit": item.limit}
        case Announcement():
            pieces = [list(msgspec.structs.astuple(piece)) for piece in item.pieces]
            return {"path": item.key, "sequence": item.sequence, "length": item.length, "pieces": pieces}
        case Ciphertext():
            digest = digest_of(item.ciphertext)
            return {"path": item.key, "sequence": item.sequence, "length": item.length, "ciphertext": digest}
        case Lost() | Ready() | Voided():
            return {"path": item.key, "sequence": item.sequence}
        case Container():
            return _container(item)
        case Withdrawal():
            return {"number": item.number, "batch": digest_of(item.batch)}
    return {}


def _container(item: Container) -> Facts:
    try:
        header = _header.decode(item.header)
    except msgspec.DecodeError:  # another node's; what is wrong with it is said elsewhere
        return {"ciphertext": digest_of(item.ciphertext)}
    return {
        "batch": digest_of(header.batch),
        "number": header.number,
        "keys": header.count,
        "bits": header.size,
        "paths": {key: [list(piece) for piece in pieces] for key, (_, pieces) in header.paths.items()},
        "ciphertext": digest_of(item.ciphertext),
        "tag": digest_of(item.tag),
    }


def described(items: Sequence[Item]) -> list[Facts]:
    """What may be said of each item; to be asked before the items are used up."""
    return [describe(item) for item in items]


def log_sent(node: str, peer: str, kind: str, items: Sequence[Item]) -> None:
    """A message leaves for another node."""
    _log.debug(SENT, node=node, peer=peer, kind=kind, items=described(items))


def log_answered(node: str, peer: str, kind: str, items: Sequence[Facts], answers: Sequence[Answer]) -> None:
    """A message of another node is answered: what it said is durable here."""
    outcomes = [answer.outcome.value for answer in answers]
    _log.debug(ANSWERED, node=node, peer=peer, kind=kind, items=list(items), outcomes=outcomes)
