"""The part of a node's configuration that comes over NETCONF, and what local policy says about it.

A configuration file says what is local policy: planes, links, certificates, excluded nodes. What it names of paths, nodes and
SAEs stands as well, and nothing that comes over NETCONF can change or remove it; NETCONF adds to it.
"""

from typing import Final

import msgspec

from quiver.domain.errors import ConfigurationError
from quiver.domain.network import Directory, Network, PathEntry

__all__ = ["Provision", "compose"]


class Provision(msgspec.Struct, frozen=True, kw_only=True):
    """What the controller's and the operator's roles have written.

    Attributes:
        term: the highest controller term accepted; never falls.
        paths: path versions by key.
        addresses: node → "host:port" of its peer plane; the certificate must name the node, whatever the address.
        homes: SAE → home node; the operator's role.
        pairs: permitted pairs of SAEs; the operator's role.
    """

    term: int = 0
    paths: dict[str, PathEntry] = {}
    addresses: dict[str, str] = {}
    homes: dict[str, str] = {}
    pairs: frozenset[frozenset[str]] = frozenset()


def compose(policy: Network, provision: Provision, excluded: frozenset[str] = frozenset()) -> Network:
    """The network as the node is to see it: the file's, and what has come over NETCONF.

    Args:
        policy: from the configuration file.
        provision: from NETCONF.
        excluded: nodes that local policy allows on no path that the controller makes (rule 7).

    Raises:
        ConfigurationError: a path passes an excluded node, does not fit this node or its links, or contradicts the file; the
            message names the entry and what is allowed.
    """
    own: Final = {entry.key: entry for entry in policy.paths}
    for key, entry in provision.paths.items():
        if key in own and own[key] != entry:
            raise ConfigurationError(f"path {key}: the configuration file holds it with other nodes or figures")
        if not excluded.isdisjoint(entry.nodes):
            barred = ", ".join(sorted(excluded.intersection(entry.nodes)))
            raise ConfigurationError(f"path {key}: local policy excludes {barred}")
    for sae, node in provision.homes.items():
        if policy.directory.homes.get(sae, node) != node:
            raise ConfigurationError(f"SAE {sae}: the configuration file names another home")
    added = tuple(entry for key, entry in provision.paths.items() if key not in own)
    directory = Directory(
        homes={**provision.homes, **policy.directory.homes}, pairs=policy.directory.pairs | provision.pairs
    )
    return msgspec.structs.replace(policy, paths=(*policy.paths, *added), directory=directory)
