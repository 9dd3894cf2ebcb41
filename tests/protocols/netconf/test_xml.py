"""The promises about XML of strangers: nothing in it is followed, nothing of it grows, and errors show none of it."""

import pytest
from lxml import etree

from quiver.domain import limits
from quiver.protocols.netconf.xml import MalformedError, parse, serialise

LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol1 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol2 "&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;">]><rpc>&lol2;</rpc>"""


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b" ",
        b"rpc",
        b"<rpc>",
        b"<rpc></rcp>",
        b"<rpc/><rpc/>",
        b"<rpc a=1/>",
        b"<rpc a='1' a='2'/>",
        b"<x:rpc/>",
        b"<rpc>&unknown;</rpc>",
        b"<rpc>&#0;</rpc>",
        b"<rpc>\x00</rpc>",
        b"<rpc>\xff</rpc>",  # no UTF-8
        b"<rpc>\xc3</rpc>",  # half a character
        '<?xml version="1.0" encoding="UTF-16"?><rpc/>'.encode("utf-16"),
        LAUGHS.encode(),
        b'<!DOCTYPE rpc SYSTEM "file:///etc/passwd"><rpc/>',
        b'<!DOCTYPE rpc [<!ENTITY x SYSTEM "file:///etc/passwd">]><rpc>&x;</rpc>',
        b'<!DOCTYPE rpc [<!ATTLIST rpc a CDATA "b">]><rpc/>',
        b"<a>" * (limits.NETCONF_DEPTH + 1) + b"</a>" * (limits.NETCONF_DEPTH + 1),
        b"<a>" * 100_000,
        b"<rpc>" + b"<a/>" * limits.NETCONF_TAGS + b"</rpc>",
        b"<rpc " + b" ".join(b'a%d=""' % i for i in range(limits.NETCONF_ATTRIBUTES + 1)) + b"/>",
        b"<rpc><x>a = b</x><y "
        + b" ".join(b"a%d='\">'" % i for i in range(limits.NETCONF_ELEMENT_ATTRIBUTES + 1))
        + b"/></rpc>",
        b"<rpc " + b" ".join(b'xmlns:p%d="u"' % i for i in range(limits.NETCONF_ELEMENT_ATTRIBUTES + 1)) + b"/>",
        b'<a xmlns:p="u" xmlns:q="u"><b xmlns:r="u">' * 30 + b"</b></a>" * 30,
    ],
)
def test_what_is_not_plain_xml_is_refused(message):
    with pytest.raises(MalformedError) as caught:
        parse(message)
    assert caught.value.__cause__ is None
    assert "passwd" not in caught.value.message


def test_the_deepest_allowed_message_is_read():
    deepest = b"<a>" * limits.NETCONF_DEPTH + b"</a>" * limits.NETCONF_DEPTH
    assert parse(deepest).tag == "a"


def test_as_many_attributes_and_prefixes_as_are_allowed_are_read():
    values = b" ".join(b'a%d="=\'>"' % i for i in range(limits.NETCONF_ELEMENT_ATTRIBUTES))
    prefixes = b" ".join(b"xmlns:p%d='u'" % i for i in range(limits.NETCONF_PREFIXES))
    read = parse(b"<a><b %s>%s</b><c %s/><c %s/></a>" % (values, b" x='&lt;'" * 1000, prefixes, prefixes))
    assert [len(each.keys()) for each in read] == [limits.NETCONF_ELEMENT_ATTRIBUTES, 0, 0]


@pytest.mark.parametrize("what", ["attributes", "prefixes"])
def test_too_many_attributes_are_seen_before_the_parser_compares_them(monkeypatch, what):
    monkeypatch.setattr(etree, "fromstring", lambda *_: pytest.fail("the parser was asked"))
    many = (b'p%d:a="" ' if what == "attributes" else b'xmlns:p%d="u" ') * 60_000
    with pytest.raises(MalformedError):
        parse(b"<a " + many % tuple(range(60_000)) + b"/>")


def test_a_declaration_of_another_encoding_changes_nothing():
    assert parse("<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>".encode()).text == "é"


def test_comments_and_instructions_leave_nothing_behind():
    read = parse(b"<a>1<!-- c -->2<?p x?>3<b/><!-- d --></a>")
    assert (read.text, [child.tag for child in read]) == ("123", ["b"])


def test_what_we_write_never_holds_an_end_of_message():
    element = etree.Element("a", b="]]>]]>")
    element.text = "]]>]]>"
    assert b"]]>]]>" not in serialise(element)
    assert parse(serialise(element)).text == "]]>]]>"


def test_text_in_cdata_is_text():
    assert parse("<a><![CDATA[<b> & ü]]></a>".encode()).text == "<b> & ü"
