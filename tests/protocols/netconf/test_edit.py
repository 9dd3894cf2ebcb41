"""The promises of edit-config (RFC 6241 section 7.2, RFC 7950 sections 7 and 8): what operations do, and each error's place."""

import pytest

from quiver.domain import limits
from quiver.protocols.netconf.edit import Operation, edit
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.paths import identifier, prefixes_of
from quiver.protocols.netconf.tree import Branch
from quiver.protocols.netconf.xml import BASE
from tests.protocols.netconf.ground import LAB, NET, config, schema, text, tree

BASIC = (
    "<banner>hi</banner>"
    "<routes><route><name>a</name><version>1</version><depth>7</depth><hop>x</hop><hop>y</hop></route>"
    "<route><name>b</name><version>1</version><hop>z</hop></route></routes>"
    "<node><id>n1</id><address>10.0.0.1</address><relay-rate>5</relay-rate><port><number>1</number><on>false</on></port></node>"
    "<rule><name>r1</name></rule><rule><name>r2</name></rule><rule><name>r3</name></rule>"
    "<tag>t1</tag><tag>t2</tag>"
)
A = "<name>a</name><version>1</version>"
PATH_A = "/net:network/net:routes/net:route[net:name='a'][net:version='1']"
PATH_N1 = "/net:network/net:node[net:id='n1']"


def op(name: str) -> str:
    return f'nc:operation="{name}"'


def changed(body: str, default: str = "merge", base: str = BASIC) -> str:
    return text(edit(schema(), tree(base), config(body), Operation(default)))


def refused(body: str, default: str = "merge", base: str = BASIC) -> tuple[str, str, RpcError]:
    before = tree(base)
    written = text(before)
    with pytest.raises(RpcError) as caught:
        edit(schema(), before, config(body), Operation(default))
    assert text(before) == written
    error = caught.value
    return error.tag.value, identifier(error.path, prefixes_of(error.path, schema().prefixes)), error


def test_the_basic_configuration_is_read_as_it_is_written():
    assert text(tree(BASIC)) == BASIC
    assert edit(schema(), (same := tree(BASIC)), config(BASIC)) is same  # nothing is copied where nothing changes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<banner>new</banner>", BASIC.replace(">hi<", ">new<")),
        (f"<banner {op('replace')}>new</banner>", BASIC.replace(">hi<", ">new<")),
        (f"<banner {op('delete')}/>", BASIC.replace("<banner>hi</banner>", "")),
        (f"<banner {op('remove')}/>", BASIC.replace("<banner>hi</banner>", "")),
        (f"<term {op('remove')}/>", BASIC),
        (f"<routes><route>{A}<depth>9</depth></route></routes>", BASIC.replace(">7<", ">9<")),
        (
            f"<routes><route {op('replace')}>{A}<hop>q</hop></route></routes>",
            BASIC.replace("<depth>7</depth><hop>x</hop><hop>y</hop>", "<hop>q</hop>"),
        ),
        (
            f"<routes><route {op('delete')}>{A}</route></routes>",
            BASIC.replace(f"<route>{A}<depth>7</depth><hop>x</hop><hop>y</hop></route>", ""),
        ),
        (f"<routes><route {op('remove')}><name>c</name><version>1</version></route></routes>", BASIC),
        (
            f"<routes><route {op('create')}><name>a</name><version>2</version></route></routes>",
            BASIC.replace("</routes>", "<route><name>a</name><version>2</version></route></routes>"),
        ),
        (
            f"<routes {op('replace')}><route><name>c</name><version>3</version></route></routes>",
            BASIC[: BASIC.index("<routes>")]
            + "<routes><route><name>c</name><version>3</version></route></routes>"
            + BASIC[BASIC.index("</routes>") + 9 :],
        ),
        (f"<routes {op('delete')}/>", BASIC[: BASIC.index("<routes>")] + BASIC[BASIC.index("</routes>") + 9 :]),
        (
            f"<tag {op('delete')}>t1</tag><tag>t3</tag>",
            BASIC.replace("<tag>t1</tag><tag>t2</tag>", "<tag>t2</tag><tag>t3</tag>"),
        ),
        (f"<tag {op('delete')}>t1</tag><tag {op('delete')}>t2</tag>", BASIC[: BASIC.index("<tag>")]),
        (
            f"<node><id>n1</id><port {op('delete')}><number>1</number></port></node>",
            BASIC.replace("<port><number>1</number><on>false</on></port>", ""),
        ),
        # A container that has become empty and means nothing by itself is gone.
        (
            f"<routes><route {op('delete')}>{A}</route><route {op('delete')}><name>b</name><version>1</version></route></routes>",
            BASIC[: BASIC.index("<routes>")] + BASIC[BASIC.index("</routes>") + 9 :],
        ),
        # One case takes the place of another (RFC 7950 section 8.2).
        ("<node><id>n1</id><sae/></node>", BASIC.replace("<relay-rate>5</relay-rate>", "<sae/>")),
        (
            "<node><id>n1</id><relay-note>x</relay-note></node>",
            BASIC.replace("</relay-rate>", "</relay-rate><relay-note>x</relay-note>"),
        ),
        # Values become canonical (RFC 7950 section 9.1), and 007 is 7, so nothing changes.
        (f"<routes><route>{A}<depth>007</depth></route></routes>", BASIC),
        (f"<routes><route>{A}<rate>1.50</rate></route></routes>", BASIC.replace("<hop>x<", "<rate>1.5</rate><hop>x<")),
    ],
)
def test_operations_do_what_they_say(body, expected):
    assert changed(body) == expected


@pytest.mark.parametrize("attribute", [f"{{{BASE}}}operation", "operation", "other"])
def test_an_operation_on_all_of_the_configuration_is_refused(attribute):
    wanted = config("<banner>x</banner>")
    wanted.set(attribute, "replace")
    with pytest.raises(RpcError) as caught:
        edit(schema(), tree(), wanted)
    assert caught.value.tag == "unknown-attribute"


@pytest.mark.parametrize(
    ("body", "tag", "path"),
    [
        (f"<banner {op('create')}>x</banner>", "data-exists", "/net:network/net:banner"),
        (f"<term {op('delete')}/>", "data-missing", "/net:network/net:term"),
        (f"<routes><route {op('create')}>{A}</route></routes>", "data-exists", PATH_A),
        (
            f"<routes><route {op('delete')}><name>it's</name><version>2</version></route></routes>",
            "invalid-value",
            "/net:network/net:routes/net:route/net:name",
        ),
        (
            f"<routes><route {op('delete')}><name>c</name><version>02</version></route></routes>",
            "data-missing",
            "/net:network/net:routes/net:route[net:name='c'][net:version='2']",
        ),
        (f"<routes {op('create')}/>", "data-exists", "/net:network/net:routes"),
        (
            f"<node><id>it's</id><site {op('delete')}/></node>",
            "data-missing",
            '/net:network/net:node[net:id="it\'s"]/net:site',
        ),
        (f"<tag {op('create')}>t1</tag>", "data-exists", "/net:network/net:tag[.='t1']"),
        (f"<tag {op('delete')}>t9</tag>", "data-missing", "/net:network/net:tag[.='t9']"),
        ("<routes><route><name>a</name></route></routes>", "missing-element", "/net:network/net:routes/net:route"),
        ("<colour>red</colour>", "unknown-element", "/net:network"),
        ("<x:banner xmlns:x='urn:other'>x</x:banner>", "unknown-namespace", "/net:network"),
        (f"<x:banner xmlns:x='{LAB}'>x</x:banner>", "unknown-element", "/net:network"),
        ("<state><uptime>1</uptime></state>", "unknown-element", "/net:network"),
        (f"<routes><route>{A}<level>1</level></route></routes>", "unknown-element", PATH_A),
        ("<banner></banner>", "invalid-value", "/net:network/net:banner"),
        (f"<routes><route>{A}<depth>-1</depth></route></routes>", "invalid-value", f"{PATH_A}/net:depth"),
        (f"<routes><route>{A}<colour>net:blue</colour></route></routes>", "invalid-value", f"{PATH_A}/net:colour"),
        (f"<routes><route>{A}<colour>who:red</colour></route></routes>", "invalid-value", f"{PATH_A}/net:colour"),
        (f"<routes><route>{A}<rate>1.2345</rate></route></routes>", "invalid-value", f"{PATH_A}/net:rate"),
        (f"<routes><route>{A}<rate>1e1</rate></route></routes>", "invalid-value", f"{PATH_A}/net:rate"),
        (f"<routes><route>{A}<depth>1_0</depth></route></routes>", "invalid-value", f"{PATH_A}/net:depth"),
        (f"<routes><route>{A}<depth>\u0661</depth></route></routes>", "invalid-value", f"{PATH_A}/net:depth"),
        ("<node><id>n1</id><sae>x</sae></node>", "invalid-value", f"{PATH_N1}/net:sae"),
        (
            "<node><id>n1</id><port><number>256</number></port></node>",
            "invalid-value",
            f"{PATH_N1}/net:port/net:number",
        ),
        (
            "<rule><name>r</name><verdict>maybe</verdict></rule>",
            "invalid-value",
            "/net:network/net:rule[net:name='r']/net:verdict",
        ),
        ("<banner><b/></banner>", "bad-element", "/net:network/net:banner"),
        ("<banner>a</banner><banner>b</banner>", "bad-element", "/net:network/net:banner"),
        (f"<routes><route>{A}<name>a</name></route></routes>", "bad-element", f"{PATH_A}/net:name"),
        ("<routes>text</routes>", "bad-element", "/net:network/net:routes"),
        ("<routes/>text", "bad-element", "/net:network"),
        ("<node><id>n1</id><sae/><relay-rate>1</relay-rate></node>", "bad-element", f"{PATH_N1}/net:relay-rate"),
        ("<banner nc:operation='destroy'>x</banner>", "bad-attribute", "/net:network"),
        ("<banner nc:operation='none'>x</banner>", "bad-attribute", "/net:network"),
        ("<banner operation='delete'>x</banner>", "unknown-attribute", "/net:network"),
        ("<banner other='x'>x</banner>", "unknown-attribute", "/net:network"),
        (f"<routes><route><name {op('delete')}>a</name><version>1</version></route></routes>", "bad-attribute", PATH_A),
    ],
)
def test_errors_have_the_tag_and_the_place(body, tag, path):
    assert refused(body)[:2] == (tag, path)


def test_an_error_names_the_missing_key_and_the_unknown_namespace():
    assert refused("<routes><route><name>a</name></route></routes>")[2].info == (("bad-element", "version"),)
    assert refused("<x:y xmlns:x='urn:other'/>")[2].info == (("bad-element", "y"), ("bad-namespace", "urn:other"))
    assert refused("<banner operation='delete'/>")[2].info == (
        ("bad-attribute", "operation"),
        ("bad-element", "banner"),
    )


def test_an_edit_that_fails_at_its_end_has_done_nothing():
    before = tree(BASIC)
    with pytest.raises(RpcError):
        edit(schema(), before, config(f"<banner>new</banner><routes {op('delete')}/><term {op('delete')}/>"))
    assert text(before) == BASIC


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<banner>ignored</banner>", BASIC),
        (f"<routes><route>{A}<depth {op('replace')}>8</depth></route></routes>", BASIC.replace(">7<", ">8<")),
        (
            f"<routes><route {op('create')}><name>n</name><version>1</version></route></routes>",
            BASIC.replace("</routes>", "<route><name>n</name><version>1</version></route></routes>"),
        ),
        (
            f"<node><id>n1</id><port {op('delete')}><number>1</number></port></node>",
            BASIC.replace("<port><number>1</number><on>false</on></port>", ""),
        ),
    ],
)
def test_with_default_none_only_what_has_an_operation_is_done(body, expected):
    assert changed(body, "none") == expected


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("<term>1</term>", "/net:network/net:term"),
        ("<node><id>n9</id></node>", "/net:network/net:node[net:id='n9']"),
        (
            f"<node><id>n9</id><label xmlns='{LAB}' {op('create')}>x</label></node>",
            "/net:network/net:node[net:id='n9']",
        ),
        ("<node><id>n1</id><site/></node>", f"{PATH_N1}/net:site"),
    ],
)
def test_with_default_none_what_is_not_there_is_an_error(body, path):
    assert refused(body, "none")[:2] == ("data-missing", path)


def test_with_default_replace_nothing_else_stays():
    assert changed("<banner>only</banner>", "replace") == "<banner>only</banner>"
    assert changed("", "replace") == ""
    assert text(edit(schema(), tree(BASIC), config("", wrap=""), Operation.REPLACE)) == ""


def test_children_inherit_the_operation_until_another_one_stands_there():
    body = f"<node {op('create')}><id>n2</id><address>a</address><port {op('merge')}><number>1</number></port></node>"
    assert "<port><number>1</number></port>" in changed(body)
    assert refused(f"<node {op('replace')}><id>n1</id><site {op('delete')}/></node>")[0] == "data-missing"


def test_names_and_values_of_another_module_keep_their_namespace():
    body = f"<node><id>n1</id><label xmlns='{LAB}'>l</label></node>"
    body += f"<routes><route>{A}<colour>net:dark-red</colour></route></routes>"
    written = changed(body)
    assert f'<label xmlns="{LAB}">l</label>' in written
    assert "<colour>net:dark-red</colour>" in written
    error = refused(f"<node><id>n1</id><label xmlns='{LAB}' {op('delete')}/></node>")
    assert error[1] == f"{PATH_N1}/lab:label"


@pytest.mark.parametrize("value", ["net:red", "red", "other:red"])
def test_an_identity_is_the_same_under_any_prefix(value):
    body = f"<routes><route>{A}<colour xmlns:other='{NET}'>{value}</colour></route></routes>"
    assert "<colour>net:red</colour>" in changed(body)


def test_an_identity_without_a_prefix_under_a_foreign_default_namespace_is_of_the_leafs_module():
    assert refused(f"<routes><route>{A}<colour>lab:red</colour></route></routes>")[0] == "invalid-value"
    body = "<p:routes><p:route><p:name>a</p:name><p:version>1</p:version><p:colour>red</p:colour></p:route></p:routes>"
    prefixed = config(f"<p:network xmlns:p='{NET}'>{body}</p:network>", wrap="")
    assert "net:red" in text(edit(schema(), tree(), prefixed))


def test_a_value_of_a_megabyte_is_refused():
    tag = f"<tag>{'x' * (limits.NETCONF_VALUE + 1)}</tag>"
    assert refused(tag)[0] == "invalid-value"


def order(written: str, tag: str = "rule") -> list[str]:
    return [part.split("<")[0].removeprefix("<name>") for part in written.replace("<name>", "").split(f"<{tag}>")[1:]]


@pytest.mark.parametrize(
    ("attributes", "name", "expected"),
    [
        ("y:insert='first'", "new", ["new", "r1", "r2", "r3"]),
        ("y:insert='last'", "new", ["r1", "r2", "r3", "new"]),
        ("", "new", ["r1", "r2", "r3", "new"]),
        ("y:insert='before' y:key=\"[net:name='r2']\"", "new", ["r1", "new", "r2", "r3"]),
        ("y:insert='after' y:key='[net:name=\"r2\"]'", "new", ["r1", "r2", "new", "r3"]),
        ("y:insert='after' y:key=\"[ net:name = 'r2' ]\"", "r1", ["r2", "r1", "r3"]),
        ("y:insert='before' y:key=\"[name='r1']\"", "r3", ["r3", "r1", "r2"]),
        ("y:insert='first'", "r2", ["r2", "r1", "r3"]),
        ("", "r2", ["r1", "r2", "r3"]),
        ("nc:operation='replace' y:insert='last'", "r1", ["r2", "r3", "r1"]),
        ("nc:operation='create' y:insert='first'", "new", ["new", "r1", "r2", "r3"]),
    ],
)
def test_the_user_decides_about_the_order_of_entries(attributes, name, expected):
    assert order(changed(f"<rule {attributes}><name>{name}</name></rule>")) == expected


@pytest.mark.parametrize(
    ("attributes", "name", "expected"),
    [
        ("y:insert='first'", "n", "n x y"),
        ("y:insert='before' y:value='y'", "n", "x n y"),
        ("y:insert='after' y:value='y'", "x", "y x"),
        ("y:insert='first'", "y", "y x"),
        ("nc:operation='delete'", "x", "y"),
    ],
)
def test_the_user_decides_about_the_order_of_values(attributes, name, expected):
    written = changed(f"<routes><route>{A}<hop {attributes}>{name}</hop></route></routes>")
    assert "".join(f"<hop>{hop}</hop>" for hop in expected.split()) + "</route>" in written


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ("<rule y:insert='middle'><name>r</name></rule>", "bad-attribute"),
        ("<rule y:insert='before'><name>r</name></rule>", "missing-attribute"),
        ("<rule y:key=\"[net:name='r1']\"><name>r</name></rule>", "missing-attribute"),
        ("<rule y:insert='before' y:key=\"[net:name='r9']\"><name>r</name></rule>", "bad-attribute"),
        ("<rule y:insert='before' y:key=\"[net:name='r']\"><name>r</name></rule>", "bad-attribute"),
        ("<rule y:insert='before' y:key='r1'><name>r</name></rule>", "bad-attribute"),
        ("<rule y:insert='before' y:key=\"[net:verdict='r1']\"><name>r</name></rule>", "bad-attribute"),
        ("<rule y:insert='before' y:key=\"[who:name='r1']\"><name>r</name></rule>", "bad-attribute"),
        ("<rule y:insert='before' y:value='r1'><name>r</name></rule>", "unknown-attribute"),
        ("<rule y:other='before'><name>r</name></rule>", "unknown-attribute"),
        ("<node y:insert='first'><id>n</id></node>", "unknown-attribute"),
        ("<banner y:insert='first'>x</banner>", "unknown-attribute"),
        ("<tag y:insert='first'>x</tag>", "unknown-attribute"),
    ],
)
def test_a_place_in_the_order_that_cannot_be_is_refused(body, tag):
    assert refused(body)[0] == tag


def test_a_missing_neighbour_in_the_order_is_named_as_rfc_7950_says():
    error = refused("<rule y:insert='after' y:key=\"[net:name='r9']\"><name>r</name></rule>")[2]
    assert (error.tag, error.app_tag) == (Tag.BAD_ATTRIBUTE, "missing-instance")  # section 15.7


def test_an_unchanged_part_is_the_very_same_object():
    before = tree(BASIC)
    after = edit(schema(), before, config(f"<routes><route>{A}<depth>9</depth></route></routes>"))

    def network(branch: Branch) -> Branch:
        found = branch.children[f"{{{NET}}}network"]
        assert isinstance(found, Branch)
        return found

    for name in ("node", "rule", "tag", "banner"):
        assert network(after).children[f"{{{NET}}}{name}"] is network(before).children[f"{{{NET}}}{name}"]
