"""Demand traces: which virtual links are asked for when, and what breaks. Kept as JSON, one request or fault a line."""

from collections.abc import Sequence
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final

import msgspec

from quiver.domain.errors import ConfigurationError

__all__ = ["Fault", "FaultKind", "Request", "Trace", "committed", "read_trace", "written"]


class FaultKind(StrEnum):
    """What can happen to a network."""

    CUT = "cut"  # a link: no key, no messages
    DARK = "dark"  # a link's quantum channel: no new key, standing pad can be used
    LOST = "lost"  # a node


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A virtual link that is asked for; times in seconds from the trace's start, rate in bit/s of each hop."""

    source: str
    destination: str
    rate: int
    priority: int
    begins: int
    ends: int


class Fault(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A link (by its id) or a node is broken from one time to another, in seconds."""

    kind: FaultKind
    name: str
    begins: int
    ends: int


class Trace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to one network.

    Attributes:
        network: name of the network.
        seed: from which it was made.
        seconds: its length.
        requests: in order of arrival.
        faults: in order of their beginning.
    """

    network: str
    seed: int
    seconds: int
    requests: tuple[Request, ...]
    faults: tuple[Fault, ...]

    def __post_init__(self) -> None:
        events: tuple[Request | Fault, ...] = (*self.requests, *self.faults)
        for event in events:
            if not 0 <= event.begins < event.ends <= self.seconds:
                raise ConfigurationError(f"trace {self.network}/{self.seed}: {event} does not lie within its time")
        for request in self.requests:
            if request.rate <= 0 or request.source == request.destination:
                raise ConfigurationError(f"trace {self.network}/{self.seed}: {request} asks for nothing")

    @property
    def times(self) -> tuple[int, ...]:
        """When anything begins or ends, the trace's own start and end included; sorted."""
        events: tuple[Request | Fault, ...] = (*self.requests, *self.faults)
        return tuple(sorted({0, self.seconds, *(e.begins for e in events), *(e.ends for e in events)}))

    @property
    def demanded(self) -> int:
        """Bits that all requests together ask for."""
        return sum(request.rate * (request.ends - request.begins) for request in self.requests)


_TRACES: Final = resources.files("quiver.simulate") / "traces"


def read_trace(text: bytes) -> Trace:
    """A trace from its JSON.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return msgspec.json.decode(text, type=Trace)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ConfigurationError(f"trace: {error}") from None


def committed(network: str) -> Sequence[Trace]:
    """The traces of a network that come with Quiver, by rising seed; none for networks without any."""
    files = (
        entry for entry in _TRACES.iterdir() if entry.name.startswith(f"{network}.") and entry.name.endswith(".json")
    )
    return sorted((read_trace(entry.read_bytes()) for entry in files), key=lambda trace: trace.seed)


def written(trace: Trace, directory: Path) -> Path:
    """Write a trace to a file named after its network and seed, one request or fault a line."""
    encode = msgspec.json.encode
    head = f'{{"network": {encode(trace.network).decode()}, "seed": {trace.seed}, "seconds": {trace.seconds}'
    parts = (
        f'"{name}": [\n' + ",\n".join(encode(event).decode() for event in events) + "\n]"
        for name, events in (("requests", trace.requests), ("faults", trace.faults))
    )
    path = directory / f"{trace.network}.{trace.seed:02}.json"
    path.write_text(",\n".join([head, *parts]) + "}\n", encoding="utf-8")
    return path
