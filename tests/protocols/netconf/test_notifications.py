"""The promises of event notifications (RFC 5277): in order, replayed from a bounded log, and a slow subscriber stops nobody."""

from datetime import timedelta

import pytest
from lxml import etree

from quiver.domain import limits
from quiver.domain.errors import NetconfError
from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.notifications import EventLog, utc_text
from quiver.protocols.netconf.xml import BASE, NETMOD, NOTIFICATION, base
from tests.protocols.netconf.ground import NET, START, Client, Site

SUBSCRIBE = f'<create-subscription xmlns="{NOTIFICATION}">{{}}</create-subscription>'


def event(link: str) -> str:
    return f'<link-down xmlns="{NET}"><link>{link}</link><reason>cut</reason></link-down>'


def at(seconds: float) -> str:
    return utc_text(START + timedelta(seconds=seconds))


def heard(client: Client) -> list[str]:
    """Links of the events that came, or the local name of what is no event of ours."""
    names = []
    for message in client.messages:
        root = etree.fromstring(message)
        assert root.tag == f"{{{NOTIFICATION}}}notification"
        assert root[0].tag == f"{{{NOTIFICATION}}}eventTime"
        names.append(root[1].findtext(f"{{{NET}}}link") or root[1].tag.removeprefix(f"{{{NETMOD}}}"))
    client.messages.clear()
    return names


def test_subscribers_hear_what_happens_from_then_on():
    site = Site()
    site.publish(event("before"))
    first, second, deaf = site.client(Role.AUDITOR), site.client(Role.CONTROLLER), site.client()
    first.ok(SUBSCRIBE.format(""))
    second.ok(SUBSCRIBE.format("<stream>NETCONF</stream>"))
    for name in "abc":
        site.publish(event(name))
    assert heard(first) == heard(second) == ["a", "b", "c"]
    assert deaf.messages == []


def test_an_event_carries_its_time_and_its_own_element():
    site = Site(now=1.5)
    client = site.client()
    client.ok(SUBSCRIBE.format(""))
    site.publish(event("a"))
    root = client.heard()
    assert root[0].text == "2026-11-01T12:00:01.500000Z"
    assert etree.tostring(root[1], encoding="unicode") == event("a")


def test_other_rpcs_are_answered_between_events():
    site = Site()
    client = site.client()
    client.ok(SUBSCRIBE.format(""))
    site.publish(event("a"))
    client.ok("<lock><target><running/></target></lock>")  # :interleave
    assert heard(client) == ["a"]


@pytest.mark.parametrize("namespace", [NOTIFICATION, base("")[1:-1]])
def test_a_filter_chooses_whole_events(namespace):
    site = Site()
    client = site.client()
    wanted = f'<filter xmlns="{namespace}" type="subtree"><link-down xmlns="{NET}"><link>b</link><reason/></link-down></filter>'
    client.ok(SUBSCRIBE.format(wanted))
    for name in "abc":
        site.publish(event(name))
    site.publish(f'<other xmlns="{NET}"><link>b</link></other>')
    assert heard(client) == ["b"]


def logged(count: int = 10, events: int = 16) -> Site:
    """One event in each second from the start."""
    site = Site(events=events)
    for index in range(count):
        site.publish(event(str(index)))
        site.now += 1
    return site


def test_replay_starts_where_it_is_asked_to_and_says_where_it_ends():
    site = logged()
    client = site.client()
    client.ok(SUBSCRIBE.format(f"<startTime>{at(7)}</startTime>"))
    assert heard(client) == ["7", "8", "9", "replayComplete"]
    site.publish(event("live"))
    assert heard(client) == ["live"]


def test_a_replay_that_stops_in_the_past_ends_the_subscription():
    site = logged()
    client = site.client()
    client.ok(SUBSCRIBE.format(f"<startTime>{at(3)}</startTime><stopTime>{at(5)}</stopTime>"))
    assert heard(client) == ["3", "4", "5", "replayComplete", "notificationComplete"]
    site.publish(event("live"))
    assert heard(client) == []
    client.ok(SUBSCRIBE.format(""))  # it may ask again


def test_a_stop_in_the_future_is_kept_in_time():
    site = logged()
    client = site.client()
    client.ok(SUBSCRIBE.format(f"<startTime>{at(9)}</startTime><stopTime>{at(12)}</stopTime>"))
    assert heard(client) == ["9", "replayComplete"]
    assert site.server.deadline == 12
    site.tick(1)
    site.publish(event("live"))
    site.tick(1)
    assert heard(client) == ["live", "notificationComplete"]
    assert site.server.deadline is None


def test_the_log_is_bounded_and_says_what_it_lost():
    site = logged(count=30, events=8)
    client = site.client()
    client.ok(SUBSCRIBE.format(f"<startTime>{at(0)}</startTime>"))
    assert heard(client) == [*map(str, range(22, 30)), "replayComplete"]
    stream = next(client.data(f'<get><filter><netconf xmlns="{NETMOD}"/></filter></get>').iter(f"{{{NETMOD}}}stream"))
    assert {part.tag.removeprefix(f"{{{NETMOD}}}"): part.text for part in stream} == {
        "name": "NETCONF",
        "description": "All events of this node",
        "replaySupport": "true",
        "replayLogCreationTime": at(0),
        "replayLogAgedTime": at(21),
    }


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ("<stream>other</stream>", "invalid-value"),
        ("<startTime>yesterday</startTime>", "bad-element"),
        ("<startTime>2026-11-01T12:00:00</startTime>", "bad-element"),  # no zone
        (f"<startTime>{at(11)}</startTime>", "bad-element"),  # RFC 5277 section 2.1.1: not in the future
        (f"<stopTime>{at(11)}</stopTime>", "missing-element"),
        (f"<startTime>{at(5)}</startTime><stopTime>{at(4)}</stopTime>", "bad-element"),
        ("<other/>", "unknown-element"),
        ("<stream>NETCONF</stream><stream>NETCONF</stream>", "bad-element"),
        (f"<filter/><x:filter xmlns:x='{BASE}'/>", "bad-element"),
        ('<filter type="xpath" select="/"/>', "bad-attribute"),
    ],
)
def test_a_wrong_subscription_is_refused(body, tag):
    site = logged()
    client = site.client()
    assert client.error(SUBSCRIBE.format(body))[0] == tag
    site.publish(event("live"))
    assert client.messages == []


def test_a_session_has_one_subscription():
    client = Site().client()
    client.ok(SUBSCRIBE.format(""))
    assert client.error(SUBSCRIBE.format(""))[0] == "operation-failed"


def test_a_subscriber_that_takes_nothing_costs_nothing_and_is_closed_when_it_has_lost_events():
    site = Site(events=600)
    slow, quick = site.client(), site.client()
    slow.ok(SUBSCRIBE.format(""))
    quick.ok(SUBSCRIBE.format(""))
    site.deaf.add(slow.number)
    long = "x" * 4000
    taken = 0
    for index in range(700):
        site.publish(event(f"{index}{long}"))
        if index == 400:
            taken = len(slow.messages)
            assert slow.closed is None
    assert slow.closed is not None
    assert "too slow" in slow.closed
    assert len(slow.messages) == taken  # no queue of its own grew
    assert taken * 4000 < limits.NETCONF_UNSENT + 8192
    assert len(heard(quick)) == 700


def test_a_subscriber_that_catches_up_in_time_has_lost_nothing():
    site = Site(events=600)
    client = site.client()
    client.ok(SUBSCRIBE.format(""))
    site.deaf.add(client.number)
    for index in range(500):
        site.publish(event(f"{index:04}" + "x" * 4000))
    unsent = site.server._sessions[client.number].unsent
    site.deaf.clear()
    site.do(site.server.sent(client.number, unsent, site.moment))
    assert [name[:4] for name in heard(client)] == [f"{index:04}" for index in range(500)]


def test_an_event_that_is_too_large_is_our_own_mistake():
    log = EventLog(START)
    with pytest.raises(NetconfError):
        log.append(etree.fromstring(event("x" * limits.NETCONF_EVENT)), START)


def test_a_prefix_in_the_value_of_an_event_is_declared_there():
    site = Site()
    client = site.client()
    client.ok(SUBSCRIBE.format(""))
    site.publish(f'<e xmlns="{NET}" xmlns:q="{NET}"><kind>q:red</kind></e>')
    (kind,) = client.heard().iter(f"{{{NET}}}kind")
    assert kind.nsmap["q"] == NET
