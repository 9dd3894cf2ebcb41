"""The promises of the schema: what yangson knows, quickly found; what the datastores cannot do is refused at the start."""

import pytest

from quiver.domain.errors import ConfigurationError
from quiver.protocols.netconf.modules import ModuleName
from quiver.protocols.netconf.schema import Kind, Schema
from tests.protocols.netconf.ground import HERE, NET, schema

MODULE = """module broken {{
  yang-version 1.1;
  namespace "urn:broken";
  prefix b;
  revision 2026-11-01;
  {}
}}
"""


def test_every_node_knows_what_an_edit_asks():
    route = schema().node("/example-network:network/routes/route")
    assert (route.kind, [key.rpartition("}")[2] for key in route.keys]) == (Kind.LIST, ["name", "version"])
    assert schema().node("/example-network:network/rule").user_ordered
    assert schema().node("/example-network:network/routes/route/hop").user_ordered
    assert not schema().node("/example-network:network/tag").user_ordered
    assert schema().node("/example-network:network/node/site").presence
    assert not schema().node("/example-network:network/state/uptime").config
    assert schema().node("/example-network:network/node/port/on").defaults == ("true",)
    assert schema().node("/example-network:network/node/address").mandatory
    assert [(choice.name, case) for choice, case in schema().node("/example-network:network/node/sae").cases] == [
        ("kind", "end")
    ]
    label = schema().node("/example-network:network/node/example-labels:label")
    assert (label.member, label.module) == ("example-labels:label", "example-labels")
    assert f"{{{NET}}}link-down" in schema().notifications


def test_a_path_that_leads_nowhere_is_an_error():
    for path in ("/example-network:nothing", "/nothing:network", "/example-network:network/node/label"):
        with pytest.raises(KeyError):
            schema().node(path)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("list l { leaf a { type string; } }", "without keys"),
        ("container c { anydata a; }", "without a type"),
        ("leaf l { type instance-identifier; }", "instance-identifier"),
        ("identity i; leaf l { type union { type string; type identityref { base i; } } }", "instance-identifier"),
        ("leaf l { type nothing; }", "YANG"),
        ("leaf l {", "YANG"),
        ("import nowhere { prefix n; }", "YANG"),
    ],
)
def test_what_the_datastores_do_not_handle_is_refused_at_the_start(tmp_path, body, reason):
    (tmp_path / "broken.yang").write_text(MODULE.format(body))
    with pytest.raises(ConfigurationError, match=reason):
        Schema([ModuleName("broken", "2026-11-01")], [tmp_path])


def test_a_module_that_is_not_there_in_that_revision_is_named():
    for name in (ModuleName("example-network", "2001-01-01"), ModuleName("no-such-module", "2026-11-01")):
        with pytest.raises(ConfigurationError, match=f"{name.name}@{name.revision}"):
            Schema([name], [HERE])


def test_the_ietfs_modules_come_from_an_installed_collection():
    found = {module.name: module for module in schema().modules}
    assert found["ietf-yang-library"].text.startswith("module ietf-yang-library {")
    assert found["ietf-yang-library"].namespace == "urn:ietf:params:xml:ns:yang:ietf-yang-library"
    assert (found["example-network"].version, found["example-labels"].version) == ("1.1", "1")
