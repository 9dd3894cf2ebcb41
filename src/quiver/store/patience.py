"""What a daemon does while its database cannot be read: it says so and tries again, less and less often."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from quiver.domain import limits
from quiver.domain.errors import StorageError

__all__ = ["read_patiently"]

T = TypeVar("T")

_log = structlog.get_logger("quiver.store")


async def read_patiently(read: Callable[[], Awaitable[T]]) -> T:
    """What `read` gives; it is called until it raises no StorageError."""
    pause = limits.REPEAT_FIRST
    while True:
        try:
            return await read()
        except StorageError as error:
            _log.error("the database cannot be read", reason=error.message)
        await asyncio.sleep(pause)
        pause = min(2 * pause, limits.REPEAT_MOST)
