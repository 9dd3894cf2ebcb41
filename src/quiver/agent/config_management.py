"""The tables of an agent's configuration that say who may manage it, and what nobody may change from outside (rule 7)."""

from pathlib import Path
from typing import Annotated, Final, Literal, cast

import asyncssh
from msgspec import Meta

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.net.addresses import ListenAddress
from quiver.net.config_file import Table
from quiver.net.ssh_policy import public_key
from quiver.net.tls import Credentials, quiver_uri

__all__ = ["ManagementTable", "PolicyTable", "UserRole", "UserTable", "check_management"]

UserRole = Literal["controller", "operator", "auditor"]


class UserTable(Table, frozen=True, kw_only=True):
    """Somebody who may speak NETCONF with this agent.

    Attributes:
        name: user name over SSH; over TLS the certificate must be `urn:quiver:ROLE:NAME`.
        role: what the user may do.
        ssh_keys: public keys as OpenSSH writes them; none for a user who comes over TLS only.
    """

    name: Annotated[str, Meta(max_length=64)]
    role: UserRole
    ssh_keys: Annotated[tuple[str, ...], Meta(max_length=limits.SSH_KEYS_PER_USER)] = ()

    @property
    def keys(self) -> tuple[asyncssh.SSHKey, ...]:
        """The public keys."""
        return tuple(map(public_key, self.ssh_keys))


class ManagementTable(Table, frozen=True, kw_only=True):
    """The management plane: NETCONF over SSH, over TLS, or over both.

    Attributes:
        trust: bundles of the authorities that issue certificates of controllers, operators and auditors.
        allow_classical: whether clients without post-quantum algorithms are served.
    """

    ssh_listen: ListenAddress | None = None
    tls_listen: ListenAddress | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    classical_certificate: Path | None = None
    classical_private_key: Path | None = None
    trust: tuple[Path, ...] = ()
    allow_classical: bool = False
    users: Annotated[tuple[UserTable, ...], Meta(max_length=limits.MANAGEMENT_USERS)] = ()

    @property
    def credentials(self) -> Credentials:
        """ML-DSA-65 certificate and key; only with `tls_listen`."""
        return Credentials(cast("Path", self.certificate), cast("Path", self.private_key))

    @property
    def classical(self) -> Credentials | None:
        """ECDSA certificate and key, where classical clients are served over TLS."""
        if self.classical_certificate is None or self.classical_private_key is None:
            return None
        return Credentials(self.classical_certificate, self.classical_private_key)


class PolicyTable(Table, frozen=True, kw_only=True):
    """What no controller may override.

    Attributes:
        excluded_nodes: nodes that no path from a controller may pass.
    """

    excluded_nodes: tuple[str, ...] = ()


def check_management(management: ManagementTable | None, policy: PolicyTable, node: str) -> None:
    """What the two tables have to be beyond their types.

    Raises:
        ConfigurationError: a key is missing, a name or an SSH key is wrong; it names the key.
    """
    for i, excluded in enumerate(policy.excluded_nodes):
        if excluded == node:
            raise ConfigurationError(f"policy.excluded_nodes[{i}]: {excluded!r} is this node")
        _check_name("node", excluded, f"policy.excluded_nodes[{i}]")
    if management is None:
        return
    if management.ssh_listen is None and management.tls_listen is None:
        raise ConfigurationError("management: ssh_listen or tls_listen is needed, or no table [management] at all")
    _check_tls(management)
    for i, user in enumerate(management.users):
        _check_user(user, f"management.users[{i}]")
    names: Final = [user.name for user in management.users]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ConfigurationError(f"management.users[{i}].name: {name!r} is named twice")


def _check_tls(management: ManagementTable) -> None:
    needed = {"certificate": management.certificate, "private_key": management.private_key, "trust": management.trust}
    if management.tls_listen is not None:
        for name, value in needed.items():
            if not value:
                raise ConfigurationError(f"management.{name}: missing; tls_listen needs it")
    if (management.classical_certificate is None) != (management.classical_private_key is None):
        raise ConfigurationError("management: classical_certificate and classical_private_key belong together")
    if management.classical_certificate is not None and not management.allow_classical:
        raise ConfigurationError("management.classical_certificate: only with allow_classical = true")


def _check_user(user: UserTable, where: str) -> None:
    _check_name(user.role, user.name, f"{where}.name")
    for j, line in enumerate(user.ssh_keys):
        try:
            public_key(line)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}.ssh_keys[{j}]: {error.message}") from None


def _check_name(role: UserRole | Literal["node"], name: str, where: str) -> None:
    try:
        quiver_uri(role, name)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {name!r} is not allowed; {error}") from None
