"""What is written to a node is what the node gets, entry by entry or at once; what no node should get is refused."""

import pytest
from hypothesis import given, settings
from lxml import etree
from yangson.enumerations import ContentType
from yangson.exceptions import YangsonException

from quiver.domain.errors import RequestError
from quiver.domain.network import PathEntry
from quiver.domain.provision import Provision
from quiver.protocols.netconf.xml import Element, parse, serialise
from quiver.protocols.yang.entries import (
    address_from_xml,
    address_to_xml,
    home_from_xml,
    home_to_xml,
    key_from_xml,
    pair_from_xml,
    pair_to_xml,
    path_from_xml,
    path_key_from_xml,
    path_to_xml,
)
from quiver.protocols.yang.provision import provision_from_xml, provision_to_xml
from tests.protocols.yang import examples
from tests.protocols.yang.judges import judge, kms_schema

PREFIX = "{urn:quiver:yang:quiver-kms}"
ENTRY = PathEntry("a to c", 1, 3, ("a", "b", "c"), 8192, 2048, 2)
PROVISION = Provision(
    term=7,
    paths={ENTRY.key: ENTRY},
    addresses={"c": "[2001:db8::3]:7000"},
    homes={"sae-1": "a", "sae-2": "c"},
    pairs=frozenset((frozenset(("sae-1", "sae-2")),)),
)


def kms(text: str) -> Element:
    return parse(f'<kms xmlns="urn:quiver:yang:quiver-kms">{text}</kms>'.encode())


@settings(deadline=None)
@given(examples.provisions)
def test_a_configuration_arrives_as_it_was_written(provision: Provision) -> None:
    assert provision_from_xml(parse(serialise(provision_to_xml(provision)))) == provision


@settings(deadline=None)
@given(examples.provisions)
def test_a_configuration_is_an_instance_of_the_module(provision: Provision) -> None:
    judge(provision_to_xml(provision), kms_schema(), ContentType.config)


@settings(deadline=None)
@given(examples.entries)
def test_a_single_path_arrives_as_it_was_written(entry: PathEntry) -> None:
    element = parse(serialise(path_to_xml(entry)))
    assert path_from_xml(element) == entry
    assert path_from_xml(element).digest == entry.digest  # equal at every node of the path
    assert path_key_from_xml(element) == entry.key


@settings(deadline=None)
@given(examples.provisions)
def test_single_entries_of_the_directory_arrive_as_they_were_written(provision: Provision) -> None:
    for node, address in provision.addresses.items():
        assert address_from_xml(address_to_xml(node, address)) == (node, address)
    for sae, home in provision.homes.items():
        assert home_from_xml(home_to_xml(sae, home)) == (sae, home)
    for pair in provision.pairs:
        assert pair_from_xml(pair_to_xml(pair)) == pair


@pytest.mark.parametrize("entry", [address_to_xml("c", "192.0.2.3:7000"), home_to_xml("sae-2", "c")])
def test_of_an_entry_that_is_deleted_the_key_is_enough(entry: Element) -> None:
    key = entry[0].text
    del entry[1:]
    assert key_from_xml(entry) == key


def test_of_a_path_that_is_deleted_the_keys_are_enough() -> None:
    element = path_to_xml(ENTRY)
    del element[3:]
    assert path_key_from_xml(element) == ENTRY.key
    del element[2:]
    with pytest.raises(RequestError, match=r"path\.version is missing"):
        path_key_from_xml(element)


def test_what_is_not_written_has_the_defaults_of_the_domain() -> None:
    assert provision_from_xml(kms("")) == Provision()
    assert provision_from_xml(kms("<controller/><directory/>")) == Provision()
    keys = "<virtual-link>v</virtual-link><number>1</number><version>1</version>"
    entry = kms(f"<path>{keys}<node>a</node><node>b</node></path>")[0]
    assert path_from_xml(entry) == PathEntry("v", 1, 1, ("a", "b"))
    defaults = {
        name: kms_schema().node(f"/quiver-kms:kms/path/{name}").defaults for name in ("depth", "rate", "priority")
    }
    assert defaults == {"depth": ("0",), "rate": ("0",), "priority": ("1",)}


def test_a_pair_in_both_orders_is_one_pair() -> None:
    one = "<permitted-pair><one>x</one><other>y</other></permitted-pair>"
    other = "<permitted-pair><one>y</one><other>x</other></permitted-pair>"
    assert provision_from_xml(kms(f"<directory>{one}{other}</directory>")).pairs == {frozenset("xy")}


def test_white_space_around_numbers_is_no_part_of_them() -> None:
    assert provision_from_xml(kms("<controller><term>\n  7 </term></controller>")).term == 7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<colour>red</colour>", "kms: no such node; controller, directory, path are"),
        ("<state/>", "kms: no such node"),
        ("<directory><key/></directory>", "directory: no such node; node, sae, permitted-pair are"),
        ("<controller/><controller/>", "controller: at most 1 entries"),
        ("<controller><term>-1</term></controller>", "controller.term shall be 0 to"),
        ("<controller><secret>1</secret></controller>", "controller: no such leaf; term are"),
        ("<directory><sae><id>x</id></sae></directory>", "sae.home is missing"),
        ("<directory><sae><id>.</id><home>a</home></sae></directory>", "sae.id shall be neither"),
        ("<directory><node><id>a</id><address>a</address></node></directory>", "node.address shall be HOST:PORT"),
        (2 * "<path><virtual-link>v</virtual-link></path>", "path.number is missing"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(text: str, named: str) -> None:
    with pytest.raises(RequestError) as caught:
        provision_from_xml(kms(text))
    assert caught.value.message.startswith(named)


def test_no_entry_is_there_twice() -> None:
    for place in ("path", "directory/sae", "directory/node"):
        element = provision_to_xml(PROVISION)
        entry = element.find("/".join(PREFIX + name for name in place.split("/")))
        assert entry is not None
        parent = entry.getparent()
        assert parent is not None
        parent.append(parse(etree.tostring(entry)))
        with pytest.raises(RequestError, match="an entry is there twice"):
            provision_from_xml(element)


@pytest.mark.parametrize(
    ("nodes", "named"),
    [(("a",), "at least two nodes"), (("a", "b", "a"), "at least two nodes, each once"), ((), "path.node is missing")],
)
def test_a_path_that_is_no_path_is_refused_here_and_by_the_module(nodes: tuple[str, ...], named: str) -> None:
    element = provision_to_xml(PROVISION)
    path = element[-1]
    for leaf in list(path.iterchildren(f"{PREFIX}node")):
        path.remove(leaf)
    for node in nodes:
        etree.SubElement(path, f"{PREFIX}node").text = node
    with pytest.raises(RequestError, match=named):
        provision_from_xml(element)
    with pytest.raises(YangsonException):
        judge(element, kms_schema(), ContentType.config)


def test_an_sae_is_no_pair_with_itself_here_or_in_the_module() -> None:
    element = kms("<directory><permitted-pair><one>x</one><other>x</other></permitted-pair></directory>")
    with pytest.raises(RequestError, match="two different SAEs"):
        provision_from_xml(element)
    with pytest.raises(YangsonException):
        judge(element, kms_schema(), ContentType.config)


def test_only_a_kms_is_read_as_one() -> None:
    with pytest.raises(RequestError, match="kms is needed"):
        provision_from_xml(etree.Element(f"{PREFIX}path"))
