"""What the configuration files of daemons have in common: paths relative to the file, errors that name it, tables of planes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from quiver.domain.errors import ConfigurationError
from quiver.net.addresses import ListenAddress

__all__ = ["LogTable", "MetricsTable", "Table", "path_hook", "read_config"]

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a file."""


class MetricsTable(Table, frozen=True, kw_only=True):
    """The metrics plane."""

    listen: ListenAddress


class LogTable(Table, frozen=True, kw_only=True):
    """What is logged."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def path_hook(base: Path) -> Callable[[type, Any], Any]:
    """For `decode_toml`: paths made absolute with `base`, and types that are made from a text that is not empty."""

    def make(kind: type, value: Any) -> Any:  # noqa: ANN401  # msgspec's own signature
        if not isinstance(value, str) or not value:
            message = "Expected a text that is not empty"
            raise ValueError(message)
        return base / value if kind is Path else kind(value)

    return make


def read_config(path: Path, parse: Callable[[str, Path], T]) -> T:
    """A configuration from a file.

    Args:
        path: the file.
        parse: makes it from the file's text and the directory that its paths are relative to.

    Raises:
        ConfigurationError: the file cannot be read, or as `parse`; it names the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigurationError(f"{path}: {reason}") from None
    try:
        return parse(text, path.resolve().parent)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
