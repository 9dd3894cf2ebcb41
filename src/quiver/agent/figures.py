"""What the metrics plane shows of a node. Labels are names of the configuration and causes; nothing that SAEs sent."""

from collections.abc import Iterator
from typing import Final

import msgspec

from quiver.agent.engine import Engine
from quiver.domain import limits
from quiver.domain.errors import StorageError
from quiver.domain.node import Node
from quiver.domain.records import Block
from quiver.domain.report import DeviceState, LinkState

__all__ = ["Figure", "figures_of"]


class Figure(msgspec.Struct, frozen=True):
    """One sample.

    Attributes:
        name: without the prefix `quiver_` and without `_total`.
        counter: whether it only rises, until the agent is started again.
        about: what it counts, and in which unit.
        labels: label → value; every sample of one name has the same labels.
    """

    name: str
    counter: bool
    about: str
    value: float
    labels: dict[str, str] = {}


ABOUT: Final = {
    "up": "1 while the node runs, 0 while its key database cannot be used",
    "commits": "commits of the key database",
    "node_restarts": "times that the node was made anew from its database after a failure",
    "alarms": "alarms raised, by name",
    "random_generator_up": "1 while the generator of random numbers passes its tests and gives bytes, else 0",
    "random_generator_failures": "times that it failed its tests or ended",
    "random_generator_bytes": "bytes of it that went into keys",
    "pad_level_bytes": "link pad that this end may still allocate",
    "pad_allocated_bytes": "link pad that this end has allocated to sequences",
    "pad_accepted_bytes": "link pad of the neighbour's that this end has accepted",
    "pad_collected_bytes": "link pad that has become usable at this end, over both ends' segments",
    "link_check_bytes": "link pad that checks of segments have spent",
    "pad_burned_bytes": "pad that will never be used, by cause; `restart` counts what a crash leaves in doubt as burned",
    "block_ready_bytes": "end-to-end pad that is ready at the source",
    "block_hash_key_bytes": "hash keys of the ready blocks, shared out by bytes: the part that is for pad not taken yet",
    "path_taken_bytes": "end-to-end pad that keys and their tags have taken at the source",
    "path_credit_bytes": "pad that the source may take now; 0 says that the path is not whole, or dry",
    "sequences_open": "sequences without an outcome at the source",
    "requests_served": "requests of SAEs for new keys that got them",
    "requests_refused": "requests of SAEs for new keys that got 503",
    "events": "events of the node in its present run",
    "link_state": "1 for the state that a QKD link is in: unknown, up or down",
    "device_state": "1 for what this end's device of a link does: unknown, ready, dry or fault",
    "link_qber": "quantum bit error ratio of a link, 0 to 1, where its vendor tells it",
    "device_refusals": "calls that a device has refused or not answered",
    "keys_delivered": "keys that master SAEs were answered with",
    "requests_waiting": "requests of SAEs that wait for pad",
    "containers_open": "containers of keys without an outcome",
    "batches_unfetched": "batches of keys that wait for their slave SAEs",
}
COUNTERS: Final = frozenset(
    {
        "commits",
        "node_restarts",
        "alarms",
        "random_generator_failures",
        "random_generator_bytes",
        "pad_allocated_bytes",
        "pad_accepted_bytes",
        "pad_collected_bytes",
        "link_check_bytes",
        "pad_burned_bytes",
        "path_taken_bytes",
        "keys_delivered",
        "device_refusals",
        "requests_served",
        "requests_refused",
        "events",
    }
)


def figures_of(engine: Engine) -> list[Figure]:
    """All samples now."""
    return [Figure(name, name in COUNTERS, ABOUT[name], value, labels) for name, value, labels in _samples(engine)]


def _samples(engine: Engine) -> Iterator[tuple[str, float, dict[str, str]]]:
    yield "commits", engine.commits, {}
    yield "node_restarts", engine.restarts, {}
    for name, count in sorted(engine.alarms.items()):
        yield "alarms", count, {"alarm": name}
    if (generator := engine.randomness.generator) is not None:
        yield "random_generator_up", generator.trouble is None, {}
        yield "random_generator_failures", generator.failures, {}
        yield "random_generator_bytes", generator.taken, {}
    try:
        node = engine.node
    except StorageError:
        yield "up", 0, {}
        return
    yield "up", 1, {}
    yield from _links(node)
    yield from _pads(node)
    yield from _paths(node)
    yield "events", node.journal.events.sequence, {}
    yield "requests_served", node.delivery.requests.served, {}
    yield "requests_refused", node.delivery.requests.refused, {}
    yield "keys_delivered", node.delivery.requests.delivered, {}
    yield "requests_waiting", len(node.delivery.requests), {}
    yield "containers_open", node.delivery.open, {}
    yield "batches_unfetched", len(node.vault.batches), {}


def _links(node: Node) -> Iterator[tuple[str, float, dict[str, str]]]:
    for link, collector in node.ends.collectors.items():
        device = node.ends.devices[link]
        for state in LinkState:
            yield "link_state", state is node.ends.links.state(link), {"link": link, "state": state.value}
        for condition in DeviceState:
            yield "device_state", condition is device.state, {"link": link, "state": condition.value}
        if device.qber is not None:
            yield "link_qber", device.qber, {"link": link}
        yield "device_refusals", collector.refusals, {"link": link}


def _pads(node: Node) -> Iterator[tuple[str, float, dict[str, str]]]:
    for neighbour, pads in node.context.pads.items():
        yield "pad_level_bytes", pads.owned, {"neighbour": neighbour}
        yield "pad_allocated_bytes", pads.allocated, {"neighbour": neighbour}
        yield "pad_accepted_bytes", pads.accepted, {"neighbour": neighbour}
        for link, length in pads.collected.items():
            yield "pad_collected_bytes", length, {"link": link}
        for link, length in pads.checked.items():
            yield "link_check_bytes", length, {"link": link}
    for cause, length in sorted(node.journal.burned.causes.items()):
        yield "pad_burned_bytes", length, {"cause": cause}


def _paths(node: Node) -> Iterator[tuple[str, float, dict[str, str]]]:
    for key, source in node.paths.sources.items():
        yield "block_ready_bytes", source.ready, {"path": key}
        yield "block_hash_key_bytes", sum(map(_hash_key_left, source.blocks.values())), {"path": key}
        yield "path_taken_bytes", source.taken, {"path": key}
        yield "path_credit_bytes", source.credit, {"path": key}
        yield "sequences_open", source.open, {"path": key}


def _hash_key_left(block: Block) -> float:
    return limits.HASH_KEY * (block.length - block.used.size) / (block.length - limits.HASH_KEY)
