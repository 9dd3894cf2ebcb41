"""The promises of the client's side: it speaks to our server and to others, and believes nothing that breaks the protocol."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from quiver.domain import limits
from quiver.domain.errors import LimitError, NetconfError
from quiver.protocols.netconf import requests
from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.client import ClientSession, Greeted, Notified, Replied
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.framing import Framing, frame
from quiver.protocols.netconf.xml import BASE, NOTIFICATION, Element
from tests.protocols.netconf.ground import NET, Site

HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:{{}}</capability></capabilities>'
    "<session-id>{}</session-id></hello>]]>]]>"
)


class Wire:
    """A client session at the other end of our server."""

    def __init__(self, site: Site, role: Role = Role.OPERATOR):
        self.site, self.session, self.events = site, ClientSession(), []
        self.number, actions = site.server.open("u", role, "netconf-tls", "::1", site.moment)
        site.clients[self.number] = self  # the site hands it what is sent
        site.do(actions)
        self.write(self.session.hello())

    def arrived(self, data: bytes) -> None:
        self.events += self.session.feed(data)

    def write(self, data: bytes) -> None:
        self.site.do(self.site.server.feed(self.number, data, self.site.moment))

    def call(self, operation: Element) -> Replied:
        message_id, data = self.session.call(operation)
        self.write(data)
        reply = self.events.pop()
        assert reply.message_id == message_id
        return reply


def greeted(version: str = "1.1") -> ClientSession:
    session = ClientSession()
    (event,) = session.feed(HELLO.format(version, 4).encode())
    assert isinstance(event, Greeted)
    assert event.hello.session == 4
    return session


def net(xml: str) -> Element:
    return etree.fromstring(f'<network xmlns="{NET}">{xml}</network>')


def test_our_client_and_our_server_understand_each_other():
    site = Site()
    wire = Wire(site)
    assert isinstance(wire.events.pop(), Greeted)
    assert wire.call(requests.edit_config("running", [net("<banner>x</banner>")])).error is None
    (data,) = wire.call(requests.get_config("running", [net("<banner/>")])).content
    assert [leaf.text for leaf in data.iter(f"{{{NET}}}banner")] == ["x"]
    assert wire.call(requests.create_subscription()).error is None
    site.publish(f'<link-down xmlns="{NET}"><link>a</link></link-down>')
    event = wire.events.pop()
    assert isinstance(event, Notified)
    assert (event.time, event.event.findtext(f"{{{NET}}}link")) == (datetime(2026, 11, 1, 12, tzinfo=UTC), "a")


def test_a_refusal_arrives_as_the_same_error():
    site = Site()
    reply = Wire(site).call(requests.edit_config("running", [net("<node><id>n</id></node>")]))
    assert reply.content == ()
    assert reply.error is not None
    assert (reply.error.tag, reply.error.path_text) == (
        Tag.DATA_MISSING,
        "/net:network/net:node[net:id='n']/net:address",
    )


def test_a_prefix_in_a_value_goes_with_it():
    site = Site()
    colour = f'<name>a</name><version>1</version><hop>x</hop><colour xmlns:q="{NET}">q:red</colour>'
    edit = requests.edit_config("running", [net(f"<routes><route>{colour}</route></routes>")])
    assert Wire(site).call(edit).error is None


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_framing_follows_the_servers_hello(version):
    framing = Framing.CHUNKED if version == "1.1" else Framing.END_OF_MESSAGE
    session = greeted(version)
    message_id, data = session.call(requests.get())
    assert data.endswith(b"\n##\n" if version == "1.1" else b"]]>]]>")
    reply = f'<rpc-reply xmlns="{BASE}" message-id="{message_id}"><data/></rpc-reply>'.encode()
    (event,) = session.feed(frame(reply, framing))
    assert isinstance(event, Replied)
    assert event.error is None
    assert session.waiting == 0


def test_what_comes_with_the_hello_is_read():
    notification = (
        f'<notification xmlns="{NOTIFICATION}"><eventTime>2026-11-01T00:00:00Z</eventTime><e/></notification>'
    )
    session = ClientSession()
    events = session.feed(HELLO.format("1.1", 9).encode() + frame(notification.encode(), Framing.CHUNKED))
    assert [type(event) for event in events] == [Greeted, Notified]


def test_replies_are_matched_by_their_message_id():
    session = greeted()
    ids = [session.call(requests.get())[0] for _ in range(3)]
    assert len(set(ids)) == 3
    replies = [f'<rpc-reply xmlns="{BASE}" message-id="{each}"><ok/></rpc-reply>'.encode() for each in ids]
    events = session.feed(b"".join(frame(reply, Framing.CHUNKED) for reply in replies))
    assert [event.message_id for event in events if isinstance(event, Replied)] == ids


def test_a_warning_is_no_refusal_and_the_first_error_counts():
    session = greeted()
    for severity, refused in (("warning", False), ("error", True)):
        message_id, _ = session.call(requests.get())
        error = "<rpc-error><error-type>rpc</error-type><error-tag>in-use</error-tag>"
        error += f"<error-severity>{severity}</error-severity></rpc-error>"
        (event,) = session.feed(
            frame(
                f'<rpc-reply xmlns="{BASE}" message-id="{message_id}">{error}<ok/></rpc-reply>'.encode(),
                Framing.CHUNKED,
            )
        )
        assert isinstance(event, Replied)
        assert isinstance(event.error, RpcError) is refused


@pytest.mark.parametrize(
    "hello",
    [
        HELLO.format("2.0", 4),
        HELLO.format("1.1", 0),
        HELLO.format("1.1", "x"),
        HELLO.format("1.1", 1 << 32),
        HELLO.format("1.1", "1" * 11),
        HELLO.format("1.1", "1" * 5000),  # more digits than Python reads
        HELLO.format("1.1", 4).replace("<session-id>4</session-id>", ""),
        "<html/>]]>]]>",
        "HTTP/1.1 400 Bad Request]]>]]>",
        " " * (limits.NETCONF_HELLO + 10),
    ],
)
def test_a_wrong_hello_is_not_believed(hello):
    with pytest.raises(NetconfError):
        ClientSession().feed(hello.encode())


@pytest.mark.parametrize(
    "message",
    [
        f'<rpc-reply xmlns="{BASE}" message-id="77"><ok/></rpc-reply>',
        f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>',
        f'<notification xmlns="{NOTIFICATION}"><e/></notification>',
        f'<notification xmlns="{NOTIFICATION}"><eventTime>now</eventTime><e/></notification>',
        f'<notification xmlns="{NOTIFICATION}"><eventTime>2026-11-01T00:00:00Z</eventTime></notification>',
        "<rpc-reply",
        '<!DOCTYPE x [<!ENTITY a "b">]><x/>',
    ],
)
def test_what_breaks_the_protocol_ends_the_session(message):
    session = greeted()
    session.call(requests.get())
    with pytest.raises(NetconfError):
        session.feed(frame(message.encode(), Framing.CHUNKED))
    with pytest.raises(NetconfError):
        session.call(requests.get())
    with pytest.raises(NetconfError):
        session.feed(b"\n")


def test_rpcs_without_a_reply_are_bounded():
    session = greeted()
    for _ in range(limits.NETCONF_CALLS):
        session.call(requests.get())
    with pytest.raises(LimitError):
        session.call(requests.get())


def test_nothing_is_asked_before_the_hello():
    with pytest.raises(NetconfError):
        ClientSession().call(requests.get())
