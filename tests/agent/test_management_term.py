"""The fence between controllers: whatever an edit's operations are, the term that the node keeps never falls or goes away."""

from collections import deque

import pytest
from lxml import etree

from quiver.agent.management_term import LASTING, STALE_TERM, WRITES, FencedDatastores
from quiver.domain import limits
from quiver.protocols.netconf.access import Access, Role
from quiver.protocols.netconf.datastores import load
from quiver.protocols.netconf.server import Server
from quiver.protocols.yang.library import node_schema
from quiver.protocols.yang.names import KMS
from tests.protocols.netconf.ground import Client, Site, app_tag_of, error_of, text

HELD = "<controller><term>7</term></controller>"
ADDRESS = "<directory><node><id>bob</id><address>192.0.2.2:8443</address></node></directory>"
NONE = "<default-operation>none</default-operation>"
REPLACE = "<default-operation>replace</default-operation>"


class Fenced(Site):
    """A server of the agents' own schema, at which term 7 has been accepted."""

    def __post_init__(self):
        schema = node_schema()
        access = Access(schema, WRITES)
        held = load(schema, [etree.fromstring(f'<kms xmlns="{KMS}">{HELD}</kms>')])
        self.datastores = FencedDatastores(schema, held, access, self.check, LASTING)
        self.server = Server(self.datastores, access, lambda _: [], self.moment, self.events)
        self.changes, self.applied, self.checked = [], [], []
        self.closed, self.clients = {}, {}
        self._todo = deque()


@pytest.fixture
def site() -> Fenced:
    return Fenced()


@pytest.fixture
def controller(site: Fenced) -> Client:
    return site.client(Role.CONTROLLER)


def edit(inside: str, options: str = "") -> str:
    target = "<target><running/></target>"
    return f'<edit-config>{target}{options}<config><kms xmlns="{KMS}">{inside}</kms></config></edit-config>'


def said(term: str) -> str:
    return f"<controller><term>{term}</term></controller>"


def configured(site: Fenced) -> str:
    return text(site.datastores.running).removeprefix(f'<kms xmlns="{KMS}">').removesuffix("</kms>")


@pytest.mark.parametrize(
    ("inside", "options"),
    [
        ('<controller><term nc:operation="remove">7</term></controller>', ""),
        ('<controller><term nc:operation="delete">7</term></controller>', ""),
        ('<controller nc:operation="remove"><term>7</term></controller>', ""),
        ('<controller nc:operation="delete"><term>8</term></controller>', ""),
        (said("+3"), ""),
        (said(" 6 "), ""),
        (said("-1"), ""),
        (said("9"), NONE),
        (ADDRESS, REPLACE),
        (said("6") + ADDRESS, REPLACE),
    ],
)
def test_no_edit_of_a_controller_lowers_the_term_takes_it_away_or_says_one_that_it_does_not_leave(
    site, controller, inside, options
):
    assert error_of(controller.rpc(edit(inside, options)))[0] in ("access-denied", "invalid-value")
    assert configured(site) == HELD
    assert app_tag_of(controller.rpc(edit(said("3") + ADDRESS))) == STALE_TERM
    assert configured(site) == HELD


@pytest.mark.parametrize("wrong", ["", "seven", "7.0", "1e9", "1_000", "9007199254740993", "4294967297", str(1 << 50)])
def test_what_is_no_term_is_refused_with_its_place(site, controller, wrong):
    assert controller.error(edit(said(wrong))) == ("invalid-value", "/qk:kms/qk:controller/qk:term")
    assert configured(site) == HELD


def test_an_agent_that_was_away_for_however_long_takes_the_networks_term(site, controller):
    controller.ok(edit(said(str(limits.TERM_MAX))))
    assert configured(site) == said("4294967296")


@pytest.mark.parametrize("written", ["8", "+8", " 8 ", "008"])
def test_a_term_counts_as_the_schema_reads_it(site, controller, written):
    controller.ok(edit(said(written)))
    assert configured(site) == said("8")
    controller.ok(edit(said("8"), NONE))  # says what it leaves
    assert app_tag_of(controller.rpc(edit(said("7") + ADDRESS))) == STALE_TERM
