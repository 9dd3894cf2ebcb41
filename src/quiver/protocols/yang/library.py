"""All YANG modules that a node serves, and the schema that they make (RFC 8525 calls this the YANG library).

Ours are in this package. The IETF's come with the distribution pyang and are looked up where it was installed; none is copied
here.
"""

from functools import cache
from pathlib import Path
from typing import Final

from quiver.protocols.netconf.modules import ModuleName
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.yang.names import DEVIATIONS_MODULE, ETSI_MODULE, ETSI_TYPES_MODULE, KMS_MODULE

__all__ = ["DIRECTORY", "MODULES", "OWN_MODULES", "node_schema"]

DIRECTORY: Final = Path(__file__).parent
OWN_MODULES: Final = (
    ModuleName(KMS_MODULE, "2026-01-15"),
    ModuleName(ETSI_MODULE, "2022-01-30"),
    ModuleName(ETSI_TYPES_MODULE, "2022-01-30"),
    ModuleName(DEVIATIONS_MODULE, "2026-01-15"),
)
MODULES: Final = (
    *OWN_MODULES,
    ModuleName(
        "ietf-netconf",
        "2011-06-01",
        features=("writable-running", "candidate", "confirmed-commit", "rollback-on-error", "validate"),
    ),
    ModuleName("ietf-netconf-monitoring", "2010-10-04"),
    ModuleName("ietf-yang-library", "2019-01-04"),
    ModuleName("ietf-datastores", "2018-02-14", implemented=False),
    ModuleName("ietf-yang-types", "2013-07-15", implemented=False),
    ModuleName("ietf-inet-types", "2013-07-15", implemented=False),
)


@cache
def node_schema() -> Schema:
    """The schema of a node, made once in a process; `Schema.modules` has the modules' texts, `Schema.model` yangson's model.

    Raises:
        ConfigurationError: a module is not where it should be; pyang is missing, or of another version than the lock has.
    """
    return Schema(MODULES, (DIRECTORY,))
