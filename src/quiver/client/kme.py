"""An SAE's side of ETSI GS QKD 014 V1.1.1: the library behind `quiver key`, for encryptors and applications.

    async with KmeClient("https://kme.example:8443", credentials, [ca]) as kme:
        keys = await kme.get_keys("bob", number=2, size=256)        # the master; tells bob the key_IDs
        keys = await kme.get_keys_by_id("alice", key_ids)           # the slave

Classical or post-quantum is decided by the certificate: an ML-DSA one speaks TLS 1.3 with X25519MLKEM768 and ML-DSA-65 only.
What the KME refuses comes back as the same exception that it raised there (`quiver.domain.errors`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from quiver.domain import limits
from quiver.domain.errors import (
    KeyNotFoundError,
    QuiverError,
    RemoteError,
    RequestError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from quiver.domain.reply import DeliveredKey
from quiver.net.http_client import HttpClient, Timeouts, printable
from quiver.net.tls import Credentials, sae_client
from quiver.protocols import etsi014
from quiver.protocols.etsi014 import Error, KeyContainer, KeyIDs, KeyRequest, Status
from quiver.protocols.etsi014_urls import Method, path_of

__all__ = ["KmeClient"]

_ANSWER: Final = 4 * limits.KIB * limits.KIB  # bytes; other makers' KMEs may give longer keys than ours
_SHOWN: Final = 300  # characters of a KME's own message
_NOT_FOUND: Final = KeyNotFoundError().message


class KmeClient:
    """Calls the KME of this SAE's site.

    Args:
        url: `https://host:port` of the KME.
        credentials: this SAE's certificate, which is its identity, and key.
        trust: bundles of the authorities of KMEs.
        server_name: whom to find in the KME's certificate, where that is not the host of the URL: a DNS name, an address, or
            `urn:quiver:kme:ID`.
        timeouts: of each call; the whole call has to be longer than the KME's time to wait for keys.

    Raises:
        ConfigurationError: the URL is none for a KME, or a file is missing or wrong.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        trust: Sequence[Path],
        *,
        server_name: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        context = sae_client(credentials, trust)
        if server_name is not None:
            context = context.expecting(server_name)
        self._http: Final = HttpClient(url, tls=context, body_limit=_ANSWER, what="KME", timeouts=timeouts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def status(self, slave: str) -> Status:
        """Get status (clause 5.2): what there is for this SAE as master and the slave.

        Raises:
            RequestError, UnauthorizedError, UnavailableError: the KME refused.
            RemoteError: it did not answer, or answered something else.
        """
        body = await self._call(Method.STATUS, slave, None)
        try:
            return etsi014.decode_status(body)
        except RequestError as error:
            raise _wrong(Method.STATUS, error.message) from None

    async def get_keys(
        self,
        slave: str,
        number: int = 1,
        size: int | None = None,
        *,
        additional_slaves: Sequence[str] = (),
        mandatory: Sequence[Mapping[str, Any]] = (),
        optional: Sequence[Mapping[str, Any]] = (),
    ) -> list[DeliveredKey]:
        """Get key (clause 5.3): new keys that the slaves can fetch by their key_ID.

        Args:
            slave: SAE ID of the slave.
            number: how many keys.
            size: bits of each; None: the KME's `key_size`.
            additional_slaves: further SAEs that shall share them.
            mandatory: extensions that the KME has to handle.
            optional: extensions that it may ignore.

        Raises:
            RequestError, UnauthorizedError, UnavailableError: the KME refused; nothing was consumed.
            RemoteError: it did not answer, or answered something else; keys may be lost.
        """
        request = KeyRequest(
            number=number,
            size=size,
            additional_slave_sae_ids=tuple(additional_slaves),
            extension_mandatory=tuple(dict(one) for one in mandatory),
            extension_optional=tuple(dict(one) for one in optional),
        )
        keys = _keys(Method.ENC_KEYS, await self._call(Method.ENC_KEYS, slave, etsi014.encode(request)))
        if len(keys) != number or len({key.key_id.lower() for key in keys}) != number:
            raise _wrong(Method.ENC_KEYS, f"{len(keys)} keys where {number} different ones were asked for")
        lengths = {8 * len(key.key) for key in keys}
        if len(lengths) != 1 or 0 in lengths or (size is not None and lengths != {size}):
            raise _wrong(Method.ENC_KEYS, f"keys of {sorted(lengths)} bits")
        return keys

    async def get_keys_by_id(self, master: str, key_ids: Sequence[str]) -> list[DeliveredKey]:
        """Get key with key IDs (clause 5.4): these keys, in this order, of which each slave gets each once.

        Raises:
            KeyNotFoundError: one of them is not there; none was taken.
            RequestError, UnauthorizedError, UnavailableError: the KME refused; none was taken.
            RemoteError: it did not answer, or answered something else; keys may be lost.
        """
        asked = etsi014.encode(KeyIDs.of(tuple(key_ids)))
        keys = _keys(Method.DEC_KEYS, await self._call(Method.DEC_KEYS, master, asked))
        found = {key.key_id.lower(): key.key for key in keys}
        wanted = [key_id.lower() for key_id in key_ids]
        if found.keys() != set(wanted) or len(keys) != len(wanted):
            raise _wrong(Method.DEC_KEYS, f"{len(keys)} keys, not the {len(wanted)} that were asked for")
        return [DeliveredKey(key_id, found[key_id]) for key_id in wanted]

    async def _call(self, method: Method, sae_id: str, body: bytes | None) -> bytes:
        """The body of a 200. Keys are asked for with POST, which the HTTP library never sends twice by itself."""
        status, received = await self._http.call("GET" if body is None else "POST", path_of(method, sae_id), body)
        if status != 200:
            raise _refusal(method, status, received)
        return received


def _keys(method: Method, body: bytes) -> list[DeliveredKey]:
    try:
        container: KeyContainer = etsi014.decode_key_container(body)
    except RequestError as error:
        raise _wrong(method, error.message) from None
    return [DeliveredKey(key.key_id, key.key) for key in container.keys]


def _wrong(method: Method, what: str) -> RemoteError:
    return RemoteError(f"the KME's answer to {method.value} is wrong: {what}", status=200)


def _refusal(method: Method, status: int, body: bytes) -> QuiverError:
    try:
        said = etsi014.decode_error(body)
    except RequestError:
        said = Error(message="")
    message = printable(said.message, _SHOWN) or f"HTTP status {status} without a reason"
    details = {
        printable(name): printable(value, _SHOWN)
        for entry in said.details
        for name, value in entry.items()
        if isinstance(value, str)
    }
    match status:
        case 400 if said.message == _NOT_FOUND:
            return KeyNotFoundError(details)
        case 400:
            return RequestError(message, details=details)
        case 401:
            return UnauthorizedError(message, details=details)
        case 413:
            return TooLargeError(message, details=details)
        case 503:
            return UnavailableError(message, details=details)
    return RemoteError(f"{method.value}: HTTP status {status}: {message}", status=status)
