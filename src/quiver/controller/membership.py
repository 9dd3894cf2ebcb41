"""The controller's nodes are the agents of the registry, and no others."""

from collections.abc import Collection

from quiver.controller.registry import Registry
from quiver.domain.sdn.controller import Controller

__all__ = ["admit_all", "dismiss_others"]


def admit_all(controller: Controller, registry: Registry) -> None:
    """Admit every agent of the registry, with the address that it has now."""
    for agent in registry:
        controller.operator.admit(agent.id, agent.told)


def dismiss_others(controller: Controller, registry: Registry, before: Collection[str]) -> None:
    """Dismiss the nodes that were there before and are in the registry no more.

    To be called when demands that end at them were given up: what ends there still has no path from now on.
    """
    for node in set(before) - {agent.id for agent in registry}:
        controller.operator.dismiss(node)
