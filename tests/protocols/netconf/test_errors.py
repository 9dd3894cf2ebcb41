"""The promises of rpc-error (RFC 6241 section 4.3, appendix A), read by ncclient as an independent judge."""

import pytest
from lxml import etree
from ncclient.operations.rpc import RPCReply

from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag, from_element, to_element
from quiver.protocols.netconf.paths import Step
from quiver.protocols.netconf.rpc import reply_error
from quiver.protocols.netconf.xml import BASE
from tests.protocols.netconf.ground import LAB, NET, schema

PATH = (Step(f"{{{NET}}}network"), Step(f"{{{NET}}}node", ((f"{{{NET}}}id", "it's"),)), Step(f"{{{LAB}}}label"))
PATH_TEXT = '/net:network/net:node[net:id="it\'s"]/lab:label'


@pytest.mark.parametrize("tag", Tag)
@pytest.mark.parametrize("kind", ErrorType)
def test_every_error_is_read_back_as_it_was(tag, kind):
    info = (("bad-element", "a"), ("session-id", "0"))
    error = RpcError(tag, "what is <wrong> & why", type=kind, path=PATH, app_tag="mine", info=info)
    read = from_element(to_element(error, schema().prefixes))
    assert (read.tag, read.type, read.app_tag, read.info, read.message) == (tag, kind, "mine", info, error.message)
    assert read.path_text == PATH_TEXT


@pytest.mark.parametrize("tag", Tag)
def test_ncclient_reads_the_same(tag):
    error = RpcError(tag, "wrong", type=ErrorType.PROTOCOL, path=PATH, app_tag="mine", info=(("bad-element", "a"),))
    rpc = etree.fromstring(f'<rpc xmlns="{BASE}" message-id="4"><get/></rpc>')
    reply = RPCReply(reply_error(rpc, error, schema().prefixes).decode().partition("?>")[2])
    reply.parse()
    assert not reply.ok
    read = reply.error
    assert (read.tag, read.type, read.severity, read.app_tag) == (tag.value, "protocol", "error", "mine")
    assert (read.message, read.path) == ("wrong", PATH_TEXT)
    assert "<bad-element>a</bad-element>" in read.info


def test_the_prefixes_of_a_path_are_declared_beside_it():
    place = to_element(RpcError(Tag.DATA_MISSING, "x", path=PATH), schema().prefixes).find(f"{{{BASE}}}error-path")
    assert place is not None
    assert (place.nsmap["net"], place.nsmap["lab"]) == (NET, LAB)


def test_two_modules_with_one_prefix_stay_apart():
    path = (Step("{urn:a}x"), Step("{urn:b}y"), Step("{urn:c}z"))
    place = to_element(RpcError(Tag.DATA_MISSING, "x", path=path), {"urn:a": "p", "urn:b": "p"}).find(
        f"{{{BASE}}}error-path"
    )
    assert place is not None
    prefixes = [part.partition(":")[0] for part in (place.text or "").split("/")[1:]]
    assert [place.nsmap[prefix] for prefix in prefixes] == ["urn:a", "urn:b", "urn:c"]


@pytest.mark.parametrize(
    "xml", ["<rpc-error/>", "<rpc-error><error-tag>strange</error-tag><error-type>odd</error-type></rpc-error>"]
)
def test_an_error_that_keeps_to_nothing_is_still_an_error(xml):
    read = from_element(etree.fromstring(xml.replace("<rpc-error", f'<rpc-error xmlns="{BASE}"', 1)))
    assert read.tag is Tag.OPERATION_FAILED
    assert read.message


def test_a_servers_endless_message_is_cut():
    text = "x" * 100_000
    read = from_element(
        etree.fromstring(f'<rpc-error xmlns="{BASE}"><error-message>{text}</error-message></rpc-error>')
    )
    assert len(read.message) <= 500
