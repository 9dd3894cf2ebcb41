"""What the controller orders of an agent, and how an order can fail.

One edit names the path entries and addresses of one node, all or nothing, under the controller term (design section 7).
"""

from enum import StrEnum

import msgspec

from quiver.domain.network import PathEntry

__all__ = ["Edit", "Failure", "Order", "Read", "Stamp"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all orders.

    Attributes:
        id: number, never used again by this controller.
        node: whom it goes to.
    """

    id: int
    node: str


class Stamp(Order, frozen=True, kw_only=True, tag="stamp"):
    """Make the agent accept this controller term and refuse lower ones."""

    term: int


class Read(Order, frozen=True, kw_only=True, tag="read"):
    """Read the agent's report: `Controller.reported`, then `done`."""


class Edit(Order, frozen=True, kw_only=True, tag="edit"):
    """Change the controller's part of the agent's configuration.

    Attributes:
        term: under which it is written.
        put: path entries to write.
        remove: keys of path entries to remove; those that are not there are passed over.
        addresses: node → "host:port" to write.
        forget: nodes whose addresses are to be removed.
    """

    term: int
    put: tuple[PathEntry, ...] = ()
    remove: tuple[str, ...] = ()
    addresses: dict[str, str] = {}
    forget: tuple[str, ...] = ()


class Failure(StrEnum):
    """Why an order was not done."""

    UNANSWERED = "unanswered"  # nobody knows whether it was done
    REFUSED = "refused"  # nothing was changed: local policy, or a contradiction
    STALE_TERM = "stale-term"  # nothing was changed: the agent has accepted a higher term
