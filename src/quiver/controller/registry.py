"""The agents of the network: those that the configuration file lists, and those that operators made known."""

from collections.abc import Iterable, Iterator
from typing import Final

from quiver.controller.endpoints import AgentTable, Registrar
from quiver.domain.errors import ConflictError, NotFoundError

__all__ = ["Registry"]


class Registry:
    """Who is where, and the writes that the database has yet to take. The file's word stands before an operator's."""

    def __init__(self) -> None:
        self._file: Final[dict[str, AgentTable]] = {}
        self._operators: Final[dict[str, AgentTable]] = {}
        self._pending: Final[dict[str, AgentTable | None]] = {}
        self.generation = 0  # grows whenever something has changed

    def __iter__(self) -> Iterator[AgentTable]:
        """All agents, in order of their ids."""
        return iter([agent for _, agent in sorted({**self._operators, **self._file}.items())])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._operators.keys() | self._file.keys())

    def get(self, node: str) -> AgentTable | None:
        """An agent by its id."""
        return self._file.get(node) or self._operators.get(node)

    def registrar(self, node: str) -> Registrar:
        """Who made it known."""
        return Registrar.FILE if node in self._file else Registrar.OPERATOR

    def load(self, agents: Iterable[AgentTable]) -> None:
        """What the database holds; what it has not taken is forgotten."""
        self._pending.clear()
        self._operators.clear()
        self._operators.update({agent.id: agent for agent in agents})
        self.generation += 1

    def of_file(self, agents: Iterable[AgentTable]) -> None:
        """What the configuration file lists now."""
        self._file.clear()
        self._file.update({agent.id: agent for agent in agents})
        self.generation += 1

    def register(self, agent: AgentTable) -> None:
        """An operator makes an agent known, or changes where it is.

        Raises:
            ConflictError: the file lists it.
        """
        self.check(agent.id)
        if self._operators.get(agent.id) != agent:
            self._operators[agent.id] = self._pending[agent.id] = agent
            self.generation += 1

    def dismiss(self, node: str) -> None:
        """An operator takes an agent out of the network.

        Raises:
            ConflictError: the file lists it.
            NotFoundError: there is none of this id.
        """
        self.check(node)
        if self._operators.pop(node, None) is None:
            raise NotFoundError(f"there is no agent {node}")
        self._pending[node] = None
        self.generation += 1

    def check(self, node: str) -> None:
        """Whether an operator may write this agent.

        Raises:
            ConflictError: the file lists it.
        """
        if node in self._file:
            raise ConflictError(
                f"agent {node} stands in the controller's configuration file; change it there and send SIGHUP"
            )

    def changes(self) -> dict[str, AgentTable | None]:
        """Id → what to make durable; None for one that is gone."""
        taken = dict(self._pending)
        self._pending.clear()
        return taken
