"""The promises of a session (RFC 6241 sections 4 and 8.1): hello, replies in order, every attribute copied, bounds."""

import pytest
from lxml import etree

from quiver.domain import limits
from quiver.domain.errors import StorageError
from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.framing import Framing, frame
from quiver.protocols.netconf.session import MOVES, SessionState
from quiver.protocols.netconf.xml import BASE, base
from tests.protocols.netconf.ground import HELLO_1_1, NET, Site, app_tag_of, config_of, edit_body, error_of

HELLO_1_0 = HELLO_1_1.replace("base:1.1", "base:1.0")
CAPABILITY = "urn:ietf:params:netconf:capability:"


def capabilities(message: bytes) -> list[str]:
    return [each.text or "" for each in etree.fromstring(message).iter(base("capability"))]


def test_the_hello_announces_what_is_there_and_gives_a_session_id():
    site = Site()
    client = site.client()
    assert etree.fromstring(client.hello).findtext(base("session-id")) == str(client.number)
    announced = capabilities(client.hello)
    for name in (
        "writable-running:1.0",
        "candidate:1.0",
        "confirmed-commit:1.1",
        "rollback-on-error:1.0",
        "validate:1.1",
        "notification:1.0",
        "interleave:1.0",
    ):
        assert CAPABILITY + name in announced
    assert any(each.startswith(CAPABILITY + "yang-library:1.1?revision=2019-01-04&content-id=") for each in announced)
    assert "urn:quiver:test:labels?module=example-labels&revision=2026-11-02" in announced
    assert not any("example-network" in each for each in announced)  # a module of YANG 1.1 (RFC 7950 section 5.6.4)
    assert not any("ietf-yang-types" in each for each in announced)  # only imported


def test_both_versions_of_framing_are_spoken_as_the_client_announces():
    for hello, framing in ((HELLO_1_0, Framing.END_OF_MESSAGE), (HELLO_1_1, Framing.CHUNKED)):
        client = Site().client(hello=hello)
        client.framing = framing
        assert client.data("<get-config><source><running/></source></get-config>").tag == base("data")


def test_rpcs_may_follow_the_hello_in_one_piece():
    site = Site()
    client = site.client(hello="")
    rpc = f'<rpc message-id="1" xmlns="{BASE}"><get-config><source><running/></source></get-config></rpc>'.encode()
    client.write(HELLO_1_1.encode() + b"]]>]]>" + frame(rpc, Framing.CHUNKED) + frame(rpc, Framing.CHUNKED))
    client.greeted(chunked=True)
    client.reader.feed(b"")
    assert site.closed == {}


@pytest.mark.parametrize(
    "hello",
    [
        "<hello/>",
        HELLO_1_1.replace("base:1.1", "base:2.0"),
        HELLO_1_1.replace("</hello>", "<session-id>4</session-id></hello>"),  # RFC 6241 section 8.1
        f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>',
        "no xml",
        "<!DOCTYPE hello>" + HELLO_1_1,
    ],
)
def test_a_wrong_hello_ends_the_session(hello):
    site = Site()
    client = site.client(hello="")
    client.write(hello.encode() + b"]]>]]>")
    assert client.closed
    assert not site.server.readable(client.number)


def test_a_client_that_says_nothing_is_closed_in_time():
    site = Site()
    client = site.client(hello="")
    assert site.server.deadline == limits.NETCONF_HELLO_TIME
    site.tick(limits.NETCONF_HELLO_TIME - 1)
    assert not client.closed
    site.tick(1)
    assert client.closed
    assert site.server.deadline is None


def test_an_endless_hello_is_closed_at_its_limit():
    site = Site()
    client = site.client(hello="")
    client.write(b"<hello>")
    for _ in range(limits.NETCONF_HELLO // 1024 + 2):
        if client.closed is None:
            client.write(b" " * 1024)
    assert client.closed


def test_all_attributes_of_an_rpc_come_back():
    client = Site().client()
    client.say(
        f'<nc:rpc xmlns:nc="{BASE}" xmlns:e="urn:e" message-id="a &amp; b" e:user="me" plain="1"><nc:get/></nc:rpc>'
    )
    reply = client.heard()
    assert dict(reply.attrib) == {"message-id": "a & b", "{urn:e}user": "me", "plain": "1"}


@pytest.mark.parametrize(
    ("rpc", "tag"),
    [
        (f'<rpc xmlns="{BASE}"><get/></rpc>', "missing-attribute"),
        (f'<rpc xmlns="{BASE}" message-id="1"/>', "missing-element"),
        (f'<rpc xmlns="{BASE}" message-id="1"><get/><get/></rpc>', "unknown-element"),
        (f'<rpc xmlns="{BASE}" message-id="1"><frobnicate/></rpc>', "operation-not-supported"),
        (f'<rpc xmlns="{BASE}" message-id="1"><get xmlns="urn:other"/></rpc>', "operation-not-supported"),
        (f'<rpc xmlns="{BASE}" message-id="1"><get><with-defaults/></get></rpc>', "unknown-element"),
        (f'<rpc xmlns="{BASE}" message-id="1"><get-config/></rpc>', "missing-element"),
        (f'<rpc xmlns="{BASE}" message-id="1"><get><filter type="xpath" select="/"/></get></rpc>', "bad-attribute"),
        (f'<rpc xmlns="{BASE}" message-id="1"><close-session><x/></close-session></rpc>', "unknown-element"),
        (f'<rpc xmlns="{BASE}" message-id="1"><kill-session/></rpc>', "missing-element"),
        (
            f'<rpc xmlns="{BASE}" message-id="1"><kill-session><session-id>0</session-id></kill-session></rpc>',
            "invalid-value",
        ),
        (
            f'<rpc xmlns="{BASE}" message-id="1"><kill-session><session-id>99</session-id></kill-session></rpc>',
            "invalid-value",
        ),
        (
            f'<rpc xmlns="{BASE}" message-id="1"><kill-session><session-id>1</session-id></kill-session></rpc>',
            "invalid-value",
        ),
    ],
)
def test_a_wrong_rpc_gets_its_error_and_the_session_goes_on(rpc, tag):
    client = Site().client()
    client.say(rpc)
    assert error_of(client.heard())[0] == tag
    client.data("<get/>")


def test_a_missing_message_id_is_named():
    client = Site().client()
    client.say(f'<rpc xmlns="{BASE}"><get/></rpc>')
    error = client.heard()[0]
    assert error.findtext(base("error-type")) == "rpc"
    assert error.findtext(f"{base('error-info')}/{base('bad-attribute')}") == "message-id"
    assert error.findtext(f"{base('error-info')}/{base('bad-element')}") == "rpc"


@pytest.mark.parametrize(
    "message", ["<rpc", "hello", "<other/>", HELLO_1_1, '<!DOCTYPE rpc><rpc message-id="1"/>', "<a>\x01</a>"]
)
def test_a_malformed_message_is_said_so_and_ends_the_session(message):
    client = Site().client()
    client.say(message)
    assert error_of(client.heard())[0] == "malformed-message"
    assert client.closed


def test_a_client_of_version_1_0_is_not_told_a_tag_that_it_does_not_know():
    client = Site().client(hello=HELLO_1_0)
    client.say("<rpc")
    assert client.messages == []
    assert client.closed


def test_pipelined_rpcs_are_answered_in_order():
    site = Site()
    client = site.client()
    for index in range(20):
        client.send(edit_body(f"<banner>{index}</banner>") if index % 2 else "<get/>")
    assert [etree.fromstring(message).get("message-id") for message in client.messages] == [
        str(1 + i) for i in range(20)
    ]


def test_close_session_is_answered_first_and_nothing_after_it_is_heard():
    site = Site()
    client = site.client()
    rpc = f'<rpc message-id="{{}}" xmlns="{BASE}"><close-session/></rpc>'
    client.write(frame(rpc.format(1).encode(), Framing.CHUNKED) + frame(rpc.format(2).encode(), Framing.CHUNKED))
    assert len(client.messages) == 1
    assert b"<ok/>" in client.messages[0]
    assert client.closed == "close-session"
    client.write(b"\n#1\nx")


def test_kill_session_ends_another_one_and_its_locks():
    site = Site()
    operator, victim = site.client(), site.client(Role.CONTROLLER)
    victim.ok("<lock><target><running/></target></lock>")
    operator.ok(f"<kill-session><session-id>{victim.number}</session-id></kill-session>")
    assert victim.closed == f"killed by session {operator.number}"
    operator.ok("<lock><target><running/></target></lock>")


def test_a_peer_that_does_not_read_gets_no_more_work_done():
    site = Site(running="<routes>" + "".join(route(i) for i in range(1000)) + "</routes>")
    client = site.client()
    site.deaf.add(client.number)
    for _ in range(20):
        client.send("<get/>")
    unsent = sum(len(frame(message, Framing.CHUNKED)) for message in client.messages)
    assert 0 < len(client.messages) < 6
    assert not site.server.readable(client.number)
    site.deaf.clear()
    site.do(site.server.sent(client.number, unsent + 0, site.moment))
    assert len(client.messages) == 20
    assert site.server.readable(client.number)


def route(index: int) -> str:
    return f"<route><name>r{index}</name><version>1</version><depth>4096</depth><hop>a</hop><hop>b</hop></route>"


def test_what_is_sent_into_a_waiting_session_is_bounded():
    site = Site(slow=True)
    client = site.client()
    client.send(edit_body("<banner>x</banner>"))
    assert not site.server.readable(client.number)
    for _ in range(limits.NETCONF_UNREAD // 65_536 + 1):
        if client.closed is None:
            client.write(b" " * 65_536)
    assert client.closed
    site.settle()  # the change was made; there is nobody to tell


def test_sessions_are_bounded():
    site = Site()
    for _ in range(limits.NETCONF_SESSIONS):
        site.client(hello="")
    site.client(hello="")
    assert len(site.closed) == 1


def test_the_table_of_moves_leads_everywhere_and_out_of_nowhere_else():
    assert {state for state, _ in MOVES} == set(SessionState) - {SessionState.CLOSED}
    assert set(MOVES.values()) == set(SessionState) - {SessionState.HELLO}


# --- Who may do what ---


def test_everyone_reads_and_an_auditor_writes_nothing():
    client = Site(running="<banner>x</banner>").client(Role.AUDITOR)
    assert config_of(client.data("<get/>")) == "<banner>x</banner>"
    for body in (
        edit_body("<banner>y</banner>"),
        edit_body("<banner>y</banner>", "candidate"),
        "<lock><target><running/></target></lock>",
        "<commit/>",
        "<discard-changes/>",
        "<copy-config><target><candidate/></target><source><running/></source></copy-config>",
        "<kill-session><session-id>7</session-id></kill-session>",
    ):
        assert client.error(body)[0] == "access-denied"


@pytest.mark.parametrize(
    ("role", "body", "path"),
    [
        (Role.OPERATOR, "<term>5</term>", "/net:network/net:term"),
        (Role.CONTROLLER, "<rule><name>r</name></rule>", "/net:network/net:rule[net:name='r']"),
        (
            Role.CONTROLLER,
            "<rule nc:operation='delete'><name>old</name></rule>",
            "/net:network/net:rule[net:name='old']",
        ),
        (
            Role.CONTROLLER,
            "<node><id>n</id><address>a</address><label xmlns='urn:quiver:test:labels'>l</label></node>",
            "/net:network/net:node[net:id='n']/lab:label",
        ),
        (
            Role.CONTROLLER,
            "<node nc:operation='delete'><id>held</id></node>",
            "/net:network/net:node[net:id='held']/lab:label",
        ),
        (Role.CONTROLLER, "<rule y:insert='first'><name>old</name></rule>", "/net:network/net:rule"),
    ],
)
def test_a_role_changes_only_its_part_down_to_the_last_leaf(role, body, path):
    held = "<node><id>held</id><address>h</address><label xmlns='urn:quiver:test:labels'>l</label></node>"
    site = Site(running="<rule><name>x</name></rule><rule><name>old</name></rule>" + held)
    assert site.client(role).error(edit_body(body)) == ("access-denied", path)
    assert site.applied == []


def test_a_role_may_name_what_it_does_not_change():
    site = Site(running="<rule><name>old</name></rule><term>1</term>")
    site.client(Role.OPERATOR).ok(edit_body("<term>1</term><banner>x</banner>"))
    site.client(Role.CONTROLLER).ok(edit_body("<rule><name>old</name></rule><term>2</term>"))


def test_the_candidate_is_the_operators():
    client = Site().client(Role.CONTROLLER)
    for body in (
        edit_body("<banner>x</banner>", "candidate"),
        "<lock><target><candidate/></target></lock>",
        "<commit/>",
        "<discard-changes/>",
    ):
        assert client.error(body)[0] == "access-denied"
    operator = Site().client(Role.OPERATOR)
    assert operator.error(edit_body("<term>1</term>", "candidate"))[0] == "access-denied"


# --- Monitoring ---


def test_what_the_server_shows_of_itself():
    site = Site()
    first, second = site.client(), site.client(Role.CONTROLLER)
    first.ok("<lock><target><running/></target></lock>")
    first.error("<frobnicate/>")
    wanted = '<filter><netconf-state xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"/></filter>'
    state = second.data(f"<get>{wanted}</get>")[0]
    m = "{urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring}"
    sessions = {each.findtext(f"{m}session-id"): each for each in state.iter(f"{m}session")}
    assert sessions[str(first.number)].findtext(f"{m}in-rpcs") == "2"
    assert sessions[str(first.number)].findtext(f"{m}out-rpc-errors") == "1"
    assert sessions[str(second.number)].findtext(f"{m}username") == "controller-1"
    assert [each.text for each in state.iter(f"{m}locked-by-session")] == [str(first.number)]
    assert "example-network" in [each.findtext(f"{m}identifier") for each in state.iter(f"{m}schema")]


def test_get_schema_gives_the_text_of_each_module():
    client = Site().client(Role.AUDITOR)
    names = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"'
    reply = client.rpc(f"<get-schema {names}><identifier>example-network</identifier></get-schema>")
    assert "module example-network {" in (reply[0].text or "")
    version = "<version>2013-07-15</version><format>yang</format>"
    reply = client.rpc(f"<get-schema {names}><identifier>ietf-inet-types</identifier>{version}</get-schema>")
    assert "module ietf-inet-types {" in (reply[0].text or "")
    for body, tag in (
        ("<identifier>nothing</identifier>", "invalid-value"),
        ("<identifier>example-network</identifier><version>1999-01-01</version>", "invalid-value"),
        ("<identifier>example-network</identifier><format>yin</format>", "invalid-value"),
        ("", "missing-element"),
        ("<identifier>example-network</identifier><identifier>example-labels</identifier>", "bad-element"),
        ("<identifier>example-network</identifier><revision>2026-11-01</revision>", "unknown-element"),
    ):
        assert client.error(f"<get-schema {names}>{body}</get-schema>")[0] == tag


def test_get_config_shows_no_state_and_get_shows_both_as_one_tree():
    state = (
        f'<network xmlns="{NET}"><routes><route><name>a</name><version>1</version><level>77</level></route></routes>'
        "<state><uptime>5</uptime><sample><value>1</value></sample><sample><value>1</value></sample></state></network>"
    )
    site = Site(
        running="<banner>x</banner><routes><route><name>a</name><version>1</version><hop>h</hop></route></routes>"
    )
    site.state = [state]
    client = site.client()
    assert "level" not in config_of(client.data("<get-config><source><running/></source></get-config>"))
    assert config_of(client.data("<get/>")) == (
        "<banner>x</banner><routes><route><name>a</name><version>1</version><hop>h</hop><level>77</level></route></routes>"
        "<state><uptime>5</uptime><sample><value>1</value></sample><sample><value>1</value></sample></state>"
    )


def test_app_tags_reach_the_client():
    reply = Site().client().rpc(edit_body("<first-node>n</first-node>"))
    assert app_tag_of(reply) == "instance-required"


def test_a_node_that_cannot_tell_its_state_says_so_and_the_session_goes_on():
    site = Site()
    client = site.client()

    def state(_: object) -> list[str]:
        raise StorageError("the key database does not answer")

    site.server._operations._state = state
    reply = client.rpc("<get/>")
    assert error_of(reply)[0] == "operation-failed"
    assert "the key database does not answer" in "".join(reply.itertext())
    client.data("<get-config><source><running/></source></get-config>")


def test_when_the_node_stops_every_session_hears_of_it():
    site = Site()
    clients = [site.client(), site.client(hello="")]
    site.do(site.server.close_all("the agent stops", site.moment))
    assert [client.closed for client in clients] == ["the agent stops"] * 2
