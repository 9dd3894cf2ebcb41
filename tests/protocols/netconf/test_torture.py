"""Whatever a peer sends ends in an error or a closed session: never in a hang, a crash, or memory that grows."""

import random
from collections import Counter

import pytest
from lxml import etree

from quiver.domain import limits
from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.filter import Filter
from quiver.protocols.netconf.framing import Framing, frame
from quiver.protocols.netconf.selection import _ContentMatches, _Node
from quiver.protocols.netconf.xml import BASE
from tests.protocols.netconf.ground import HELLO_1_1, NET, Client, Site, config_of, edit_body

GET = f'<rpc xmlns="{BASE}" message-id="ä–1"><get/></rpc>'.encode()


def opened() -> tuple[Site, Client]:
    site = Site()
    return site, site.client()


def memory(site: Site, client: Client) -> int:
    session = site.server._sessions.get(client.number)
    return 0 if session is None else session.reader.held + session.unsent


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_session_in_small_pieces_is_a_session(size):
    site = Site()
    client = site.client(hello="")
    text = "ünïcödé – 量子"
    edit = f'<rpc xmlns="{BASE}" message-id="2">{edit_body(f"<banner>{text}</banner>")}</rpc>'.encode()
    stream = HELLO_1_1.encode() + b"]]>]]>" + frame(GET, Framing.CHUNKED) + frame(edit, Framing.CHUNKED)
    for start in range(0, len(stream), size):
        if client.framing is Framing.END_OF_MESSAGE and client.messages:
            client.greeted(chunked=True)
        client.write(stream[start : start + size])
    assert len(client.messages) == 2
    client.messages.clear()
    assert config_of(client.data("<get-config><source><running/></source></get-config>")) == f"<banner>{text}</banner>"


def test_chunks_that_split_characters_are_joined():
    _, client = opened()
    stream = b"".join(b"\n#1\n" + bytes([octet]) for octet in GET) + b"\n##\n"
    client.write(stream)
    assert client.heard().get("message-id") == "ä–1"


@pytest.mark.parametrize(
    "stream",
    [
        b"\n#4294967295\n<rpc",
        b"\n#4294967296\n<rpc",
        b"\n#%d\n<rpc" % (limits.NETCONF_MESSAGE + 1),
        b"\n#00000000000000000000001\nx",
        b"\n#999999999999999999999999999999",
        b"\n##\n",
        b"]]>]]>",
        b"garbage between messages" + frame(GET, Framing.CHUNKED),
        frame(GET, Framing.CHUNKED) + b"\n" + frame(GET, Framing.CHUNKED),
        frame(b"\xff\xfe" + GET, Framing.CHUNKED),
        frame(b"\xef\xbb\xbf\xef\xbb\xbf" + GET, Framing.CHUNKED),
        frame(b"\x00" * 1000, Framing.CHUNKED),
        frame(b"<rpc>" * 60_000, Framing.CHUNKED),
        frame(b"<a" + b" x" * 500_000 + b">", Framing.CHUNKED),
        frame(b"<a>" + b"<b/>" * 200_000 + b"</a>", Framing.CHUNKED),
        frame(b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 10_000 + b'">]><a>' + b"&a;" * 100_000 + b"</a>", Framing.CHUNKED),
        frame(b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x"><a/>', Framing.CHUNKED),
        frame(b"<a>&#1114112;</a>", Framing.CHUNKED),
        frame(b"<a xmlns:x=''><x:b/></a>", Framing.CHUNKED),
        frame(b"<" + b"a" * 100_000 + b"/>", Framing.CHUNKED),
    ],
)
def test_poison_closes_the_session_and_no_other(stream):
    site, client = opened()
    other = site.client(Role.AUDITOR)
    for start in range(0, len(stream), 4096):
        client.write(stream[start : start + 4096])
        assert memory(site, client) <= limits.NETCONF_MESSAGE + 2 * limits.NETCONF_UNSENT
    assert client.closed
    assert other.data("<get/>") is not None
    assert not site.server.readable(client.number)


def test_an_endless_chunk_stays_within_the_limit():
    site, client = opened()
    client.write(b"\n#%d\n" % limits.NETCONF_MESSAGE)
    part = b" " * 65_536
    for _ in range(limits.NETCONF_MESSAGE // len(part)):
        client.write(part)
        assert memory(site, client) <= limits.NETCONF_MESSAGE + len(part)
    client.write(b"\n#1\nx\n##\n")
    assert client.closed


def test_who_only_reads_may_send_every_filter_and_no_message_that_keeps_a_node_busy():
    site = Site()
    reader = site.client(Role.AUDITOR)
    leaves = "".join(f"<banner-{number:0118}/>" for number in range(limits.NETCONF_FILTER - 1))
    reader.data(f"<get><filter>{leaves}</filter></get>")
    assert not reader.closed
    reader.write(b"\n#%d\n<" % (limits.NETCONF_QUERY + 1))
    assert reader.closed
    writer = site.client(Role.OPERATOR)
    writer.write(b"\n#%d\n<" % (limits.NETCONF_QUERY + 1))
    assert not writer.closed


def test_a_large_edit_of_nothing_known_is_refused_quickly_and_leaves_nothing():
    site, client = opened()
    body = "".join(f"<unknown{i}/>" for i in range(30_000))
    assert client.error(edit_body(body))[0] == "unknown-element"
    assert memory(site, client) == 0


@pytest.mark.parametrize(
    "attributes",
    [
        " ".join(f'a{i}=""' for i in range(60_000)),
        " ".join(f'xmlns:p{i}="u{i}" p{i}:a=""' for i in range(30_000)),
        " ".join(f'xmlns:p{i}="u"' for i in range(60_000)),
    ],
    ids=["attributes", "attributes with prefixes", "prefixes"],
)
def test_an_rpc_of_many_attributes_is_not_even_parsed(monkeypatch, attributes):
    site, client = opened()
    monkeypatch.setattr(etree, "fromstring", lambda *_: pytest.fail("a parser compares each with each"))
    client.say(f'<rpc xmlns="{BASE}" message-id="1" {attributes}><get/></rpc>')
    assert client.closed
    assert memory(site, client) == 0


def test_prefixes_that_add_up_from_level_to_level_are_refused():
    _, client = opened()
    declared = " ".join(f'xmlns:p{i}="u"' for i in range(10))
    client.send(f"<get><filter>{f'<a {declared}>' * 10}<b>p1:x</b>{'</a>' * 10}</filter></get>")
    assert client.closed


def test_of_all_that_a_session_has_sent_one_message_is_worked_on_at_a_time():
    site, client = opened()
    other = site.client(Role.AUDITOR)
    asked = []
    site.server._operations._state = lambda _: asked.append(1) or []
    site.server.feed(client.number, frame(GET, Framing.CHUNKED) * 300, site.moment)
    site.server.feed(other.number, frame(GET, Framing.CHUNKED), site.moment)
    assert not asked
    answered = []
    for turn in range(1, 302):
        assert not site.server.readable(client.number)  # what it sends meanwhile stays in its transport
        (sent,) = site.server.work(site.moment)
        answered.append(sent.session)
        site.server.sent(sent.session, len(sent.data), site.moment)
        assert len(asked) == turn
    assert answered.index(other.number) == 1  # it waits for one message of the other session, not for all
    assert not site.server.busy
    assert site.server.readable(client.number)


def test_writers_that_waited_for_a_change_go_on_one_at_a_time():
    site = Site(slow=True)
    clients = [site.client() for _ in range(3)]
    for client in clients:
        client.send(edit_body("<node><id>n</id></node>"))  # refused: a node needs an address
    clients[0].send(edit_body("<banner>x</banner>"))
    for client in clients[1:]:
        client.send(edit_body("<node><id>n</id></node>"))
    counters = site.server._about.counters
    refused = counters.errors
    site.server.applied(site.changes.pop().number, None, site.moment)
    for turn in range(3):
        assert (counters.errors, site.server.busy) == (refused + turn, turn < 2)
        site.server.work(site.moment)


@pytest.mark.parametrize(
    "entry",
    [
        "<route><hop>y{}</hop></route>",  # matches nothing
        "<route><hop>x</hop><depth/></route>",  # matches everything, and takes a part
        "<route><hop>x</hop><name>r{}</name><depth/></route>",
        "<route><name>r{}</name><level/></route>",
    ],
)
def test_a_filter_costs_the_entries_and_its_own_nodes_and_not_one_times_the_other(monkeypatch, entry):
    entries, parts = 2000, 250
    many = "".join(f"<route><name>r{i}</name><version>1</version><hop>x</hop></route>" for i in range(entries))
    client = Site(running=f"<routes>{many}</routes>").client()
    body = "".join(entry.format(i) for i in range(parts))
    visits = Counter()
    for kind, name in ((Filter, "fits"), (_ContentMatches, "of"), (_Node, "judge")):
        monkeypatch.setattr(kind, name, counting(getattr(kind, name), visits))
    client.data(
        "<get-config><source><running/></source><filter>"
        f'<network xmlns="{NET}"><routes>{body}</routes></network></filter></get-config>'
    )
    assert 0 < visits.total() < 10 * (4 * entries + 3 * parts)  # an entry has four nodes, a part of the filter three


def counting(method, visits):
    def counted(*arguments):
        visits[method.__name__] += 1
        return method(*arguments)

    return counted


@pytest.mark.parametrize("wrap", ["filter", "config"])
def test_deep_nesting_inside_an_rpc_is_refused(wrap):
    _, client = opened()
    deep = "<a>" * 100 + "</a>" * 100
    client.send(f"<get><filter>{deep}</filter></get>" if wrap == "filter" else edit_body(deep))
    assert client.closed


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_never_crashes_the_server(seed):
    print(f"seed {seed}")
    draw = random.Random(seed)
    site, client = opened()
    good = [
        GET,
        f'<rpc xmlns="{BASE}" message-id="2">{edit_body("<banner>x</banner><tag>t</tag>")}</rpc>'.encode(),
        f'<rpc xmlns="{BASE}" message-id="3"><get-config><source><candidate/></source><filter><network xmlns="{NET}">'
        f"<node><id>x</id></node></network></filter></get-config></rpc>".encode(),
        f'<rpc xmlns="{BASE}" message-id="4"><commit><confirmed/></commit></rpc>'.encode(),
    ]
    for _ in range(40):
        message = bytearray(draw.choice(good))
        for _ in range(draw.randrange(4)):
            place = draw.randrange(len(message))
            match draw.randrange(3):
                case 0:
                    message[place] = draw.randrange(256)
                case 1:
                    del message[place : place + draw.randrange(1, 20)]
                case _:
                    message[place:place] = bytes(message[: draw.randrange(30)])
        stream = bytearray(frame(bytes(message), Framing.CHUNKED))
        if draw.random() < 0.1:
            stream[draw.randrange(len(stream))] = draw.randrange(256)
        client.write(bytes(stream))
        assert memory(site, client) <= limits.NETCONF_MESSAGE
        if client.closed:
            client = site.client()
    assert site.client(Role.AUDITOR).data("<get/>") is not None
