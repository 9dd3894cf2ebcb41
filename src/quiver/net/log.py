"""Logs: one line of JSON per event on stderr, never with key material in it.

Library code asks `structlog.get_logger("quiver.…")`; a process calls `configure` once, at its start. Exceptions are logged by
their type and place, never by their text and never with local variables: both may repeat what came in.
"""

import logging
import sys
import traceback
from typing import Any, Final

import structlog
from structlog.typing import EventDict, WrappedLogger

__all__ = ["configure", "place_of"]

_FRAMES: Final = 4  # innermost places that are shown of an exception


def place_of(error: BaseException) -> str:
    """The type of an exception and where it was raised, innermost last; nothing of its text.

    `ValueError at keys.py:12 in restore < plane.py:40 in answer`
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} in {frame.name}" for frame in reversed(frames)]
    return type(error).__name__ + (f" at {' < '.join(places)}" if places else "")


def _named(logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["logger"] = logger.name
    return event


def _without_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Put the place of an exception where a formatter would put its text and its traceback."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    if isinstance(found, tuple):
        found = found[1]
    if isinstance(found, BaseException):
        event["exception"] = place_of(found)
    event.pop("stack_info", None)
    return event


class _Stderr:
    """Writes lines to whatever stderr is at that moment; stdout belongs to results."""

    def __init__(self, name: str = "") -> None:
        self.name: Final = name

    def msg(self, line: str) -> None:
        """Write one event."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    log = debug = info = warning = error = critical = msg


class _StandardHandler(logging.Handler):
    """What libraries log by the standard library's way: the first line of the unformatted message.

    Arguments, and further lines (asyncio writes the repr of a failed task there), may repeat an exception's text.
    """

    def emit(self, record: logging.LogRecord) -> None:
        words: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        first = str(record.msg).partition("\n")[0]
        structlog.get_logger(record.name).log(record.levelno, first, **words)


def configure(level: str = "INFO") -> None:
    """Send events of at least `level` (DEBUG, INFO, WARNING, ERROR), Quiver's own and its libraries', to stderr."""
    least = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            _named,
            _without_text,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(default=repr),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(least, logging.WARNING), handlers=[_StandardHandler()], force=True)
