"""Reports, configurations and events, generated from the domain's structs: a new field is tested without a word here."""

import types
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.events import NumberedEvent
from quiver.domain.network import PathEntry
from quiver.domain.provision import Provision
from quiver.domain.report import NodeReport, PathMark
from quiver.protocols.yang.etsi_node import NodeFacts

printable = st.characters(exclude_categories=("C", "Z"), include_characters=" /'\"<&>")
names = st.text(printable, min_size=1, max_size=24) | st.text("a/ ", min_size=1, max_size=limits.SAE_ID_LENGTH)
saes = names.filter(lambda name: name not in {".", ".."})
ordinals = st.integers(1, limits.MARK_MAX)
counts = st.integers(0, limits.MARK_MAX)
ratios = st.integers(0, 1_000_000).map(lambda millionths: millionths / 1_000_000)  # what the type's six digits can say
addresses = st.builds(
    "{}:{}".format,
    st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map("[{}]".format) | st.just("node-7.example.net"),
    st.integers(1, 65_535),
)
runs = st.binary(min_size=16, max_size=16).map(bytes.hex)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
keys = st.builds("{}/{}/{}".format, names, ordinals, ordinals)
pairs = st.lists(saes, min_size=2, max_size=2, unique=True).map(sorted).map(tuple)

BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "run": runs,
    "digest": digests,
    "key": keys,
    "version": ordinals,
    "qber": ratios,
    "reason": st.text(printable, max_size=40),
    "master": saes,
    "slave": saes,
}


def few(strategy: st.SearchStrategy[Any], key: Any = None, most: int = 4) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=most, unique_by=key).map(tuple)


def table(keys_of: st.SearchStrategy[Any], values_of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(keys_of, values_of, max_size=4)


entries = st.builds(
    PathEntry,
    virtual_link=names,
    path=ordinals,
    version=ordinals,
    nodes=st.lists(names, min_size=2, max_size=6, unique=True).map(tuple),
    depth=st.just(0) | st.integers(limits.BLOCK_MIN, limits.DEPTH_MAX),
    rate=counts,
    priority=st.integers(0, limits.PRIORITIES - 1),
)
marks = st.builds(PathMark, virtual_link=names, path=ordinals, version=ordinals)

IN_A_REPORT: dict[str, st.SearchStrategy[Any]] = {
    "run": runs,
    "configured": few(entries, lambda entry: entry.key),
    "marks": few(marks, lambda mark: (mark.virtual_link, mark.path)),
    "addresses": table(names, addresses),
    "homes": table(saes, names),
    "pairs": few(pairs, lambda pair: pair),
    "burned": table(names, counts),
    "alarms": table(names, counts),
}


def structs(kind: type[msgspec.Struct], known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    fields = {name: known[name] if name in known else values(hints[name]) for name in kind.__struct_fields__}
    return st.builds(kind, **fields)


def values(wanted: Any) -> st.SearchStrategy[Any]:
    """Values of a type; a list holds no two entries of one key, the first field."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return st.one_of(*(st.none() if one is type(None) else values(one) for one in inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return few(values(inner[0]), lambda entry: getattr(entry, entry.__struct_fields__[0]))
    if origin is dict:
        return table(names, st.text(printable, max_size=40))
    if issubclass(wanted, msgspec.Struct):
        return structs(wanted, BY_NAME)
    if issubclass(wanted, Enum):
        return st.sampled_from(wanted)
    return {str: names, int: counts, bool: st.booleans(), float: ratios}[wanted]


reports: st.SearchStrategy[NodeReport] = structs(NodeReport, IN_A_REPORT)
provisions: st.SearchStrategy[Provision] = st.builds(
    Provision,
    term=counts,
    paths=few(entries, lambda entry: entry.key).map(lambda found: {entry.key: entry for entry in found}),
    addresses=table(names, addresses),
    homes=table(saes, names),
    pairs=st.frozensets(pairs.map(frozenset), max_size=4),
)
KINDS = get_args(get_type_hints(NumberedEvent)["body"])


def events(kind: type[msgspec.Struct]) -> st.SearchStrategy[NumberedEvent]:
    bodies = structs(kind, {**BY_NAME, "path": keys} if "path" in kind.__struct_fields__ else BY_NAME)
    return st.builds(NumberedEvent, sequence=ordinals, body=bodies)


@st.composite
def views(draw: st.DrawFn) -> tuple[NodeReport, NodeFacts]:
    """A report, and facts that belong to it: paths pass the node and its neighbours, some pairs are at home here."""
    report = draw(reports)
    neighbours = [link.neighbour for link in report.links if link.neighbour != report.node]
    paths = []
    for number, beside in enumerate(neighbours, 1):
        far = draw(names.filter(lambda name, beside=beside: name not in {report.node, beside}))
        nodes = draw(st.permutations([report.node, beside]) | st.just([report.node, beside, far]))
        rate = draw(st.just(0) | counts)
        paths.append(PathEntry(draw(names), number, 1, tuple(nodes), 0, rate))
    homes = report.homes | {
        sae: draw(st.sampled_from([report.node, *neighbours])) for pair in report.pairs for sae in pair
    }
    facts = NodeFacts(paths=paths, models={link.id: "vendor/device" for link in report.links}, version="1")
    return msgspec.structs.replace(report, homes=homes), facts
