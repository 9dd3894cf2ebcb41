"""The promises of conditions: expressions that look far are asked after every change, and choices and groups have their own."""

from functools import cache

import pytest
from lxml import etree

from quiver.protocols.netconf.constraints import Constraints
from quiver.protocols.netconf.edit import edit
from quiver.protocols.netconf.errors import RpcError
from quiver.protocols.netconf.modules import ModuleName
from quiver.protocols.netconf.paths import identifier, prefixes_of
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.tree import Branch
from quiver.protocols.netconf.validate import Validator
from quiver.protocols.netconf.xml import BASE, Element
from tests.protocols.netconf.ground import HERE, schema, text

CON = "urn:quiver:test:conditions"


@cache
def conditions() -> tuple[Schema, Validator]:
    made = Schema([ModuleName("example-conditions", "2026-11-03")], [HERE])
    return made, Validator(made)


def config(limits: str = "", *jobs: str) -> Element:
    tops = f'<limits xmlns="{CON}">{limits}</limits>' + "".join(f'<job xmlns="{CON}">{job}</job>' for job in jobs)
    return etree.fromstring(f'<config xmlns="{BASE}" xmlns:nc="{BASE}">{tops}</config>')


def settled(before: Branch | None, request: Element) -> Branch:
    made, validator = conditions()
    return validator.settle(before, edit(made, before or Branch(made.root, {}), request))


def start(*jobs: str, limits: str = "") -> Branch:
    return settled(None, config(limits, *jobs))


def refused(before: Branch | None, request: Element) -> tuple[str, str, str]:
    with pytest.raises(RpcError) as caught:
        settled(before, request)
    error = caught.value
    return (
        error.tag.value,
        error.app_tag or "",
        identifier(error.path, prefixes_of(error.path, conditions()[0].prefixes)),
    )


def job(name: str, rest: str = "", kind: str = "<plain/>") -> str:
    return f"<name>{name}</name>{kind}{rest}"


JOB = "/con:job[con:name='a']"


def test_a_must_that_looks_elsewhere_is_asked_when_only_the_other_place_changes():
    before = start(job("a", "<size>9</size>"), job("b"))
    assert refused(before, config("<most>8</most>")) == ("operation-failed", "must-violation", f"{JOB}/con:size")
    settled(before, config("<most>9</most>"))


def test_an_entry_that_others_refer_to_cannot_go():
    before = start(job("a", "<after>b</after>"), job("b"))
    gone = config("", job("b"))
    gone[1].set(f"{{{BASE}}}operation", "delete")
    assert refused(before, gone) == ("data-missing", "instance-required", f"{JOB}/con:after[.='b']")


def test_a_condition_that_looks_elsewhere_takes_its_node_away_everywhere():
    with_reason = "<when-strict><reason>r</reason></when-strict>"
    before = start(job("a", with_reason), job("b", with_reason), limits="<strict>true</strict>")
    assert text(before).count("reason") == 4
    assert "reason" not in text(settled(before, config("<strict>false</strict>")))
    assert refused(None, config("", job("a", with_reason)))[0] == "unknown-element"


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("", "kind"), ("<note>n</note>", "deep")],
)
def test_a_mandatory_choice_needs_a_case_where_it_stands(kind, missing):
    with pytest.raises(RpcError) as caught:
        start(job("a", kind=kind))
    error = caught.value
    assert (error.tag.value, error.app_tag, error.info) == (
        "data-missing",
        "missing-choice",
        (("missing-choice", missing),),
    )


@pytest.mark.parametrize("kind", ["<plain/>", "<left>x</left>", "<right>x</right><note>n</note>"])
def test_a_choice_with_a_case_is_complete(kind):
    start(job("a", kind=kind))


def test_the_inner_choice_and_the_outer_one_both_give_way():
    before = start(job("a", kind="<left>x</left><note>n</note>"))
    inner = text(settled(before, config("", job("a", kind="<right>y</right>"))))
    assert ("<left>" not in inner, "<note>" in inner, "<right>" in inner) == (True, True, True)
    outer = text(settled(before, config("", job("a", kind="<plain/>"))))
    assert ("<left>" not in outer, "<note>" not in outer, "<plain/>" in outer) == (True, True, True)


def test_the_condition_of_a_group_is_that_of_its_nodes():
    assert "minutes" in text(start(job("a", "<size>6</size><minutes>1</minutes>")))
    assert refused(None, config("", job("a", "<size>5</size><minutes>1</minutes>")))[0] == "unknown-element"
    before = start(job("a", "<size>6</size><minutes>1</minutes>"))
    assert "minutes" not in text(settled(before, config("", job("a", "<size>5</size>"))))


def test_a_mandatory_leaf_is_needed_only_where_its_condition_holds():
    start(job("a", "<size>3</size>"))
    assert refused(None, config("", job("a", "<size>4</size>"))) == (
        "data-missing",
        "",
        f"{JOB}/con:needs/con:deadline",
    )
    start(job("a", "<size>4</size><needs><deadline>1</deadline></needs>"))


def test_only_expressions_that_look_further_are_asked_after_every_change():
    far = {node.name for node in Constraints(conditions()[0].root).watching}
    assert {"size", "after", "when-strict", "job"} <= far
    near = {node.name for node in Constraints(schema().root).watching}
    assert near <= {"first-node", "network", ""}  # its leafref leads to another list
