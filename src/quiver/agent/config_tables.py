"""The tables of an agent's configuration. `quiver.agent.config` shows a whole file."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from quiver.domain import limits
from quiver.domain.network import LinkEntry
from quiver.net.addresses import Address, ListenAddress, SourceAddress
from quiver.net.config_file import Table
from quiver.net.tls import Credentials
from quiver.qkd.profiles import Dialect, profile_named

__all__ = [
    "DeliveryTable",
    "DeviceTable",
    "DirectoryTable",
    "LinkDevice",
    "LinkTable",
    "NodeTable",
    "PeerTable",
    "RandomnessTable",
    "SaeTable",
]


class NodeTable(Table, frozen=True, kw_only=True):
    """Who this is, and where it keeps what must last."""

    id: str
    state: Path


class RandomnessTable(Table, frozen=True, kw_only=True):
    """A generator of random numbers beside the operating system's."""

    generator: Path
    required: bool = True
    min_entropy: Annotated[float, Meta(gt=0.0, le=8.0)] = 1.0


class PeerTable(Table, frozen=True, kw_only=True):
    """The peer plane."""

    listen: ListenAddress
    source: SourceAddress | None = None
    certificate: Path
    private_key: Path
    trust: Path

    @property
    def credentials(self) -> Credentials:
        """Certificate and key."""
        return Credentials(self.certificate, self.private_key)


class SaeTable(Table, frozen=True, kw_only=True):
    """The SAE plane."""

    listen: ListenAddress
    certificate: Path | None = None
    private_key: Path | None = None
    pq_certificate: Path
    pq_private_key: Path
    trust: Annotated[tuple[Path, ...], Meta(min_length=1)]
    require_pq: bool = False

    @property
    def classical(self) -> Credentials | None:
        """ECDSA certificate and key, where classical SAEs are served."""
        if self.require_pq or self.certificate is None or self.private_key is None:
            return None
        return Credentials(self.certificate, self.private_key)

    @property
    def post_quantum(self) -> Credentials:
        """ML-DSA-65 certificate and key."""
        return Credentials(self.pq_certificate, self.pq_private_key)


class DeviceTable(Table, frozen=True, kw_only=True):
    """The device plane."""

    source: SourceAddress | None = None
    certificate: Path
    private_key: Path
    trust: Path

    @property
    def credentials(self) -> Credentials:
        """Certificate and key."""
        return Credentials(self.certificate, self.private_key)


class DeliveryTable(Table, frozen=True, kw_only=True):
    """How SAEs are served."""

    wait: Annotated[float, Meta(ge=0, le=limits.DELIVERY_WAIT_MAX)] = limits.DELIVERY_WAIT


class LinkDevice(Table, frozen=True, kw_only=True):
    """This end's device of a QKD link.

    Attributes:
        url: `https://host:port`.
        peer_sae_id: SAE ID of the agent at the link's other end, as the device knows it.
        server_name: the name in the device's certificate, where that is not the URL's host.
        profile: vendor, for how it speaks the standard; without one it does as the standard says.
    """

    url: str
    peer_sae_id: str
    server_name: Annotated[str, Meta(min_length=1)] | None = None
    profile: str | None = None

    @property
    def dialect(self) -> Dialect:
        """How the vendor speaks the standard."""
        return profile_named(self.profile).dialect if self.profile is not None else Dialect()


class LinkTable(Table, frozen=True, kw_only=True):
    """A QKD link that ends here; `level` in bytes.

    Attributes:
        channel: where the neighbour's peer plane is reached along this link; the directory's address where it is left out.
    """

    id: str
    neighbour: str
    channel: Address | None = None
    level: Annotated[int, Meta(ge=limits.SEGMENT_MIN, le=limits.PAD_LEVEL_MAX)] = limits.PAD_LEVEL
    collect: bool = True
    device: LinkDevice

    @property
    def entry(self) -> LinkEntry:
        """What the node has to know of it."""
        return LinkEntry(id=self.id, neighbour=self.neighbour, level=self.level, collect=self.collect)


class DirectoryTable(Table, frozen=True, kw_only=True):
    """Node → peer address, SAE → home node, permitted pairs of SAEs."""

    nodes: dict[str, Address] = msgspec.field(default_factory=dict)
    saes: dict[str, str] = msgspec.field(default_factory=dict)
    permitted: tuple[tuple[str, str], ...] = ()
