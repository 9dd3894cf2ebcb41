"""One connection of strongSwan, behind a charon that plays: whose keys are whose, and what a peer that is away costs.

What a real charon does is shown in `tests/interop/test_strongswan.py`.
"""

import uuid
from typing import Any

import pytest

from quiver.consume.charon import ChildSa, IkeSa
from quiver.consume.config_tables import StrongswanTable
from quiver.consume.ike_connection import Message
from quiver.consume.strongswan import Strongswan
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.initiator import Failure, Initiator
from quiver.domain.rollover.steps import Outcome, Step
from quiver.domain.rollover.timing import Timing
from quiver.domain.secret import Secret
from tests.consume.ground import run

CONNECTION: dict[str, Any] = {
    "local_addrs": ["192.0.2.20"],
    "remote_addrs": ["198.51.100.7"],
    "local": {},
    "remote": {},
    "children": {"net": {"local_ts": ["10.1.0.0/24"], "remote_ts": ["10.2.0.0/24"]}},
}


class Playing:
    """A charon, as `quiver.consume.charon.Charon` is used; its peer answers or does not."""

    def __init__(self) -> None:
        self.peer = True
        self.start()

    def start(self) -> None:
        """As after a restart."""
        self.known: set[str] = set()
        self.kept: set[str] = set()
        self.sas: list[IkeSa] = []
        self.made = 0

    async def load_connection(self, name: str, connection: Message) -> None:
        self.known.add(name)

    async def unload_connection(self, name: str) -> None:
        self.known.discard(name)

    async def connections(self) -> frozenset[str]:
        return frozenset(self.known)

    async def load_ppk(self, identifier: str, ppk_id: str, key: Secret) -> None:
        self.kept.add(identifier)

    async def unload_secret(self, identifier: str) -> None:
        self.kept.discard(identifier)

    async def secrets(self) -> frozenset[str]:
        return frozenset(self.kept)

    async def ike_sas(self, name: str) -> list[IkeSa]:
        return list(self.sas)

    async def initiate(self, name: str, child: str, seconds: float) -> str | None:
        if not self.peer:
            return "peer not responding"
        self.come_up()
        return None

    async def terminate(self, number: int, *, force: bool) -> None:
        self.sas = [sa for sa in self.sas if sa.number != number]

    def come_up(self) -> None:
        self.made += 1
        self.sas.append(IkeSa(self.made, True, False, True, (ChildSa(self.made, "net", True, 0, 0),)))


class Clock:
    """Stands still until it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def charon(monkeypatch: pytest.MonkeyPatch) -> Playing:
    playing = Playing()
    monkeypatch.setattr("quiver.consume.strongswan.Charon", lambda _: playing)
    return playing


def tunnel_of(name: str = "site", *, initiates: bool = True, clock: Clock | None = None) -> Strongswan:
    return Strongswan(StrongswanTable(name=name, connection=CONNECTION), initiates=initiates, clock=clock or Clock())


async def switched(tunnel: Strongswan) -> str:
    """Bring a new key into use; its key_ID."""
    key_id = str(uuid.uuid4())
    await tunnel.stage(DeliveredKey(key_id, Secret(bytes(32))))
    await tunnel.switch(key_id)
    return key_id


def test_a_connection_takes_no_keys_of_another_one_whose_name_begins_alike(charon: Playing) -> None:
    async def scene() -> None:
        short, long = tunnel_of("site"), tunnel_of("site-2")
        first, other = await switched(short), await switched(long)
        second = await switched(short)
        await short.retire()
        assert charon.kept == {f"quiver-site-{second}", f"quiver-site-2-{other}"}, f"{first} is over"
        await short.block()
        assert charon.kept == {f"quiver-site-2-{other}"}

    run(scene())


def test_a_peer_that_does_not_answer_costs_a_key_for_each_time_of_a_proof(charon: Playing) -> None:
    """The initiator's rounds on its own clock, with a partner whose consumer does all that it is asked for."""

    async def scene() -> None:
        charon.peer = False
        clock = Clock()
        tunnel, machine, keys = tunnel_of(clock=clock), Initiator(Timing(interval=120.0), 0.0), 0
        await tunnel.open()
        while clock.seconds < 3600:
            clock.seconds = max(clock.seconds, machine.due) + 0.01
            outcome, step = Outcome.DONE, machine.step
            match step:
                case Step.GREET | Step.WATCH if machine.active is not None and not await tunnel.intact():
                    outcome = Outcome.FAILED
                case Step.KEY:
                    keys += 1
                    machine.got_key(str(uuid.uuid4()))
                case Step.STAGE:
                    await tunnel.stage(DeliveredKey(machine.wanted or "", Secret(bytes(32))))
                case Step.SWITCH:
                    await tunnel.switch(machine.wanted or "")
                    clock.seconds += limits.IKE_TIME
                case Step.PROVE if not await tunnel.proven(machine.wanted or ""):
                    outcome = Outcome.NOT_YET
            machine.done(outcome, clock.seconds)
        assert keys <= 1 + 3600 / limits.ROLLOVER_PROOF
        assert machine.failures[Failure.TUNNEL] == 0
        assert machine.failures[Failure.NOT_PROVEN] == keys - 1
        assert tunnel.figures()["ike_failures_total"] >= 3600 / (limits.IKE_RETRY + limits.IKE_TIME) - 1

    run(scene())


def test_a_tunnel_that_is_down_after_its_key_was_proven_is_not_intact(charon: Playing) -> None:
    async def scene() -> None:
        tunnel = tunnel_of(clock=Clock())
        key_id = await switched(tunnel)
        assert await tunnel.proven(key_id)
        charon.sas, charon.peer = [], False
        assert not await tunnel.intact()

    run(scene())


@pytest.mark.parametrize("initiates", [True, False])
def test_an_ike_sa_of_a_charon_that_was_started_again_before_the_proof_proves_the_key(
    charon: Playing, initiates: bool
) -> None:
    async def scene() -> None:
        tunnel = tunnel_of(initiates=initiates, clock=Clock())
        for _ in range(3):  # numbers that the new charon will give again
            charon.come_up()
        charon.peer = False
        key_id = await switched(tunnel)
        charon.start()
        assert await tunnel.intact(), "it holds the connection and the key again"
        charon.come_up()
        assert charon.sas[0].number == 1
        assert await tunnel.proven(key_id)

    run(scene())
