"""Names of the modules that this package brings, and of their namespaces."""

from typing import Final

__all__ = ["DEVIATIONS_MODULE", "ETSI_MODULE", "ETSI_NODE", "ETSI_TYPES", "ETSI_TYPES_MODULE", "KMS", "KMS_MODULE"]

KMS_MODULE: Final = "quiver-kms"
KMS: Final = "urn:quiver:yang:quiver-kms"
ETSI_MODULE: Final = "etsi-qkd-sdn-node"
ETSI_NODE: Final = "urn:etsi:qkd:yang:etsi-qkd-node"  # of module etsi-qkd-sdn-node, whatever its name says
ETSI_TYPES_MODULE: Final = "etsi-qkd-node-types"
ETSI_TYPES: Final = "urn:etsi:qkd:yang:etsi-qkd-node-types"
DEVIATIONS_MODULE: Final = "quiver-etsi-deviations"
