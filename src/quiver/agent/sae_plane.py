"""The SAE plane: ETSI GS QKD 014 V1.1.1 for the SAEs of this node.

Who calls is what the certificate says, and nothing else: the URI `urn:quiver:sae:ID`, or for a certificate of a foreign
authority its one common name (`quiver.net.tls_names`). The plane checks the form of requests; what a caller may have is the
`KeyService`'s to judge. Status codes beside the standard's 400, 401 and 503: 404 for other paths, 405 for other verbs, 413 for a
body above the limit, all with the standard's Error as body.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import structlog

from quiver.agent.key_service import KeyService
from quiver.domain import limits
from quiver.domain.errors import QuiverError, RequestError, UnauthorizedError
from quiver.domain.reply import DeliveredKey
from quiver.net.http_exchange import JSON, HttpAnswer, HttpRequest, answer_for, refusal
from quiver.net.http_server import HttpServer
from quiver.net.tls import TlsContext
from quiver.protocols.etsi014 import Key, KeyContainer, encode
from quiver.protocols.etsi014_checks import RequestLimits, check_extensions, check_key_ids, check_key_request
from quiver.protocols.etsi014_urls import Call, Method, check_sae_id, parse_path, read_key_ids, read_key_request

__all__ = ["REQUEST_LIMITS", "SaePlane"]

_log = structlog.get_logger("quiver.agent.sae_plane")

REQUEST_LIMITS: Final = RequestLimits(
    key_size=limits.KEY_SIZE_DEFAULT,
    min_key_size=limits.KEY_SIZE_MIN,
    max_key_size=limits.KEY_SIZE_MAX,
    max_keys=limits.KEYS_PER_REQUEST,
    max_sae_ids=limits.SLAVES_PER_REQUEST - 1,
    max_bytes=limits.KEY_BYTES_PER_REQUEST,
)
"""What one request may ask for. The service's Status announces the same."""


class SaePlane:
    """The listener for SAEs.

    Args:
        service: the node behind it.
        host: address to listen on, IPv4 or IPv6.
        port: 0 for any free one.
        tls: of `net.tls.sae_server`.
        request_limits: what one request may ask for.
        extensions: names of the mandatory extensions that the service handles.
    """

    def __init__(
        self,
        service: KeyService,
        *,
        host: str,
        port: int = 0,
        tls: TlsContext,
        request_limits: RequestLimits = REQUEST_LIMITS,
        extensions: Collection[str] = (),
    ) -> None:
        self._service: Final = service
        self._limits: Final = request_limits
        self._extensions: Final = frozenset(extensions)
        self.server: Final = HttpServer(
            self.answer, plane="SAE", host=host, port=port, tls=tls, body_limit=limits.SAE_BODY
        )

    @property
    def url(self) -> str:
        """`https://host:port`, with the real port."""
        return self.server.url

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self.server.start()

    async def stop(self) -> None:
        """Take no new requests, finish those under way."""
        await self.server.stop()

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one request; every error of the tree becomes one."""
        caller = ""
        try:
            call = parse_path(request.path)
            if call is None:
                return refusal(404, "no such path; /api/v1/keys/{SAE_ID}/status, enc_keys and dec_keys are")
            verbs = call.method.verbs
            if request.verb not in verbs:
                words = f"{request.verb[:16]} is not allowed here; {' and '.join(verbs)} {'are' if verbs[1:] else 'is'}"
                return refusal(405, words, {"Allow": ", ".join(verbs)})
            caller = _caller(request)
            _check_form(request)
            body = await self._serve(caller, call, request)
        except QuiverError as error:
            answer = answer_for(error)
            log = _log.warning if answer.status >= 500 else _log.info
            log("request refused", caller=caller, status=answer.status, reason=error.message)
            return answer
        except asyncio.CancelledError:
            _log.info("request cancelled: the caller has gone", caller=caller)
            raise
        return HttpAnswer(body=body)

    async def _serve(self, caller: str, call: Call, request: HttpRequest) -> bytes:
        match call.method:
            case Method.STATUS:
                if request.query:
                    raise RequestError("Get status has no parameters")
                return encode(self._service.status(caller, call.sae_id))
            case Method.ENC_KEYS:
                return await self._new_keys(caller, call.sae_id, request)
            case Method.DEC_KEYS:
                return await self._named_keys(caller, call.sae_id, request)

    async def _new_keys(self, caller: str, slave: str, request: HttpRequest) -> bytes:
        wanted = read_key_request(request.verb, request.query, request.body)
        check_extensions(wanted, self._extensions)
        number, size = check_key_request(wanted, self._limits)
        slaves = (slave, *wanted.additional_slave_sae_ids)
        if slave in wanted.additional_slave_sae_ids:
            raise RequestError("additional_slave_SAE_IDs shall not repeat the SAE of the path")
        keys = await self._service.enc_keys(caller, slaves, number, size)
        _log.debug("keys given", caller=caller, number=number, size=size)
        return _container(keys)

    async def _named_keys(self, caller: str, master: str, request: HttpRequest) -> bytes:
        wanted = check_key_ids(read_key_ids(request.verb, request.query, request.body), self._limits.max_keys)
        keys = await self._service.dec_keys(caller, master, wanted)
        _log.debug("keys fetched", caller=caller, number=len(keys))
        return _container(keys)


def _caller(request: HttpRequest) -> str:
    """The SAE that the certificate names.

    Raises:
        UnauthorizedError: it names none.
    """
    named = request.facts.names.sae if request.facts is not None else None
    if named is None:
        raise UnauthorizedError("the certificate names no SAE")
    try:
        return check_sae_id(named)
    except RequestError:
        raise UnauthorizedError("the certificate names no SAE: its common name is none") from None


def _check_form(request: HttpRequest) -> None:
    """What has to be right before the body is looked at (clause 5.1: JSON, UTF-8).

    Raises:
        RequestError: a GET has a body, or a body is not said to be JSON.
    """
    if request.verb == "GET":
        if request.body:
            raise RequestError("a GET has no body; use POST")
        return
    kind, *parameters = [part.strip().lower() for part in request.content_type.split(";")]
    if kind != JSON and (request.body or kind):
        raise RequestError(f"Content-Type shall be {JSON}")
    charset = next((part[8:].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    if charset != "utf-8":
        raise RequestError("Content-Type: charset shall be utf-8 (RFC 8259)")


def _container(keys: Sequence[DeliveredKey]) -> bytes:
    return encode(KeyContainer(keys=tuple(Key(key_id=one.key_id, key=one.key) for one in keys)))
