"""What the controller asks of an agent's management session, whatever carries it."""

from typing import Protocol

from quiver.controller.endpoints import AgentTable
from quiver.domain.errors import RemoteError
from quiver.domain.events import NumberedEvent
from quiver.domain.report import NodeReport
from quiver.domain.sdn.orders import Edit, Failure

__all__ = ["AgentSession", "Connector", "OrderRefusedError"]


class OrderRefusedError(RemoteError):
    """An agent has answered that it does not carry an order out; it has changed nothing.

    Args:
        message: what it said.
        failure: why.
        about: key of the path entry that it refuses, where it said it.
    """

    def __init__(self, message: str, failure: Failure = Failure.REFUSED, about: str = "") -> None:
        super().__init__(message)
        self.failure = failure
        self.about = about


class AgentSession(Protocol):
    """An authenticated session with one agent, subscribed to its events."""

    async def stamp(self, term: int) -> None:
        """Make the agent accept a controller term.

        Raises:
            OrderRefusedError: it has accepted a higher one.
            RemoteError: nobody knows; the session is broken.
        """
        ...

    async def read(self) -> NodeReport:
        """Read what the agent reports.

        Raises:
            RemoteError: it gave nothing that can be read; the session is broken.
        """
        ...

    async def edit(self, edit: Edit) -> None:
        """Change the controller's part of its configuration, all or nothing, durable on return.

        Raises:
            OrderRefusedError: it refuses.
            RemoteError: nobody knows; the session is broken.
        """
        ...

    async def event(self) -> tuple[str, NumberedEvent]:
        """Wait for its next event: the agent's run, and the event.

        Raises:
            RemoteError: the session is broken, or what came cannot be read.
        """
        ...

    async def close(self) -> None:
        """End it; never raises."""
        ...


class Connector(Protocol):
    """Makes sessions."""

    async def connect(self, agent: AgentTable) -> AgentSession:
        """A session with an agent that has shown to be the one meant.

        Raises:
            RemoteError: it is not there, is not the one meant, or refuses us.
        """
        ...
