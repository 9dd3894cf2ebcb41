"""YANG modules as files: where they lie, and what their first lines say (RFC 7950 section 7.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from quiver.domain.errors import ConfigurationError

__all__ = ["Module", "ModuleName", "find_modules"]

_COLLECTION: Final = "pyang"  # the distribution that brings the IETF's modules
_STATEMENT: Final = r'^\s*{}\s+"?([^\s";]+)"?\s*;'


@dataclass(frozen=True, slots=True)
class ModuleName:
    """A module that a server has.

    Attributes:
        name: of the module.
        revision: its date; empty for one without.
        implemented: False where only its types and identities are used.
        features: the features that are supported.
        deviations: names of the modules that say where the server differs from it.
    """

    name: str
    revision: str
    implemented: bool = True
    features: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Module:
    """A module and its file.

    Attributes:
        name: of the module.
        revision: its date; empty for one without.
        namespace: its URI.
        prefix: the prefix that it chose for itself.
        version: of YANG, `1` or `1.1`.
        implemented: False where only its types and identities are used.
        features: the features that are supported.
        file: where its text is.
        text: its text.
        deviations: names of the modules that say where the server differs from it.
    """

    name: str
    revision: str
    namespace: str
    prefix: str
    version: str
    implemented: bool
    features: tuple[str, ...]
    file: Path
    text: str
    deviations: tuple[str, ...] = ()


def find_modules(names: Sequence[ModuleName], directories: Sequence[Path]) -> tuple[Module, ...]:
    """The modules of these names.

    Args:
        names: what to find.
        directories: searched in this order, and then pyang's collection; `name@revision.yang` goes before `name.yang`.

    Raises:
        ConfigurationError: one is not there, or its text has another revision.
    """
    places = (*directories, *_collected())
    return tuple(_read(name, places) for name in names)


def _collected() -> tuple[Path, ...]:
    """The directories of pyang's collection, wherever the distribution was installed."""
    listed = metadata.files(_COLLECTION) or ()
    return tuple(dict.fromkeys(Path(str(file.locate())).resolve().parent for file in listed if file.suffix == ".yang"))


def _read(name: ModuleName, places: Sequence[Path]) -> Module:
    for place in places:
        for file in (place / f"{name.name}@{name.revision}.yang", place / f"{name.name}.yang"):
            if not file.is_file():
                continue
            text = file.read_text(encoding="utf-8")
            if not name.revision or re.search(
                rf'^\s*revision\s+"?{re.escape(name.revision)}"?\s*[;{{]', text, re.MULTILINE
            ):
                return Module(
                    name.name,
                    name.revision,
                    _stated("namespace", text, file),
                    _stated("prefix", text, file),
                    _stated("yang-version", text, file, "1"),
                    name.implemented,
                    name.features,
                    file,
                    text,
                    name.deviations,
                )
    raise ConfigurationError(f"YANG module {name.name}@{name.revision}: no file has it")


def _stated(keyword: str, text: str, file: Path, default: str | None = None) -> str:
    found = re.search(_STATEMENT.format(keyword), text, re.MULTILINE)
    if found is None and default is None:
        raise ConfigurationError(f"YANG module {file.name}: no {keyword}")
    return found[1] if found else default or ""
