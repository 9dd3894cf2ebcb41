"""The agents of the network: those that the configuration file lists, and those that operators made known.

One that was dismissed is kept aside until the controller has cleared it: it has to be reached for that.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from quiver.controller.endpoints import AgentTable, Registrar
from quiver.domain.errors import ConflictError, NotFoundError

__all__ = ["Registry"]


class Registry:
    """Who is where, and the writes that the database has yet to take. The file's word stands before an operator's."""

    def __init__(self) -> None:
        self._file: Final[dict[str, AgentTable]] = {}
        self._operators: Final[dict[str, AgentTable]] = {}
        self._leaving: Final[dict[str, AgentTable]] = {}
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

    def reached(self) -> dict[str, AgentTable]:
        """Id → agent of all that the controller keeps a session with: those that leave, too."""
        return {**self._leaving, **self._operators, **self._file}

    def load(self, agents: Iterable[AgentTable], leaving: Collection[str] = ()) -> None:
        """What the database holds; what it has not taken is forgotten.

        Args:
            agents: that operators made known.
            leaving: ids of those that were dismissed and are not gone yet.
        """
        held = {agent.id: agent for agent in agents}
        self._pending.clear()
        self._operators.clear()
        self._operators.update({node: agent for node, agent in held.items() if node not in leaving})
        self._leaving.update(held)
        self._apart()

    def of_file(self, agents: Iterable[AgentTable]) -> None:
        """What the configuration file lists now."""
        self._leaving.update(self._file)
        self._file.clear()
        self._file.update({agent.id: agent for agent in agents})
        self._apart()

    def _apart(self) -> None:
        for node in self._leaving.keys() & (self._file.keys() | self._operators.keys()):
            del self._leaving[node]
        self.generation += 1

    def register(self, agent: AgentTable) -> None:
        """An operator makes an agent known, or changes where it is.

        Raises:
            ConflictError: the file lists it.
        """
        self.check(agent.id)
        if self._operators.get(agent.id) != agent:
            self._operators[agent.id] = self._pending[agent.id] = agent
            self._apart()

    def dismiss(self, node: str) -> None:
        """An operator takes an agent out of the network; `gone` makes that durable.

        Raises:
            ConflictError: the file lists it.
            NotFoundError: there is none of this id.
        """
        self.check(node)
        agent = self._operators.pop(node, None)
        if agent is None:
            raise NotFoundError(f"there is no agent {node}")
        self._leaving[node] = agent
        self.generation += 1

    def gone(self, leaving: Collection[str]) -> None:
        """Forget the dismissed agents that are not among those that still leave."""
        for node in self._leaving.keys() - set(leaving):
            del self._leaving[node]
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
