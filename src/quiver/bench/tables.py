"""Configuration files that benchmarks write."""

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["table"]


def table(head: str, values: Mapping[str, object]) -> str:
    """A table of TOML with its head, such as `[peer]` or `[[links]]`; an empty head for what stands before all tables."""
    return f"{head}\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: object) -> str:
    """A value in TOML; a text's JSON form is one of TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(value)
