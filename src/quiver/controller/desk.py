"""What operators order, checked against what is there; everything is durable on return, with who ordered it in the history."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from quiver.controller.config import check_transport
from quiver.controller.config_tables import DemandTable, ManagementTable
from quiver.controller.endpoints import AgentTable, check_agent
from quiver.controller.engine import Engine
from quiver.domain.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PreconditionError,
    RequestError,
)
from quiver.domain.sdn.controller import Controller
from quiver.domain.sdn.demands import Demand, Origin
from quiver.domain.sdn.records import What

__all__ = ["Desk", "Expected", "tag_of"]

T = TypeVar("T")
_ANY: Final = "*"
_NAMED: Final = 8  # names in one message


def tag_of(resource: object) -> str:
    """The strong entity tag of what an operator can write (RFC 9110 section 8.8.3)."""
    body = msgspec.json.encode(resource, enc_hook=str, order="deterministic")
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


class Expected(msgspec.Struct, frozen=True):
    """What a caller takes for granted of a resource (RFC 9110 section 13.1).

    Attributes:
        match: If-Match: tags of which it has one, or `*`: it is there. Empty where nothing is said.
        none_match: If-None-Match: likewise what it is not.
    """

    match: str = ""
    none_match: str = ""

    def check(self, found: object | None) -> None:
        """Compare with what is there; None where nothing is.

        Raises:
            PreconditionError: it is otherwise.
        """
        tag = tag_of(found) if found is not None else None
        if self.match and not _named(self.match, tag):
            raise PreconditionError("If-Match: the resource has changed since, or is gone; read it again")
        if self.none_match and _named(self.none_match, tag):
            raise PreconditionError("If-None-Match: the resource is there already")


def _named(tags: str, tag: str | None) -> bool:
    return tag is not None and (tags.strip() == _ANY or tag in {one.strip() for one in tags.split(",")})


class Desk:
    """Where orders come in.

    Args:
        engine: carries them out.
        table: how this controller reaches agents.
    """

    def __init__(self, engine: Engine, table: ManagementTable) -> None:
        self._engine: Final = engine
        self._table: Final = table

    # --- demands --------------------------------------------------------------------------------------------------

    async def put_demand(self, who: str, table: DemandTable, expected: Expected) -> tuple[Demand, bool]:
        """Serve a virtual link, or serve it otherwise: the demand, and whether it is new.

        Raises:
            RequestError: a field is out of range, it contradicts what is there, or that is not as expected.
            UnavailableError: there are too many, or nobody knows whether it holds.
        """
        demand = _as_request(lambda: table.demand(Origin.OPERATOR))

        def change(controller: Controller) -> bool:
            found = controller.operator.demanded(demand.name)
            expected.check(found)
            for field, node in controller.operator.unknown(demand):
                raise RequestError(
                    f"{field}: there is no node {node!r} in the network; correct the name, or register its agent first"
                )
            if found is not None:
                _refuse_file(found)
                if (found.source, found.destination) != (demand.source, demand.destination):
                    raise ConflictError(
                        f"demand {demand.name} runs from {found.source} to {found.destination}; a virtual link does not move"
                    )
            _as_request(lambda: controller.operator.demand(demand))
            return found is None

        new = await self._engine.order(who, "demand", change, demand=demand.name)
        return demand, new

    async def remove_demand(self, who: str, name: str, expected: Expected) -> None:
        """Serve a virtual link no longer.

        Raises:
            RequestError: there is none, the file lists it, or it is not as expected.
            UnavailableError: nobody knows whether it holds.
        """

        def change(controller: Controller) -> None:
            found = controller.operator.demanded(name)
            if found is None:
                raise NotFoundError(f"there is no demand {name}")
            expected.check(found)
            _refuse_file(found)
            controller.operator.give_up(name)

        await self._engine.order(who, "remove-demand", change, demand=name)

    # --- drains ---------------------------------------------------------------------------------------------------

    async def drain(self, who: str, what: What, name: str) -> bool:
        """Let no path pass a node or link; whether that is new.

        Raises:
            RequestError: there is no such node or link.
            UnavailableError: nobody knows whether it holds.
        """

        def change(controller: Controller) -> bool:
            live = controller.snapshot()
            names = {node.node for node in live.nodes} if what is What.NODE else {link.id for link in live.links}
            if name not in names:
                raise NotFoundError(f"there is no {what.value} {name}")
            new = not controller.operator.drained(what, name)
            controller.operator.drain(what, name)
            return new

        return await self._engine.order(who, "drain", change, **{what.value: name})

    async def undrain(self, who: str, what: What, name: str) -> None:
        """Let paths pass a node or link again.

        Raises:
            NotFoundError: it is not drained.
            UnavailableError: nobody knows whether it holds.
        """

        def change(controller: Controller) -> None:
            if not controller.operator.drained(what, name):
                raise NotFoundError(f"{what.value} {name} is not drained")
            controller.operator.drain(what, name, drained=False)

        await self._engine.order(who, "undrain", change, **{what.value: name})

    # --- agents ---------------------------------------------------------------------------------------------------

    async def put_agent(self, who: str, agent: AgentTable, expected: Expected) -> bool:
        """Make an agent known, or say where it is now; whether it is new.

        Raises:
            RequestError: a field is wrong, the file lists it, or what is there is not as expected.
            UnavailableError: there are too many, or nobody knows whether it holds.
        """

        def check() -> None:
            check_agent(agent, "agent")
            check_transport(agent, self._table, "agent")

        _as_request(check)

        def change(controller: Controller) -> bool:
            found = self._engine.registry.get(agent.id)
            expected.check(found)
            self._engine.registry.check(agent.id)
            _as_request(lambda: controller.operator.admit(agent.id, agent.told))
            self._engine.registry.register(agent)
            return found is None

        return await self._engine.order(who, "register", change, node=agent.id)

    async def remove_agent(self, who: str, node: str, expected: Expected) -> None:
        """Take an agent out of the network; its paths move off it, and it is forgotten when it holds none any more.

        Raises:
            RequestError: there is none, the file lists it, demands end at it, or it is not as expected.
            UnavailableError: nobody knows whether it holds.
        """

        def change(controller: Controller) -> None:
            expected.check(self._engine.registry.get(node))
            self._engine.registry.check(node)
            ending = controller.operator.ending(node)
            if ending:
                raise ConflictError(f"demands end at {node}: {_listed(ending)}; give them up first")
            self._engine.registry.dismiss(node)
            controller.operator.dismiss(node)

        await self._engine.order(who, "dismiss", change, node=node)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _refuse_file(demand: Demand) -> None:
    if demand.origin is Origin.FILE:
        raise ConflictError(
            f"demand {demand.name} stands in the controller's configuration file; change it there and send SIGHUP"
        )


def _as_request(act: Callable[[], T]) -> T:
    """What is wrong with what a caller has sent is the request's fault, not that of a configuration of ours."""
    try:
        return act()
    except ConfigurationError as error:
        raise RequestError(error.message) from None
