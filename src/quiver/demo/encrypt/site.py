"""What traffic goes through in the demonstration: one tunnel between two sites, of whatever kind."""

from typing import Any, Protocol

import msgspec

from quiver.demo.encrypt.traffic import Traffic

__all__ = ["Site", "Sites"]

Tables = dict[str, Any]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One end.

    Attributes:
        sae: its SAE ID.
        role: of its consumer.
        tables: what its consumer's configuration says of the tunnel, kind → table.
    """

    sae: str
    role: str
    tables: Tables


class Sites(Protocol):
    """Both ends of a tunnel, once everything but the consumers runs."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def interval(self) -> float: ...  # noqa: D102
    @property
    def words(self) -> str: ...  # noqa: D102
    @property
    def ends(self) -> tuple[Site, Site]: ...  # noqa: D102
    @property
    def traffic(self) -> Traffic: ...  # noqa: D102
