"""The simulated devices of one QKD link as servers: two HTTPS listeners that speak ETSI GS QKD 014 as their vendor does.

An agent cannot tell them from hardware: classical certificates, mutual TLS, the vendor's errors and pace. Faults come
from outside, through `Simulator.apply` or the control socket of `qkd.control`.
"""

import asyncio
import enum
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from quiver.domain.errors import ConfigurationError, QuiverError, RequestError, TooLargeError
from quiver.domain.limits import SAE_BODY
from quiver.protocols import etsi014
from quiver.protocols.etsi014_urls import Call, Method, parse_path, read_key_ids, read_key_request
from quiver.qkd.channel import ChannelState
from quiver.qkd.classical import ClassicalChannel, Mouth
from quiver.qkd.kme import Kme, Link
from quiver.qkd.profiles import Profile
from quiver.qkd.tls import names_in

__all__ = ["Fault", "Listener", "Simulator"]

JSON: Final = "application/json"
CLOSING: Final = 1.0  # seconds that requests under way may take at the end


class Fault(enum.Enum):
    """What can happen to a link."""

    DOWN = "down"  # no light in the quantum channel
    CUT = "cut"  # nor anything in the classical one beside it
    ONE_SIDE = "one-side"
    EAVESDROPPER = "eavesdropper"
    REPAIR = "repair"


_STATES: Final = {
    Fault.DOWN: ChannelState.DOWN,
    Fault.CUT: ChannelState.DOWN,
    Fault.EAVESDROPPER: ChannelState.EAVESDROPPER,
}


class Listener:
    """One end's HTTPS server.

    Args:
        kme: what answers.
        profile: how it words its answers.
        tls: the context; it asks for and verifies client certificates.
        host: address to listen on.
        port: 0 for any free one.
        sleep: waits the vendor's delay.
    """

    def __init__(
        self,
        kme: Kme,
        profile: Profile,
        tls: ssl.SSLContext,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if tls.verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigurationError("a device's TLS context has to ask for client certificates")
        self.kme = kme
        self.reachable = True
        self._profile = profile
        self._tls = tls
        self._host = host
        self._port = port
        self._sleep = sleep
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """`https://host:port` with the real port.

        Raises:
            RuntimeError: it does not listen yet.
        """
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the listener was not started")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"https://{host}:{self._runner.addresses[0][1]}"

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=CLOSING)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, ssl_context=self._tls).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(f"{self._host}:{self._port}: {error.strerror or error}") from None
        self._runner = runner

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self.reachable:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        try:
            status, kind, body = await self._answer(request)
        except QuiverError as error:
            status, kind, body = self._profile.render(error)
        if self._profile.delay:
            await self._sleep(self._profile.delay)
        return web.Response(status=status, body=body, content_type=kind)

    async def _answer(self, request: web.BaseRequest) -> tuple[int, str, bytes]:
        path, _, query = request.raw_path.partition("?")
        call = parse_path(path)
        if call is None:
            return 404, JSON, etsi014.encode(etsi014.Error(message="no such path"))
        verbs = ("GET",) if call.method is Method.STATUS else self._profile.verbs
        if request.method not in verbs:
            message = f"{request.method} is not allowed here; {' and '.join(verbs)} are"
            return 405, JSON, etsi014.encode(etsi014.Error(message=message))
        self.kme.authorise(names_in(request.get_extra_info("peercert")), call.sae_id)
        body = await _limited(request)
        return 200, JSON, etsi014.encode(self._serve(call, request.method, query, body))

    def _serve(self, call: Call, verb: str, query: str, body: bytes) -> etsi014.Status | etsi014.KeyContainer:
        match call.method:
            case Method.STATUS:
                if query:
                    raise RequestError("Get status has no parameters")
                return self.kme.status()
            case Method.ENC_KEYS:
                return self.kme.get_key(read_key_request(verb, query, body))
            case Method.DEC_KEYS:
                return self.kme.get_key_with_ids(read_key_ids(verb, query, body))


async def _limited(request: web.BaseRequest) -> bytes:
    received = bytearray()
    async for chunk in request.content.iter_any():
        received += chunk
        if len(received) > SAE_BODY:
            raise TooLargeError(f"the body shall have at most {SAE_BODY} bytes")
    return bytes(received)


class Simulator:
    """Both ends of a link, with its faults.

    Args:
        link: channel, keys and KMEs.
        contexts: the TLS context of either end.
        addresses: host and port of either end.
        mouths: the ends of the classical channel that is laid with the link; none where the agents do not use one.
        sleep: waits the vendor's delay.
    """

    def __init__(
        self,
        link: Link,
        contexts: tuple[ssl.SSLContext, ssl.SSLContext],
        *,
        addresses: tuple[tuple[str, int], tuple[str, int]] = (("127.0.0.1", 0), ("127.0.0.1", 0)),
        mouths: Sequence[Mouth] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.link = link
        self.fault = Fault.REPAIR
        self.classical = tuple(ClassicalChannel(mouth) for mouth in mouths)
        self.listeners = tuple(
            Listener(kme, link.profile, tls, host=host, port=port, sleep=sleep)
            for kme, tls, (host, port) in zip(link.kmes, contexts, addresses, strict=True)
        )

    @property
    def _servers(self) -> tuple[Listener | ClassicalChannel, ...]:
        return (*self.listeners, *self.classical)

    async def start(self) -> None:
        """Listen at both ends.

        Raises:
            ConfigurationError: an address cannot be listened on; then none listens.
        """
        try:
            for server in self._servers:
                await server.start()
        except ConfigurationError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close both ends."""
        for server in self._servers:
            await server.stop()

    def apply(self, fault: Fault, end: int = 1) -> None:
        """Break or repair the link; a new fault replaces the old one.

        Args:
            fault: what happens.
            end: the end that becomes unreachable (one-side only): 0 or 1.
        """
        self.fault = fault
        self.link.set_state(_STATES.get(fault, ChannelState.UP))
        for channel in self.classical:
            (channel.cut if fault is Fault.CUT else channel.repair)()
        for number, listener in enumerate(self.listeners):
            listener.reachable = fault is not Fault.ONE_SIDE or number != end
