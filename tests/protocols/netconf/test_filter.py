"""The promises of subtree filters (RFC 6241 section 6), with that section's examples told of our own module."""

import pytest
from lxml import etree

from quiver.domain import limits
from quiver.protocols.netconf.filter import read_filter
from tests.protocols.netconf.ground import LAB, NET, Client, Site, config_of

COLOUR = f"<colour xmlns:net='{NET}'>net:red</colour>"
ROUTE_A = f"<route><name>a</name><version>1</version><depth>7</depth>{COLOUR}<hop>x</hop><hop>y</hop></route>"
ROUTE_B = "<route><name>b</name><version>1</version><hop>x</hop></route>"
PORT = "<port><number>1</number><on>{}</on></port>"
NODE_A = f"<node><id>a</id><address>1</address><site><city>Bern</city></site>{PORT.format('true')}</node>"
NODE_B = f"<node><id>b</id><address>2</address><site><city>Wien</city></site>{PORT.format('false')}</node>"
RUNNING = f"<banner>hi</banner><routes>{ROUTE_A}{ROUTE_B}</routes>{NODE_A}{NODE_B}<tag>t</tag><tag>u</tag>"
STATE = (
    f'<network xmlns="{NET}"><routes><route><name>a</name><version>1</version><level>9</level></route></routes>'
    "<state><uptime>5</uptime></state></network>"
)


@pytest.fixture(name="client")
def make_client() -> Client:
    site = Site(running=RUNNING)
    site.state = [STATE]
    return site.client()


def got(client: Client, body: str, operation: str = "get-config") -> str:
    source = "<source><running/></source>" if operation == "get-config" else ""
    return config_of(client.data(f'<{operation}>{source}<filter type="subtree">{body}</filter></{operation}>'))


def net(body: str) -> str:
    return f'<network xmlns="{NET}">{body}</network>'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", ""),  # an empty filter (section 6.4.2)
        (net("").replace("></network>", "/>"), None),  # a whole top-level node (section 6.4.3)
        (net("<banner/>"), "<banner>hi</banner>"),
        (net("<tag/>"), "<tag>t</tag><tag>u</tag>"),
        (net("<tag>u</tag>"), None),  # nothing but a match that holds selects all beside it (section 6.2.5)
        (net("<tag>u</tag><banner/>"), "<banner>hi</banner><tag>u</tag>"),
        (net("<tag>w</tag>"), ""),
        (net("<node><id/></node>"), "<node><id>a</id></node><node><id>b</id></node>"),
        # One entry by its key (section 6.4.5), and some nodes of it (section 6.4.6).
        (net("<node><id>a</id></node>"), NODE_A),
        (net("<node><id>a</id><site/></node>"), "<node><id>a</id><site><city>Bern</city></site></node>"),
        # By another leaf; keys are there in any case.
        (net("<node><address>2</address></node>"), NODE_B),
        (
            net("<node><address>2</address><site><city/></site></node>"),
            "<node><id>b</id><address>2</address><site><city>Wien</city></site></node>",
        ),
        (net("<node><site><city>Wien</city></site></node>"), "<node><id>b</id><site><city>Wien</city></site></node>"),
        (
            net("<node><port><on/></port></node>"),
            "<node><id>a</id><port><number>1</number><on>true</on></port></node><node><id>b</id><port><number>1</number><on>false</on></port></node>",
        ),
        # Several subtrees (section 6.4.7), also of the same node.
        (
            net("<banner/><node><id>b</id><address/></node>"),
            "<banner>hi</banner><node><id>b</id><address>2</address></node>",
        ),
        (
            net("<node><id>a</id><address/></node><node><id>b</id><site/></node>"),
            "<node><id>a</id><address>1</address></node><node><id>b</id><site><city>Wien</city></site></node>",
        ),
        (
            net("<node><id>a</id><address/></node><node><id>a</id><site/></node>"),
            "<node><id>a</id><address>1</address><site><city>Bern</city></site></node>",
        ),
        # All content matches of an entry must hold.
        (net("<node><id>a</id><address>2</address></node>"), ""),
        (net("<node><id>zzz</id></node>"), ""),
        (
            net("<routes><route><name>b</name></route></routes>"),
            "<routes><route><name>b</name><version>1</version><hop>x</hop></route></routes>",
        ),
        (net("<routes><route><name>b</name><version>01</version></route></routes>"), ""),
        (
            net("<routes><route><name>b</name><version>1</version><hop/></route></routes>"),
            "<routes><route><name>b</name><version>1</version><hop>x</hop></route></routes>",
        ),
        (
            net("<routes><route><hop>y</hop><depth/></route></routes>"),
            "<routes><route><name>a</name><version>1</version><depth>7</depth><hop>y</hop></route></routes>",
        ),
        # The same identity under another prefix.
        (
            net(f"<routes><route><colour xmlns:q='{NET}'>q:red</colour><depth/></route></routes>"),
            "<routes><route><name>a</name><version>1</version><depth>7</depth><colour>net:red</colour></route></routes>",
        ),
        (net(f"<routes><route><colour xmlns:q='{LAB}'>q:red</colour><depth/></route></routes>"), ""),
        (
            net("<banner> hi </banner><tag>t</tag><tag>u</tag><term/>"),
            "<banner>hi</banner><tag>t</tag><tag>u</tag>",
        ),  # white space around is no part of it (section 6.2.5)
        (net("<nothing/>"), ""),
        ('<network xmlns="urn:other"/>', ""),
        ('<network xmlns=""><banner/></network>', "<banner>hi</banner>"),  # any namespace (section 6.2.1)
        ("<network><banner/></network>", ""),  # NETCONF's own is not the module's
    ],
)
def test_the_filter_selects(client, body, expected):
    written = got(client, body).replace(f" xmlns:net='{NET}'", "")
    assert written == (RUNNING.replace(f" xmlns:net='{NET}'", "") if expected is None else expected)


def test_get_filters_state_and_configuration_as_one(client):
    assert got(client, net("<routes><route><name>a</name><level/></route></routes>"), "get") == (
        "<routes><route><name>a</name><version>1</version><level>9</level></route></routes>"
    )
    assert got(client, net("<state/>"), "get") == "<state><uptime>5</uptime></state>"
    assert got(client, net("<routes><route><level>9</level><depth/></route></routes>"), "get") == (
        "<routes><route><name>a</name><version>1</version><depth>7</depth><level>9</level></route></routes>"
    )


@pytest.mark.parametrize("operation", ["get", "get-config"])
@pytest.mark.parametrize(
    "body",
    [
        None,
        net("<routes/>"),
        net("<routes><route><name>a</name></route></routes>"),
        net("<routes><route><colour/></route></routes>"),
    ],
)
def test_every_prefix_in_a_value_is_declared_there(client, operation, body):
    # lxml drops such declarations when an element moves to where its namespace has another prefix.
    client.site.state.append(f'<labels xmlns="{LAB}"><x:who xmlns:x="{LAB}" xmlns:y="{LAB}">y:red</x:who></labels>')
    source = "<source><running/></source>" if operation == "get-config" else ""
    chosen = "" if body is None else f"<filter>{body}</filter>"
    data = client.data(f"<{operation}>{source}{chosen}</{operation}>")
    (colour,) = data.iter(f"{{{NET}}}colour")
    prefix, _, name = (colour.text or "").partition(":")
    assert (colour.nsmap[prefix], name) == (NET, "red")
    for who in data.iter(f"{{{LAB}}}who"):
        assert who.nsmap["y"] == LAB


def test_white_space_around_a_key_that_has_it_is_part_of_it():
    bare, spaced = ("<node><id>a</id><address>1</address></node>", "<node><id> a</id><address>2</address></node>")
    client = Site(running=bare + spaced).client()
    assert got(client, net("<node><id>a</id></node>")) == bare
    assert spaced in got(client, net("<node><id> a</id></node>"))
    assert spaced in got(client, net("<node><id> a</id></node>"), "get")
    assert got(client, net("<node><id>\n  a\n</id></node>")) == bare  # but the layout of a filter is not


def test_a_filter_holds_one_prefix_for_a_value_that_has_one_and_none_for_others():
    declared = " ".join(f'xmlns:p{i}="u{i}"' for i in range(50))
    (top,) = read_filter(etree.fromstring(f"<filter><a {declared}><b>p7:x</b><c>p7</c><d>127.0.0.1:1</d></a></filter>"))
    assert [part.prefixes for part in top.parts] == [(("p7", "u7"),), (), ()]


def test_attributes_in_a_filter_are_refused(client):
    assert (
        client.error(f"<get><filter>{net('<node x=&quot;1&quot;/>'.replace('&quot;', chr(34)))}</filter></get>")[0]
        == "unknown-attribute"
    )


def test_a_filter_of_too_many_nodes_is_refused(client):
    body = net("<tag/>" * (limits.NETCONF_FILTER + 1))
    assert client.error(f"<get><filter>{body}</filter></get>")[0] == "too-big"


def test_the_owner_is_asked_only_for_the_state_that_the_filter_names(client):
    asked: list[tuple[bool, bool]] = []
    client.site.server._operations._state = lambda wanted: (
        asked.append([wanted(*(f"{{{NET}}}{name}" for name in path)) for path in paths] + [wanted(f"{{{LAB}}}labels")])
        or []
    )
    paths = (("network",), ("network", "state"), ("network", "state", "uptime"), ("network", "routes"))
    got(client, net("<state/>"), "get")
    got(client, net("<tag>t</tag>"), "get")  # may select all that is beside it
    got(client, net("<tag>t</tag><state><load/></state>"), "get")
    client.data("<get/>")
    assert asked == [
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, False, False, False],
        [True, True, True, True, True],
    ]


def test_one_entry_of_many_is_found_by_its_key():
    many = "".join(f"<route><name>r{i}</name><version>1</version><hop>x</hop></route>" for i in range(3000))
    client = Site(running=f"<routes>{many}</routes>").client()
    body = net("<routes><route><name>r2999</name><version>1</version></route></routes>")
    assert got(client, body) == "<routes><route><name>r2999</name><version>1</version><hop>x</hop></route></routes>"
