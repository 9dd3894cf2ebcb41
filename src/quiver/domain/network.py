"""What a node knows of the network: links, path versions, and the directory of nodes and SAEs.

All of it is configuration. Nothing here is learnt from an unauthenticated hint.
"""

import hashlib
from functools import cached_property
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError

__all__ = ["Directory", "LinkEntry", "Network", "PathEntry"]

_PATH_LABEL: Final = b"quiver path entry 1\0"


class LinkEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One QKD link of the node that holds this entry.

    Attributes:
        id: name of the link, equal at both ends.
        neighbour: node id of the other end.
        level: bytes of own pad after which this end stops collecting; half of the link's store as a rule.
        collect: whether this end calls *Get key*; some devices allow it at one end only.
    """

    id: str
    neighbour: str
    level: int = limits.PAD_LEVEL
    collect: bool = True


class PathEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """One version of one path of a virtual link; equal in the configuration of every node on it.

    Attributes:
        virtual_link: name of the directed key association from the first to the last node.
        path: number of the path within the virtual link, from 1.
        version: number of this version; a change of route makes a new one and numbers are never reused.
        nodes: node ids from source to destination, at least two, each once.
        depth: bytes of pad to hold ready ahead of demand; 0 buffers nothing.
        rate: bits per second that the path may use of each hop; 0 sets no bound.
        priority: class of the path, 0 the highest.
    """

    virtual_link: str
    path: int
    version: int
    nodes: tuple[str, ...]
    depth: int = 0
    rate: int = 0
    priority: int = 1

    def __post_init__(self) -> None:
        # The name stands in messages, logs and YANG instances: no control characters, and the key's parts stay apart.
        if not 0 < len(self.virtual_link) <= limits.VIRTUAL_LINK_LENGTH or not self.virtual_link.isprintable():
            raise ConfigurationError(
                f"virtual_link: 1 to {limits.VIRTUAL_LINK_LENGTH} printable characters are allowed"
            )
        where = f"path {self.virtual_link}/{self.path}/{self.version}"
        if len(self.nodes) < 2 or len(set(self.nodes)) != len(self.nodes):
            raise ConfigurationError(f"{where}: nodes must name at least two nodes, each once")
        if len(self.nodes) > limits.NODES_PER_PATH:
            raise ConfigurationError(f"{where}: nodes may name at most {limits.NODES_PER_PATH}")
        if not (
            0 < self.path <= limits.MARK_MAX
            and 0 < self.version <= limits.MARK_MAX
            and 0 <= self.rate <= limits.MARK_MAX
        ):
            raise ConfigurationError(f"{where}: path and version count from 1, rate from 0, all to {limits.MARK_MAX}")
        if self.depth and not limits.BLOCK_MIN <= self.depth <= limits.DEPTH_MAX:
            allowed = f"0 or {limits.BLOCK_MIN} to {limits.DEPTH_MAX} bytes"
            raise ConfigurationError(f"{where}: depth must be {allowed}")
        if not 0 <= self.priority < limits.PRIORITIES:
            raise ConfigurationError(f"{where}: priority must be 0 to {limits.PRIORITIES - 1}")

    @cached_property
    def key(self) -> str:
        """The name of this version: virtual link, path number and version."""
        return f"{self.virtual_link}/{self.path}/{self.version}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the entry, in hexadecimal digits; every message of the path carries it."""
        return hashlib.sha256(_PATH_LABEL + msgspec.json.encode(self)).hexdigest()

    @property
    def source(self) -> str:
        """The node whose SAEs ask for new keys."""
        return self.nodes[0]

    @property
    def destination(self) -> str:
        """The node that restores the keys."""
        return self.nodes[-1]

    @property
    def relays(self) -> tuple[str, ...]:
        """The nodes between, which send their ciphertexts straight to the destination."""
        return self.nodes[1:-1]

    def before(self, node: str) -> str:
        """The node before `node` on the path."""
        return self.nodes[self.nodes.index(node) - 1]

    def after(self, node: str) -> str:
        """The node after `node` on the path."""
        return self.nodes[self.nodes.index(node) + 1]


class Directory(msgspec.Struct, frozen=True):
    """Where SAEs are at home and who may share keys with whom: local policy.

    Attributes:
        homes: SAE id → node id.
        pairs: permitted pairs, each an unordered pair of SAE ids.
    """

    homes: dict[str, str] = {}
    pairs: frozenset[frozenset[str]] = frozenset()

    def permits(self, one: str, other: str) -> bool:
        """Whether two SAEs may share keys."""
        return frozenset((one, other)) in self.pairs


class Network(msgspec.Struct, frozen=True, dict=True):
    """The network as one node sees it.

    Attributes:
        node: this node's id.
        links: the links that end here.
        paths: the path versions that pass here, at most two versions of each path.
        directory: SAEs and permitted pairs.
        wait: seconds that a request waits for pad before it is refused.
    """

    node: str
    links: tuple[LinkEntry, ...]
    paths: tuple[PathEntry, ...]
    directory: Directory
    wait: float = limits.DELIVERY_WAIT

    def __post_init__(self) -> None:
        versions: dict[tuple[str, int], list[int]] = {}
        neighbours = {link.neighbour for link in self.links}
        for entry in self.paths:
            nodes = entry.nodes
            if self.node not in nodes:
                raise ConfigurationError(f"path {entry.key}: does not pass {self.node}")
            place = nodes.index(self.node)
            before, after = nodes[place - 1] if place else None, nodes[place + 1] if place + 1 < len(nodes) else None
            for other in (before, after):
                if other is not None and other not in neighbours:
                    raise ConfigurationError(f"path {entry.key}: no link from {self.node} to {other}")
            known = versions.setdefault((entry.virtual_link, entry.path), [])
            if entry.version in known:
                raise ConfigurationError(f"path {entry.key}: named twice")
            known.append(entry.version)
            if len(known) > limits.VERSIONS_PER_PATH:
                raise ConfigurationError(f"path {entry.key}: a node keeps at most two versions of a path")

    @property
    def neighbours(self) -> tuple[str, ...]:
        """Nodes at the other ends of the links, each once, in order of the links."""
        return tuple(dict.fromkeys(link.neighbour for link in self.links))

    def level(self, neighbour: str) -> int:
        """Bytes of own pad towards a neighbour after which this end stops collecting, over all links to it."""
        return self._levels.get(neighbour, 0)

    @cached_property
    def _levels(self) -> dict[str, int]:
        levels: dict[str, int] = {}
        for link in self.links:
            levels[link.neighbour] = levels.get(link.neighbour, 0) + link.level
        return levels
