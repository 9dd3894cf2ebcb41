"""Elements of ETSI GS QKD 015 V2.1.1: names, identities, and the forms of its numbers."""

from typing import Final
from urllib.parse import quote

from lxml import etree

from quiver.protocols.netconf.xml import Element, child, qualified
from quiver.protocols.yang.names import ETSI_NODE, ETSI_TYPES

__all__ = ["RATE_MAX", "application_party", "identity", "measured_qber", "top"]

RATE_MAX: Final = (1 << 32) - 1  # bits per second; the standard's type is uint32
_PREFIX: Final = "etsi-qkdn-types"  # the one that the module of the types chose


def top(name: str) -> Element:
    """An element that stands alone and declares the prefix of identities."""
    return etree.Element(qualified(ETSI_NODE, name), nsmap={None: ETSI_NODE, _PREFIX: ETSI_TYPES})  # type: ignore[dict-item]


def identity(parent: Element, leaf: str, name: str) -> None:
    """Append a leaf that holds an identity; XML has it with a prefix (RFC 7950 section 9.10.3)."""
    child(parent, leaf, f"{_PREFIX}:{name}")


def measured_qber(parent: Element, qber: float) -> None:
    """Append a QBER as a measured quantity, in per cent: the standard names no unit, and leaves three digits of fraction.

    Args:
        parent: a container of figures.
        qber: 0 to 1.
    """
    measured = child(parent, "phys_perf")
    identity(measured, "perf_type", "QBER")
    child(measured, "value", f"{100 * qber:.3f}")


def application_party(sae: str) -> str:
    """The URI of an SAE, as in its certificate."""
    return f"urn:quiver:sae:{quote(sae, safe='')}"
