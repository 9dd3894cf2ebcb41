"""The server's side of the peer plane: `POST /quiver/v1/{kind}` from other nodes.

Who speaks is in the certificate of the connection (`urn:quiver:node:ID`), never in a header or body; a certificate of the nodes'
CA is not enough, the directory must have the node. `net.http_server` listens and bounds what a stranger can take up.
"""

from collections.abc import Awaitable, Callable, Container
from typing import Final

import structlog

from quiver.domain.errors import RequestError
from quiver.domain.messages import ITEMS, Answer, Header, Item
from quiver.net.http_exchange import JSON, HttpAnswer, HttpRequest, refusal
from quiver.protocols import peer

__all__ = ["PeerPlane", "Receive"]

Receive = Callable[[str, str, Header, tuple[Item, ...]], Awaitable[tuple[Header, list[Answer]]]]
"""Takes sender, kind, header and items; gives the answers, one per item, once what they say is durable."""

_log = structlog.get_logger("quiver.agent.peer")
_KINDS: Final = {peer.PATH.format(kind=kind): kind for kind in ITEMS}


class PeerPlane:
    """Handler of the peer plane's listener.

    Args:
        receive: the node.
        nodes: ids of the nodes in the directory; looked into for each request, so it may change.
    """

    def __init__(self, receive: Receive, nodes: Container[str]) -> None:
        self._receive: Final = receive
        self._nodes: Final = nodes

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """The answers to a message, or an Error (ETSI GS QKD 014 clause 6.5).

        Raises:
            QuiverError: what the body or the node says against it; the listener makes it an Error.
        """
        sender = request.facts.names.node if request.facts is not None else None
        if sender is None or sender not in self._nodes:
            _log.warning("message refused", peer=sender, reason="not in the directory")
            return refusal(403, "the node that the certificate names is not in the directory")
        kind = _KINDS.get(request.path)
        if kind is None:
            return refusal(404, "there are no messages of this kind")
        if request.verb != "POST":
            return refusal(405, "messages are posted", {"Allow": "POST"})
        if request.content_type.partition(";")[0].strip().lower() != JSON:
            return refusal(415, f"Content-Type shall be {JSON}")
        try:
            header, items = peer.decode_message(kind, request.body)
        except RequestError as error:
            _log.warning("message refused", peer=sender, kind=kind, reason=error.message)
            raise
        header, answers = await self._receive(sender, kind, header, items)
        return HttpAnswer(body=peer.encode_answers(kind, header, answers))
