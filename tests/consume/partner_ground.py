"""The channel between two ends with a responder that only listens, and callers of it."""

from collections.abc import Awaitable, Callable
from typing import Any

from structlog.testing import capture_logs

from quiver.consume.partner import Partner, PartnerListener
from quiver.domain.rollover.losses import Packets
from quiver.domain.rollover.responder import Answer, Ask
from quiver.domain.rollover.steps import Outcome
from quiver.identity.lab import Lab
from quiver.net.addresses import Address, ListenAddress
from tests.consume.ground import issued, run

KIND = "wireguard"
HERE, THERE = "gateway-1", "gateway-2"
Taken = list[tuple[Ask, str | None]]


def visit(
    lab: Lab, call: Callable[[int], Awaitable[Any]], answer: Answer = Answer.DONE
) -> tuple[Any, Taken, list[Any]]:
    """What a caller of the responder's port gets, what the responder was asked for, and what was logged."""
    taken: Taken = []

    async def take(ask: Ask, key_id: str | None) -> tuple[Answer, str]:
        taken.append((ask, key_id))
        return answer, "no room" if answer is Answer.REFUSED else ""

    async def counts() -> Packets:
        return Packets(received=7, sent=9)

    async def main() -> Any:
        credentials = issued(lab, "sae-partner", THERE)
        address = ListenAddress("127.0.0.1:0")
        listener = PartnerListener(take, counts, address, HERE, KIND, credentials, [lab.saes_trust[1]])
        await listener.server.start()
        try:
            return await call(listener.server.address[1])
        finally:
            await listener.server.stop()

    with capture_logs() as logs:
        got = run(main())
    return got, taken, list(logs)


def partner(lab: Lab, port: int, profile: str = "sae-partner", sae: str = HERE, kind: str = KIND) -> Partner:
    """The initiator's end of the channel, or that of somebody else."""
    credentials = issued(lab, profile, sae)
    return Partner(Address(f"127.0.0.1:{port}"), THERE, kind, credentials, [lab.saes_trust[1]])


def asking(
    lab: Lab, ask: Ask = Ask.OFFER, key_id: str | None = "k1", **who: str
) -> Callable[[int], Awaitable[Outcome]]:
    """For `visit`: one message; `who` is given to `partner`."""

    async def call(port: int) -> Outcome:
        own = partner(lab, port, **who)
        try:
            return await own.ask(ask, key_id)
        finally:
            await own.close()

    return call
