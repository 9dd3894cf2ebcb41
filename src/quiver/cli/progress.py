"""Progress of long commands, on stderr."""

from time import perf_counter
from typing import Self

from rich.console import Console, RenderableType

__all__ = ["Progress"]


class Progress:
    """Lines on stderr about what happens, each with its time; on a terminal also that something does."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._started = perf_counter()
        self._status = self._console.status("starting the network")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(f"{perf_counter() - self._started:5.1f} s  {line}", markup=False, soft_wrap=True)

    def show(self, picture: RenderableType) -> None:
        """Show a picture beside what happens, on a terminal, in place of the last one."""
        self._status.update(picture)
