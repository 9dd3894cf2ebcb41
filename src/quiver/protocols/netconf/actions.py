"""What a server's core asks its edge to do, and what it calls time.

The core never waits and never sleeps: each call returns the actions that follow from it, in the order in which they must happen.
"""

from dataclasses import dataclass
from datetime import datetime

from quiver.protocols.netconf.change import PendingChange

__all__ = ["Action", "Apply", "Close", "Moment", "Send"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Now.

    Attributes:
        steady: seconds of a clock that never jumps; for time limits.
        utc: wall-clock time with its zone; for what is told to others.
    """

    steady: float
    utc: datetime


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to a session's transport and report them with `Server.sent` when they have left."""

    session: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close a session's transport when all that was sent before has left; the session is over for the core already."""

    session: int
    reason: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Make a change of the running datastore durable and let the node work by it, then call `Server.applied`."""

    change: PendingChange


Action = Send | Close | Apply
