"""Random edits of random configurations, judged by a model so plain that it can be believed: a table of paths and texts."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.protocols.netconf.change import difference, replay
from quiver.protocols.netconf.edit import Operation, edit
from quiver.protocols.netconf.errors import RpcError
from quiver.protocols.netconf.tree import Branch, Entries, same
from quiver.protocols.netconf.xml import local_of
from tests.protocols.netconf.ground import config, schema, text, tree

Table = dict[tuple[str, ...], str]
OPERATIONS = ["merge", "replace", "create", "delete", "remove", None, None, None]


@dataclass
class Wish:
    """One element of an edit: its place under its parent, what it asks for, and what stands in it."""

    name: str
    key: str | None  # of an entry
    value: str | None  # of a leaf
    operation: str | None
    parts: list["Wish"]

    @property
    def place(self) -> tuple[str, ...]:
        return (self.name,) if self.key is None else (self.name, self.key)

    def xml(self) -> str:
        attribute = f' nc:operation="{self.operation}"' if self.operation else ""
        key = {"node": "id", "port": "number", "rule": "name"}.get(self.name)
        inner = f"<{key}>{self.key}</{key}>" if key else ""
        inner += (self.value or "") if self.name != "tag" else self.key or ""
        return f"<{self.name}{attribute}>{inner}{''.join(part.xml() for part in self.parts)}</{self.name}>"


def leaf(name: str, values: list[str]) -> Any:
    return st.builds(Wish, st.just(name), st.none(), st.sampled_from(values), st.sampled_from(OPERATIONS), st.just([]))


def entry(name: str, keys: list[str], parts: Any) -> Any:
    return st.builds(Wish, st.just(name), st.sampled_from(keys), st.none(), st.sampled_from(OPERATIONS), parts)


def some(*choices: Any) -> Any:
    """Parts of which no leaf and no container is there twice."""

    def once(parts: list[Wish]) -> list[Wish]:
        seen: set[str] = set()
        return [part for part in parts if part.key is not None or not (part.name in seen or seen.add(part.name))]

    return st.lists(st.one_of(*choices), max_size=4).map(once)


ports = entry("port", ["1", "2"], some(leaf("on", ["true", "false"])))
site = st.builds(
    Wish, st.just("site"), st.none(), st.none(), st.sampled_from(OPERATIONS), some(leaf("city", ["Bern", "Wien"]))
)
nodes = entry("node", ["a", "b", "c"], some(leaf("address", ["1", "2"]), leaf("sae", [""]), site, ports))
rules = entry("rule", ["a", "b"], some(leaf("verdict", ["permit", "deny"])))
tags = st.builds(Wish, st.just("tag"), st.sampled_from(["a", "b"]), st.none(), st.sampled_from(OPERATIONS), st.just([]))
wishes = some(leaf("banner", ["x", "y"]), nodes, rules, tags)


class ModelError(Exception):
    pass


def wish(table: Table, part: Wish, above: tuple[str, ...], inherited: str) -> None:
    operation, here = part.operation or inherited, above + part.place
    exists = here in table
    if operation == "create" and exists:
        raise ModelError("data-exists")
    if operation in ("delete", "none") and not exists:
        raise ModelError("data-missing")
    if operation in ("delete", "remove", "create", "replace"):
        for path in [path for path in table if path[: len(here)] == here]:
            del table[path]
    if operation in ("delete", "remove"):
        return
    if operation != "none":
        table[here] = part.value or table.get(here, "") if part.parts else part.value or ""
    for below in part.parts:
        wish(table, below, here, operation)


def table_of(branch: Branch, above: tuple[str, ...] = ()) -> Table:
    found: Table = {}
    for tag, value in branch.children.items():
        name = local_of(tag)
        here = (*above, name)
        if tag in branch.node.keys:
            continue
        match value:
            case str():
                found[here] = value
            case tuple():
                found.update({(*here, one): "" for one in value})
            case Branch():
                found[here] = ""
                found.update(table_of(value, here))
            case Entries():
                for key, row in value.rows.items():
                    found[(*here, *key)] = ""
                    found.update(table_of(row, (*here, *key)))
    return found


def run(table: Table, parts: list[Wish], default: str) -> Table | str:
    made = {} if default == "replace" else dict(table)
    try:
        for part in parts:
            wish(made, part, (), default)
    except ModelError as error:
        return str(error)
    return made


def network(branch: Branch) -> Table:
    return {path[1:]: value for path, value in table_of(branch).items() if len(path) > 1}


@settings(max_examples=300, deadline=None)
@given(wishes, wishes, st.sampled_from(["merge", "replace", "none"]))
def test_every_edit_does_what_the_model_does_or_fails_as_it_does(first, second, default):
    start = run({}, first, "merge")
    if isinstance(start, str):
        start, first = {}, []
    before = tree("".join(part.xml() for part in first))
    assert network(before) == start
    expected = run(start, second, default)
    request = config("".join(part.xml() for part in second))
    if isinstance(expected, str):
        with pytest.raises(RpcError) as caught:
            edit(schema(), before, request, Operation(default))
        assert caught.value.tag.value == expected
    else:
        after = edit(schema(), before, request, Operation(default))
        assert network(after) == expected
        changes = difference(before, after)
        assert bool(changes) is not same(before, after)
        assert same(replay(before, changes), after) or "rule" in text(after)  # their order is a change of its own
        assert network(replay(before, changes)) == expected
        assert network(replay(after, difference(after, before))) == start
    assert network(before) == start
