"""The tables of a controller's configuration. `quiver.controller.config` shows a whole file."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from quiver.domain import limits
from quiver.domain.sdn.demands import Demand, Origin
from quiver.net.addresses import ListenAddress, SourceAddress
from quiver.net.config_file import Table
from quiver.net.tls import Credentials

__all__ = ["ControllerTable", "DemandTable", "ManagementTable", "NorthboundTable"]


class ControllerTable(Table, frozen=True, kw_only=True):
    """Who this is, where it keeps what must last, and how often it reads its agents, in seconds."""

    id: str
    state: Path
    poll: Annotated[float, Meta(ge=limits.POLL_LEAST, le=limits.POLL_MOST)] = limits.POLL_INTERVAL


class ManagementTable(Table, frozen=True, kw_only=True):
    """How the controller shows itself to agents: a certificate for those over TLS, a key for those over SSH.

    Attributes:
        source: local address of its calls.
        certificate: of the role `controller`, ML-DSA-65.
        trust: bundles of the authorities that issue agents' management certificates.
        ssh_key: private key, in OpenSSH's form.
        ssh_user: its name at agents over SSH; the controller's id where it is left out.
    """

    source: SourceAddress | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    trust: tuple[Path, ...] = ()
    ssh_key: Path | None = None
    ssh_user: Annotated[str, Meta(min_length=1, max_length=64)] | None = None

    @property
    def credentials(self) -> Credentials | None:
        """Certificate and key, where it speaks TLS."""
        if self.certificate is None or self.private_key is None:
            return None
        return Credentials(self.certificate, self.private_key)


class NorthboundTable(Table, frozen=True, kw_only=True):
    """The listener for operators and auditors.

    Attributes:
        certificate: ML-DSA-65, of the role `controller`.
        classical_certificate: ECDSA, for clients that know no ML-DSA; only with `allow_classical`.
        trust: bundles of the authorities that issue operators' and auditors' certificates.
        allow_classical: whether clients without post-quantum algorithms are served, as browsers are.
    """

    listen: ListenAddress
    certificate: Path
    private_key: Path
    classical_certificate: Path | None = None
    classical_private_key: Path | None = None
    trust: Annotated[tuple[Path, ...], Meta(min_length=1)]
    allow_classical: bool = False

    @property
    def credentials(self) -> Credentials:
        """ML-DSA-65 certificate and key."""
        return Credentials(self.certificate, self.private_key)

    @property
    def classical(self) -> Credentials | None:
        """ECDSA certificate and key, where classical clients are served."""
        if self.classical_certificate is None or self.classical_private_key is None:
            return None
        return Credentials(self.classical_certificate, self.classical_private_key)


class DemandTable(Table, frozen=True, kw_only=True):
    """A virtual link that is to be served, as `Demand`; its ranges are checked there."""

    name: str
    source: str
    destination: str
    rate: int = 0
    depth: int = 0
    priority: int = 1
    paths: int = 1
    excluded: tuple[str, ...] = ()
    hops: int = limits.HOPS_PER_PATH

    def demand(self, origin: Origin) -> Demand:
        """The demand.

        Raises:
            ConfigurationError: a field is out of range.
        """
        return Demand(**msgspec.structs.asdict(self), origin=origin)
