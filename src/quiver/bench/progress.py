"""What goes on, one line each on stderr."""

from collections.abc import Callable

__all__ = ["Progress"]

Progress = Callable[[str], None]
