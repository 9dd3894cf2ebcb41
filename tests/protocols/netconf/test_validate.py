"""The promises of validation (RFC 7950 sections 8 and 15): each rule with its error, and a small change costs a small look."""

import pytest

from quiver.protocols.netconf.edit import edit
from quiver.protocols.netconf.errors import RpcError
from quiver.protocols.netconf.paths import identifier, prefixes_of
from quiver.protocols.netconf.tree import Branch
from quiver.protocols.netconf.validate import Validator
from tests.protocols.netconf.ground import config, schema, text, tree

VALID = (
    "<routes><route><name>a</name><version>1</version><depth>200</depth><rate>1.0</rate><hop>x</hop><spare>true</spare></route></routes>"
    "<node><id>n1</id><address>10.0.0.1</address><site><city>Bern</city></site></node><first-node>n1</first-node>"
)
PATH = "/net:network/net:routes/net:route[net:name='{}'][net:version='1']"
VALIDATOR = Validator(schema())


def settled(body: str, base: str = VALID) -> str:
    before = VALIDATOR.settle(None, tree(base))
    return text(VALIDATOR.settle(before, edit(schema(), before, config(body))))


def refused(body: str, base: str = VALID) -> tuple[str, str, str | None]:
    with pytest.raises(RpcError) as caught:
        settled(body, base)
    error = caught.value
    return error.tag.value, error.app_tag or "", identifier(error.path, prefixes_of(error.path, schema().prefixes))


def test_a_valid_configuration_is_left_as_it_is():
    assert settled("") == VALID
    before = tree(VALID)
    assert VALIDATOR.settle(None, before) is before
    assert settled("", "") == ""


NEW = "<routes><route><name>b</name><version>1</version>{}</route></routes>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (NEW.format(""), ("operation-failed", "too-few-elements", PATH.format("b") + "/net:hop")),  # section 15.3
        (
            NEW.format("".join(f"<hop>{each}</hop>" for each in "abcdef")),
            ("operation-failed", "too-many-elements", PATH.format("b") + "/net:hop"),  # section 15.2
        ),
        (
            NEW.format("<hop>x</hop><depth>101</depth><spare>true</spare>"),
            ("operation-failed", "spare-without-rate", PATH.format("b")),  # section 15.4
        ),
        (
            NEW.format("<hop>x</hop><depth>100</depth><spare>false</spare>"),
            ("unknown-element", "", PATH.format("b") + "/net:spare"),  # section 8.3.1
        ),
        (
            NEW.format("<hop>x</hop><spare>false</spare>"),  # the default depth is 0
            ("unknown-element", "", PATH.format("b") + "/net:spare"),
        ),
        ("<node><id>n2</id></node>", ("data-missing", "", "/net:network/net:node[net:id='n2']/net:address")),
        (
            "<node><id>n2</id><address>a</address><site/></node>",
            ("data-missing", "", "/net:network/net:node[net:id='n2']/net:site/net:city"),
        ),
        (
            "<node><id>n2</id><address>10.0.0.1</address></node>",
            ("operation-failed", "data-not-unique", "/net:network/net:node"),  # section 15.1
        ),
        (
            "<first-node>n9</first-node>",
            ("data-missing", "instance-required", "/net:network/net:first-node"),
        ),  # section 15.5
        (
            "<node nc:operation='delete'><id>n1</id></node>",
            ("data-missing", "instance-required", "/net:network/net:first-node"),
        ),
        (
            "<node><id>n1</id><address nc:operation='delete'/></node>",
            ("data-missing", "", "/net:network/net:node[net:id='n1']/net:address"),
        ),
    ],
)
def test_each_rule_is_kept_and_its_error_is_rfc_7950s(body, expected):
    assert refused(body) == expected


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ("<routes><route><name>a</name><version>1</version><depth>100</depth></route></routes>", "<spare>true</spare>"),
        (
            "<routes><route><name>a</name><version>1</version><depth nc:operation='delete'/></route></routes>",
            "<spare>true</spare>",
        ),
    ],
)
def test_what_a_condition_no_longer_allows_is_taken_away(body, gone):
    assert gone in VALID
    assert gone not in settled(body)  # RFC 7950 section 8.2


def test_entries_that_did_not_change_are_not_looked_at_again():
    asked = []

    class Watched(Validator):
        def instance(self, root: Branch) -> object:
            asked.append(root)
            return super().instance(root)

    watched = Watched(schema())
    route = "<route><name>r{}</name><version>1</version><hop>x</hop></route>"
    before = watched.settle(None, tree("<routes>" + "".join(route.format(i) for i in range(50)) + "</routes>"))
    first = len(asked)
    assert first >= 50
    after = edit(
        schema(), before, config("<routes><route><name>r7</name><version>1</version><depth>9</depth></route></routes>")
    )
    watched.settle(before, after)
    assert len(asked) - first <= 3
