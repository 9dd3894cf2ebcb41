"""All YANG modules that a node serves, and the schema that they make (RFC 8525 calls this the YANG library).

Ours are in this package. The IETF's come with the distribution pyang and are looked up where it was installed; none is copied
here.
"""

from functools import cache
from pathlib import Path
from typing import Final

from quiver.protocols.netconf import monitoring
from quiver.protocols.netconf.modules import ModuleName
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.yang.names import DEVIATIONS_MODULE, ETSI_MODULE, ETSI_TYPES_MODULE, KMS_MODULE

__all__ = ["DIRECTORY", "MODULES", "OWN_MODULES", "node_schema"]

DIRECTORY: Final = Path(__file__).parent
OWN_MODULES: Final = (
    ModuleName(KMS_MODULE, "2026-01-15"),
    ModuleName(ETSI_MODULE, "2022-01-30", deviations=(DEVIATIONS_MODULE,)),
    ModuleName(ETSI_TYPES_MODULE, "2022-01-30"),
    ModuleName(DEVIATIONS_MODULE, "2026-01-15"),
)
_NETCONF: Final = ModuleName(
    "ietf-netconf",
    "2011-06-01",
    features=("writable-running", "candidate", "confirmed-commit", "rollback-on-error", "validate"),
)
MODULES: Final = (*OWN_MODULES, _NETCONF, *monitoring.MODULES)


@cache
def node_schema() -> Schema:
    """The schema of a node, made once in a process; `Schema.modules` has the modules' texts, `Schema.model` yangson's model.

    Raises:
        ConfigurationError: a module is not where it should be; pyang is missing, or of another version than the lock has.
    """
    return Schema(MODULES, (DIRECTORY,))
