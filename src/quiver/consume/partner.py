"""The channel between the two ends of a tunnel: HTTPS with post-quantum certificates of SAEs; key_IDs, never keys."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from quiver.domain import limits
from quiver.domain.errors import RequestError, UnauthorizedError
from quiver.domain.rollover.losses import Packets
from quiver.domain.rollover.responder import Answer, Ask
from quiver.domain.rollover.steps import Outcome
from quiver.net import tls
from quiver.net.addresses import Address, ListenAddress
from quiver.net.http_client import CallError, CallFailure, HttpClient, Timeouts, printable
from quiver.net.http_exchange import HttpAnswer, HttpRequest, refusal
from quiver.net.http_server import HttpServer
from quiver.net.tls import Credentials, quiver_uri
from quiver.protocols import rollover
from quiver.protocols.rollover import RolloverAnswer, RolloverAsk

__all__ = ["Partner", "PartnerListener"]

_log = structlog.get_logger("quiver.consume.partner")

_OUTCOMES: Final = {Answer.DONE: Outcome.DONE, Answer.NOT_YET: Outcome.NOT_YET, Answer.REFUSED: Outcome.REFUSED}
_WRONG: Final = "the partner answered something wrong"
_CONNECT: Final = 5.0  # seconds
_BEFORE: Final = frozenset({CallFailure.UNREACHABLE, CallFailure.TLS})  # the request was not sent


class Partner:
    """The other end, as the initiator calls it.

    Args:
        address: where it listens.
        sae: its SAE ID, which its certificate has to name.
        kind: of the tunnel.
        credentials: this end's certificate.
        trust: bundles of the SAEs' post-quantum authority.
        source: local address to call from.

    Raises:
        ConfigurationError: a file is wrong.
    """

    def __init__(
        self,
        address: Address,
        sae: str,
        kind: str,
        credentials: Credentials,
        trust: Sequence[Path],
        *,
        source: str | None = None,
    ) -> None:
        host = f"[{address.host}]" if ":" in address.host else address.host
        self._kind: Final = kind
        self._said = ""  # why the last call failed
        self.packets: Packets | None = None  # that the partner has carried, where its last answer said so
        self._http: Final = HttpClient(
            f"https://{host}:{address.port}",
            tls=tls.partner_client(credentials, trust).expecting(quiver_uri("sae", sae)),
            body_limit=limits.ROLLOVER_BODY,
            what="partner",
            source=source,
            timeouts=Timeouts(_CONNECT, limits.ROLLOVER_ANSWER),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def ask(self, ask: Ask, key_id: str | None) -> Outcome:
        """Say something to the partner; what comes of it. Why it did not answer is logged once for each reason."""
        body = rollover.encode(RolloverAsk(ask=ask, kind=self._kind, key_id=key_id))
        try:
            status, answer = await self._http.call("POST", rollover.PATH, body)
            if status != 200:  # an end of another kind, a wrong SAE: no round would mend that, each would cost a key
                self._note(_WRONG, f"HTTP status {status}: {printable(answer.decode(errors='replace'))}")
                return Outcome.UNREACHED if 400 <= status < 500 else Outcome.LOST
            said = rollover.decode_answer(answer)
        except CallError as error:
            self._note("the partner does not answer", error.message)
            return Outcome.UNREACHED if error.failure in _BEFORE else Outcome.LOST
        except RequestError as error:
            self._note(_WRONG, error.message)
            return Outcome.LOST
        self.packets = said.packets
        if said.reason:
            self._note("the partner refuses", said.reason)
        else:
            self._said = ""
        if said.answer is Answer.NOT_YET and ask is not Ask.PROVE:
            self._note(_WRONG, f"{said.answer.value!r} to {ask.value!r}")
            return Outcome.LOST
        return _OUTCOMES[said.answer]

    def _note(self, what: str, reason: str) -> None:
        if self._said != (said := f"{what}: {reason}"):
            _log.warning(what, reason=printable(reason))
        self._said = said


class PartnerListener:
    """Where the responder listens for its initiator.

    Args:
        take: works on a message, of which one comes at a time; the answer, and why it refuses.
        packets: what the tunnel has carried, for the answer to SETTLE.
        listen: address.
        sae: the initiator's SAE ID, which its certificate has to name.
        kind: of the tunnel.
        credentials: this end's certificate.
        trust: bundles of the SAEs' post-quantum authority.

    Raises:
        ConfigurationError: a file is wrong.
    """

    def __init__(
        self,
        take: Callable[[Ask, str | None], Awaitable[tuple[Answer, str]]],
        packets: Callable[[], Awaitable[Packets | None]],
        listen: ListenAddress,
        sae: str,
        kind: str,
        credentials: Credentials,
        trust: Sequence[Path],
    ) -> None:
        self._take: Final = take
        self._packets: Final = packets
        self._sae: Final = sae
        self._kind: Final = kind
        self.server: Final = HttpServer(
            self._answer,
            plane="partner",
            host=listen.host,
            port=listen.port,
            tls=tls.partner_server(credentials, trust),
            body_limit=limits.ROLLOVER_BODY,
            connections=limits.ROLLOVER_CONNECTIONS,
        )

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        if request.path != rollover.PATH:
            return refusal(404, f"no such path; {rollover.PATH} is")
        if request.verb != "POST":
            return refusal(405, "only POST is allowed here", {"Allow": "POST"})
        caller = request.facts.names.sae if request.facts is not None else None
        if caller != self._sae:
            _log.warning("call refused", caller=caller, reason=f"the partner of this tunnel is {self._sae}")
            raise UnauthorizedError("the certificate is not that of this tunnel's partner")
        ask = rollover.decode_ask(request.body)
        if ask.kind != self._kind:
            raise RequestError(f"kind: this end of the tunnel is of kind {self._kind}")
        answer, reason = await self._take(ask.ask, ask.key_id)
        packets = await self._packets() if ask.ask is Ask.SETTLE else None
        return HttpAnswer(body=rollover.encode(RolloverAnswer(answer=answer, reason=reason[:500], packets=packets)))
