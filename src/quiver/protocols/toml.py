"""Configuration files: TOML into structs, with errors that name the key and what is allowed there."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar, get_args, get_type_hints

import msgspec

from quiver.domain.errors import ConfigurationError

__all__ = ["decode_toml"]

T = TypeVar("T", bound=msgspec.Struct)
Hook = Callable[[type, Any], Any]

_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?", re.DOTALL)


def decode_toml(text: str, kind: type[T], hook: Hook | None = None) -> T:
    """A configuration as a struct.

    Args:
        text: the file's text.
        kind: the struct; with `forbid_unknown_fields`, as every struct in it.
        hook: makes a value of a type that msgspec does not know, from (type, value); its ValueError names what is allowed.

    Raises:
        ConfigurationError: it is no TOML, or a key is unknown, missing or out of range; it names the key.
    """
    try:
        return msgspec.toml.decode(text, type=kind, dec_hook=hook)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_explain(str(error), kind)) from None
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigurationError(f"no TOML: {error}") from None


def _explain(message: str, kind: type[msgspec.Struct]) -> str:
    match = _PLACE.fullmatch(message)
    what, where = (match["what"], match["where"] or "") if match else (message, "")
    hint = _hint_at(kind, where)
    if "unknown field" in what:
        struct = next(_structs_in(hint), kind)
        what += f"; allowed are {', '.join(field.encode_name for field in msgspec.structs.fields(struct))}"
    elif "enum value" in what:
        what += f"; allowed are {', '.join(map(str, get_args(hint)))}"
    return f"{where + ': ' if where else ''}{what}"


def _hint_at(kind: type[msgspec.Struct], where: str) -> Any:  # noqa: ANN401  # annotations are of any type
    """The annotation at a place such as `links[0].device`."""
    hint: Any = kind
    for name in re.sub(r"\[[^\]]*\]", "", where).split(".") if where else ():
        hint = get_type_hints(next(_structs_in(hint), kind)).get(name)
    return hint


def _structs_in(hint: Any) -> Iterator[type[msgspec.Struct]]:  # noqa: ANN401  # annotations are of any type
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for part in get_args(hint):
        yield from _structs_in(part)
