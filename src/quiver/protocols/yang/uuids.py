"""UUIDs for what Quiver names: ETSI GS QKD 015 identifies nodes, links and applications by UUID, Quiver by name.

A UUID here is version 5 (RFC 9562 section 5.5) of one fixed namespace and the text `kind:name`. So every node, the controller
and anyone with the names get the same UUIDs without asking each other, and after every restart. The namespace is itself
version 5, of the URL namespace and the module's URN.
"""

import uuid
from collections.abc import Iterable
from typing import Final

from quiver.protocols.yang.names import KMS

__all__ = [
    "NAMESPACE",
    "application_uuid",
    "interface_number",
    "link_uuid",
    "node_uuid",
    "path_uuid",
]

NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, KMS)  # 0f0109bc-4fbe-5605-af20-70835a4d79ed


def _of(kind: str, name: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, f"{kind}:{name}")


def node_uuid(node: str) -> str:
    """`qkdn_id` of a node."""
    return str(_of("node", node))


def link_uuid(link: str) -> str:
    """`qkdl_id` of a QKD link, a physical one; the same at both its ends."""
    return str(_of("link", link))


def path_uuid(key: str) -> str:
    """`qkdl_id` of a path version, a virtual link; the same at all its nodes.

    Args:
        key: virtual link, path number and version, as `PathEntry.key`.
    """
    return str(_of("path", key))


def application_uuid(saes: Iterable[str]) -> str:
    """`app_id` of a permitted pair of SAEs, in whichever order.

    Args:
        saes: their ids, of printable characters, so that a line break between them can belong to neither.
    """
    return str(_of("application", "\n".join(sorted(saes))))


def interface_number(link: str) -> int:
    """`qkdi_id` of the interface that a QKD link ends at, 0 to 2^32 - 1; the same number at both ends.

    It does not depend on the other links, so it stays when some come or go. Of a node's 64 links two get one number with a
    probability of 5 in ten million.
    """
    return _of("interface", link).int >> 96
