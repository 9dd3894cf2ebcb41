"""The module, the domain's structs and the limits say the same: what one of them has, the others have."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yangson.schemanode import NotificationNode

from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.domain.provision import Provision
from quiver.domain.report import (
    DeviceState,
    LinkReport,
    LinkState,
    NodeReport,
    PadReport,
    PathMark,
    PathReport,
    PathRole,
)
from quiver.protocols.netconf.schema import SchemaNode
from quiver.protocols.netconf.values import ValueType
from quiver.protocols.yang import entries, events, provision, report
from quiver.protocols.yang.rows import Row
from tests.protocols.yang.examples import KINDS
from tests.protocols.yang.judges import kms_schema

KEY = ["virtual-link", "number", "version"]
NAMES = {"key": KEY, "nodes": ["node"], "about": ["about"]}  # fields that are leaves of another name, or several


def at(path: str) -> SchemaNode:
    return kms_schema().node(f"/quiver-kms:kms/{path}")


def leaves_of(kind: type[msgspec.Struct], names: dict[str, list[str]]) -> list[str]:
    fields = (field.name for field in msgspec.structs.fields(kind))
    return [leaf for field in fields for leaf in names.get(field, [field.replace("_", "-")])]


def names_below(node: SchemaNode) -> list[str]:
    return [child.name for child in node.children.values()]


@pytest.mark.parametrize(
    ("kind", "place", "path_is"),
    [
        (LinkReport, "state/link", []),
        (PadReport, "state/pad", []),
        (PathReport, "state/path", []),
        (PathMark, "state/mark", ["number"]),
        (PathEntry, "state/configured-path", ["number"]),
        (PathEntry, "path", ["number"]),
    ],
)
def test_every_field_of_a_struct_is_a_leaf_and_every_leaf_a_field(
    kind: type[msgspec.Struct], place: str, path_is: list[str]
) -> None:
    assert leaves_of(kind, NAMES | {"path": path_is}) == names_below(at(place))


def test_every_field_of_a_report_is_in_the_state_and_nothing_else() -> None:
    lists = {
        "links": ["link"],
        "pads": ["pad"],
        "paths": ["path"],
        "configured": ["configured-path"],
        "marks": ["mark"],
        "addresses": ["address"],
        "homes": ["sae"],
        "pairs": ["permitted-pair"],
        "alarms": ["alarm"],
    }
    assert leaves_of(NodeReport, lists) == names_below(at("state"))


def test_every_field_of_a_provision_is_in_the_configuration_and_nothing_else() -> None:
    places = {
        "term": "controller/term",
        "paths": "path",
        "addresses": "directory/node",
        "homes": "directory/sae",
        "pairs": "directory/permitted-pair",
    }
    assert leaves_of(Provision, {}) == list(places)
    top = [node for node in at("").below() if node.config and node.name not in {"kms", "controller", "directory"}]
    nodes = [at(place) for place in places.values()]
    assert {node.tags for node in top if node.parent not in nodes} == {node.tags for node in nodes}


def test_every_event_is_a_notification_with_its_fields_and_there_is_no_other() -> None:
    notifications = {
        node.name: [child.name for child in node.children]
        for node in kms_schema().model.schema.children
        if isinstance(node, NotificationNode)
    }
    structs = {str(kind.__struct_config__.tag): leaves_of(kind, NAMES | {"path": KEY}) for kind in KINDS}
    assert notifications == {name: ["run", "sequence", *leaves] for name, leaves in structs.items()}


@pytest.mark.parametrize(
    ("place", "kind"),
    [("state/link/state", LinkState), ("state/link/device", DeviceState), ("state/path/role", PathRole)],
)
def test_every_state_is_a_name_of_the_enumeration_and_there_is_no_other(place: str, kind: type) -> None:
    assert list(at(place).yang.type.enum) == [member.value for member in kind]


@pytest.mark.parametrize(
    ("place", "most"),
    [
        ("path", limits.MODEL_ENTRIES),
        ("path/node", limits.NODES_PER_PATH),
        ("directory/node", limits.MODEL_NODES),
        ("directory/sae", limits.MODEL_SAES),
        ("directory/permitted-pair", limits.MODEL_SAES),
        ("state/link", limits.MODEL_LINKS),
        ("state/pad", limits.MODEL_LINKS),
        ("state/path", limits.MODEL_PATHS),
        ("state/configured-path", limits.MODEL_ENTRIES),
        ("state/mark", limits.MODEL_PATHS),
        ("state/address", limits.MODEL_NODES),
        ("state/sae", limits.MODEL_SAES),
        ("state/permitted-pair", limits.MODEL_SAES),
        ("state/burned", limits.MODEL_NAMES),
        ("state/alarm", limits.MODEL_NAMES),
    ],
)
def test_lists_are_as_long_as_the_limits_say(place: str, most: int) -> None:
    assert at(place).most == most


def test_every_list_is_bounded() -> None:
    assert [node.tags for node in at("").below() if node.kind.name in {"LIST", "LEAF_LIST"} and node.most is None] == []


# --- values: whatever a reader takes, the module allows; and at the edges the two agree ---------------------------------

ROWS: dict[str, Row] = {
    "path": entries.PATH_ROW,
    "directory/node": entries.ADDRESS_ROW,
    "directory/sae": entries.HOME_ROW,
    "directory/permitted-pair": entries.PAIR_ROW,
    "controller": provision._CONTROLLER,
    "state": report._STATE,
    "state/link": report._LINK,
    "state/pad": report._PAD,
    "state/path": report._PATH,
    "state/configured-path": report._CONFIGURED,
    "state/mark": report._MARK,
    "state/address": report._ADDRESS,
    "state/sae": report._SAE,
    "state/permitted-pair": report._PAIR,
    "state/burned": report._BURNED,
    "state/alarm": report._ALARM,
}


def values() -> dict[str, tuple[Any, ValueType]]:
    """Place → how we read the leaf, and its type by yangson."""
    found: dict[str, tuple[Any, ValueType]] = {}
    for place, row in ROWS.items():
        for leaf, form in row.forms.items():
            kind = at(f"{place}/{leaf}").type
            assert kind is not None
            found[f"{place}/{leaf}"] = (form, kind)
    schema = kms_schema()
    namespaces = {module.name: module.namespace for module in schema.modules}
    nodes = {node.name: node for node in schema.model.schema.children if isinstance(node, NotificationNode)}
    for row in events._ROWS.values():
        for child in nodes[row.name].children:
            if child.name in row.forms:
                kind = ValueType(child.type, child.ns, schema.prefixes, namespaces)
                found[f"{row.name}/{child.name}"] = (row.forms[child.name], kind)
    about = next(child for child in nodes["alarm"].children if child.name == "about")
    for child in about.children:
        kind = ValueType(child.type, child.ns, schema.prefixes, namespaces)
        found[f"alarm/about/{child.name}"] = (events._ABOUT.forms[child.name], kind)
    return found


VALUES = values()
DISTINCT = sorted({(id(form), str(kind._datatype)): place for place, (form, kind) in VALUES.items()}.values())


def ours(place: str, text: str) -> bool:
    form, _ = VALUES[place]
    try:
        form.read(text)
    except ValueError:
        return False
    return True


def theirs(place: str, text: str) -> str | None:
    """The canonical text, where the module allows the value."""
    _, kind = VALUES[place]
    try:
        return kind.parse(text, {})
    except ValueError:
        return None


def agreed(place: str, text: str) -> bool:
    """Whether the two agree; where RFC 7950 has no such number as ".5", yangson is more generous."""
    canonical = theirs(place, text)
    return ours(place, text) == (canonical is not None) or (canonical != text and text.strip("0123456789.") == "")


EDGES = [
    *(
        "",
        ".",
        "..",
        "...",
        " ",
        "a",
        "a b",
        "a/b",
        "a\tb",
        "a\nb",
        "\u00e9",
        "\u4e2d",
        "\u200b",
        "\u2028",
        "\u00a0",
        "\x7f",
        "\x85",
    ),
    *(length * "n" for length in (127, 128, 129, 261, 262, 511, 512, 513)),
    *(str(number) for number in (-1, 0, 1, 7, 8, 255, 4095, 4096, 4097)),
    *(str(number) for number in (limits.DEPTH_MAX - 1, limits.DEPTH_MAX, limits.DEPTH_MAX + 1)),
    *(str(number) for number in (limits.MARK_MAX - 1, limits.MARK_MAX, limits.MARK_MAX + 1, 2**64)),
    *("0.0", "0.5", "0.000001", "1.0", "1.000001", "-0.1", "true", "false", "True", "1.", ".5"),
    *("0" * 31, "0" * 32, "0" * 33, "g" * 32, "A" * 32, "a" * 63, "a" * 64, "a" * 65),
    *("a:0", "a:1", "a:65535", "a:65536", "a:99999", "a:080", "a-b.example:7000", "a_b:1", ":1", "a:", "a b:1"),
    *("[::1]:1", "[2001:db8::1]:7000", "[fe80::1%eth0]:1", "[]:1", "[a]:1", "::1:1"),
    *("unknown", "up", "down", "ready", "dry", "fault", "source", "relay", "destination", "UP"),
]


@pytest.mark.parametrize("place", DISTINCT)
def test_at_the_edges_of_a_type_the_reader_and_the_module_agree(place: str) -> None:
    assert [text for text in EDGES if not agreed(place, text)] == []


@settings(deadline=None, max_examples=300)
@given(place=st.sampled_from(DISTINCT), text=st.text(max_size=12) | st.text("0123456789.+-:[]eE_ af\n", max_size=24))
def test_whatever_a_reader_takes_the_module_allows(place: str, text: str) -> None:
    assert not ours(place, text) or theirs(place, text) is not None
