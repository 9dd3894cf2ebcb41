"""The client of a QKD device: ETSI GS QKD 014 southbound, tolerant of how vendors speak it.

Tolerant means: key_IDs are compared without case, more members than the standard's are ignored, errors are classified
by what they mean here whatever their body. Strict means: a container with another number of keys, an unknown key_ID, a
wrong size or more than the limit of bytes is *malformed*, and nothing of it is used.

A device that only takes GET gets one key per *Get key with key IDs* (clause 5.4), several at a time.
"""

import asyncio
import re
import ssl
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import aiohttp

from quiver.domain.errors import ConfigurationError, RequestError
from quiver.domain.limits import DEVICE_BODY
from quiver.net.http_client import CallError, CallFailure, HttpClient, Timeouts
from quiver.protocols import etsi014
from quiver.protocols.etsi014 import KeyContainer, KeyIDs, KeyRequest
from quiver.protocols.etsi014_urls import Method, key_ids_query, key_request_query, path_of
from quiver.qkd.device import DeviceError, DeviceKey, DeviceStatus, Failure, read_status
from quiver.qkd.profiles import Dialect

__all__ = ["DeviceClient", "Timeouts"]

AT_ONCE: Final = 8  # GET requests under way for one list of key_IDs
KEYS_PER_REQUEST_AT_MOST: Final = 4096  # whatever a device announces
SHOWN: Final = 120  # characters of a device's own message
_LOOKS_SECRET: Final = re.compile(r"[A-Za-z0-9+/=_]{16,}")


class DeviceClient:
    """Calls one device, as the SAE that our certificate names.

    Args:
        url: `https://host:port` of the device.
        peer_sae_id: SAE ID of the agent at the other end of the link, as the device knows it.
        tls: context with our certificate and the devices' CA; not with `session`.
        session: a session to use instead; it stays open on `close`.
        server_name: the name to find in the device's certificate, where that is not the host of the URL (products
            often have their KME ID there).
        source: local address to call from; None leaves it to the system.
        dialect: how this vendor speaks the standard.
        timeouts: of each call.

    Raises:
        ConfigurationError: the URL is none for a device.
    """

    def __init__(
        self,
        url: str,
        peer_sae_id: str,
        *,
        tls: ssl.SSLContext | None = None,
        session: aiohttp.ClientSession | None = None,
        server_name: str | None = None,
        source: str | None = None,
        dialect: Dialect | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        try:
            self._paths = {method: path_of(method, peer_sae_id) for method in Method}
        except RequestError as error:
            raise ConfigurationError(f"device: {error}") from None
        self._http = HttpClient(
            url,
            tls=tls,
            body_limit=DEVICE_BODY,
            what="device",
            session=session,
            server_name=server_name,
            source=source,
            timeouts=timeouts,
        )
        self._dialect = dialect or Dialect()
        self._most: int | None = None  # keys per request, once the device told

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, where they are ours."""
        await self._http.close()

    async def status(self) -> DeviceStatus:
        """Get status (clause 5.2).

        Raises:
            DeviceError: with its class.
        """
        body = await self._call(Method.STATUS, "GET")
        try:
            status = etsi014.decode_status(body)
        except RequestError as error:
            raise _malformed(Method.STATUS, error.message) from None
        self._most = max(1, min(status.max_key_per_request, KEYS_PER_REQUEST_AT_MOST))
        return read_status(status, self._dialect)

    async def _limit(self) -> int:
        """The most keys that this device takes in one request; asks it once."""
        if self._most is None:
            await self.status()
        return self._most or 1

    async def get_keys(self, number: int, size: int | None = None) -> list[DeviceKey]:
        """Get key (clause 5.3): at least one and at most `number` new keys of `size` bits, in one request.

        More than the device gives in one request are not asked for: call again.

        Raises:
            DeviceError: with its class.
        """
        request = KeyRequest(number=min(number, await self._limit()), size=size)
        if self._dialect.post:
            body = await self._call(Method.ENC_KEYS, "POST", etsi014.encode(request))
        else:
            body = await self._call(Method.ENC_KEYS, "GET", query=key_request_query(request))
        keys = [DeviceKey(key.key_id, key.key) for key in _container(Method.ENC_KEYS, body).keys]
        if not 1 <= len(keys) <= number:
            raise _malformed(Method.ENC_KEYS, f"{len(keys)} keys where {number} were asked for")
        if len({key.name for key in keys}) != len(keys):
            raise _malformed(Method.ENC_KEYS, "a key_ID occurs twice")
        lengths = {len(key.key) for key in keys}
        if 0 in lengths or len(lengths) != 1 or (size is not None and lengths != {size // 8}):
            raise _malformed(Method.ENC_KEYS, f"keys of {sorted(8 * length for length in lengths)} bits")
        return keys

    async def get_keys_by_id(self, key_ids: Sequence[str]) -> list[DeviceKey]:
        """Get key with key IDs (clause 5.4): these keys, in this order, under the key_IDs asked for.

        Lists longer than the device's limit take several requests. Where some of them fail in a way that passes, what the others
        brought is given: the device would not hand it out again.

        Raises:
            DeviceError: with its class; no key was found, or one answer cannot be used.
        """
        verb, most = ("POST", await self._limit()) if self._dialect.post else ("GET", 1)
        gate = asyncio.Semaphore(1 if self._dialect.post else AT_ONCE)
        found: dict[str, DeviceKey] = {}
        failures: list[DeviceError] = []

        async def part(wanted: list[str]) -> None:
            async with gate:
                if _stops(failures):
                    return
                try:
                    found.update({key.key_id: key for key in await self._fetch(verb, KeyIDs.of(wanted))})
                except DeviceError as error:
                    failures.append(error)

        async with asyncio.TaskGroup() as parts:
            for start in range(0, len(key_ids), most):
                parts.create_task(part(list(key_ids[start : start + most])))
        worst = min(failures, key=lambda error: error.passing, default=None)
        if worst is not None and not (found and worst.passing):
            raise worst
        return [found[key_id] for key_id in key_ids if key_id in found]

    async def _fetch(self, verb: str, key_ids: KeyIDs) -> list[DeviceKey]:
        if verb == "POST":
            body = await self._call(Method.DEC_KEYS, "POST", etsi014.encode(key_ids))
        else:
            body = await self._call(Method.DEC_KEYS, "GET", query=key_ids_query(key_ids))
        found = {key.key_id.lower(): key.key for key in _container(Method.DEC_KEYS, body).keys}
        wanted = [entry.key_id for entry in key_ids.key_ids]
        if found.keys() != {key_id.lower() for key_id in wanted} or len(found) != len(wanted):
            raise _malformed(Method.DEC_KEYS, f"{len(found)} keys, not the {len(wanted)} that were asked for")
        return [DeviceKey(key_id, found[key_id.lower()]) for key_id in wanted]

    async def _call(self, method: Method, verb: str, body: bytes | None = None, query: str = "") -> bytes:
        """The body of a 200.

        Raises:
            DeviceError: anything else came, or nothing.
        """
        target = f"{self._paths[method]}{'?' if query else ''}{query}"
        try:
            status, received = await self._http.call(verb, target, body)
        except CallError as error:
            bad = error.failure in {CallFailure.NOT_HTTP, CallFailure.TOO_LONG}
            failure = Failure.MALFORMED if bad else Failure.UNREACHABLE
            raise DeviceError(failure, f"{method.value}: {_words(error.message)}", status=error.status) from None
        if status != 200:
            raise _refusal(method, status, received)
        return received


def _stops(failures: Sequence[DeviceError]) -> bool:
    """Whether no further part of a list is to be asked for: a few keys that are late keep no others back."""
    return len(failures) >= AT_ONCE or any(error.failure is not Failure.NOT_FOUND for error in failures)


def _container(method: Method, body: bytes) -> KeyContainer:
    try:
        return etsi014.decode_key_container(body)
    except RequestError as error:
        raise _malformed(method, error.message) from None


def _malformed(method: Method, what: str) -> DeviceError:
    return DeviceError(Failure.MALFORMED, f"{method.value}: {what}", status=200)


def _refusal(method: Method, status: int, body: bytes) -> DeviceError:
    """The class of an answer that is not 200. Vendors use 400, 404, 422 and 503 as they please."""
    if status in {401, 403}:
        failure = Failure.UNAUTHORIZED
    elif 200 <= status < 400:
        failure = Failure.MALFORMED
    elif method is Method.DEC_KEYS and status in {400, 404, 410}:
        failure = Failure.NOT_FOUND
    else:
        failure = Failure.REFUSED
    try:
        said = f", it says: {_words(etsi014.decode_error(body).message)}"
    except RequestError:
        said = ""
    return DeviceError(failure, f"{method.value}: HTTP status {status}{said}", status=status)


def _words(text: str) -> str:
    """A foreign text, short, printable, and without anything that might be key material."""
    return "".join(c if c.isprintable() else " " for c in _LOOKS_SECRET.sub("…", text))[:SHOWN]
