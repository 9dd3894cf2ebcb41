"""The library of an SAE: status and keys of its KME over ETSI GS QKD 014. And an operator's: `quiver.client.operator`."""

from quiver.client.kme import KmeClient
from quiver.net.http_client import Timeouts
from quiver.net.tls_policy import Credentials

__all__ = ["Credentials", "KmeClient", "Timeouts"]
