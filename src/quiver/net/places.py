"""How the places of a plane are shared out among users who have shown who they are: nobody takes them all."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from quiver.domain.errors import LimitError

__all__ = ["Places"]


class Places:
    """Places, such as connections or sessions.

    Args:
        most: that there are.
        each: of them that one user may take.
        kept: of them that only favoured users may take.
        favoured: whether a user is one.
    """

    def __init__(self, most: int, *, each: int, kept: int, favoured: Callable[[str], bool]) -> None:
        self._most: Final = most
        self._each: Final = each
        self._kept: Final = kept
        self._favoured: Final = favoured
        self._taken: Final[Counter[str]] = Counter()

    def take(self, user: str) -> None:
        """Take a place, until `give`.

        Raises:
            LimitError: there is none for this user.
        """
        if self._taken[user] >= self._each:
            raise LimitError(f"{self._each} are this user's already")
        most = self._most if self._favoured(user) else self._most - self._kept
        if self._taken.total() >= most:
            raise LimitError(f"{most} are taken already")
        self._taken[user] += 1

    def give(self, user: str) -> None:
        """Give a place back."""
        self._taken[user] -= 1
        if not self._taken[user]:
            del self._taken[user]
