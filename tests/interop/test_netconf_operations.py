"""Every operation of the agent's NETCONF server, asked for by clients of others and by our own, over SSH and over TLS."""

import time
from datetime import UTC, datetime

import pytest

from quiver.protocols.netconf.requests import operation
from quiver.protocols.netconf.xml import LIBRARY, MONITORING, NETMOD, element, qualified
from quiver.protocols.yang.events import event_from_xml
from tests.agent.management_ground import KMS, Managed, home, kms, names, path, term
from tests.interop.conftest import Open
from tests.interop.visitors import PATIENCE, RefusedError, Visitor

BASE_NOTIFICATION = "urn:ietf:params:xml:ns:netmod:notification"


def links(visitor: Visitor, source: str = "running") -> list[str]:
    return names(visitor.get_config(kms("<path/>"), source=source), "path", "virtual-link")


def nc(operation_name: str, entry: str, name: str = "path") -> str:
    """An entry with an operation of its own (RFC 6241 section 7.2)."""
    return entry.replace(f"<{name}>", f'<{name} nc:operation="{operation_name}">', 1)


def test_get_config_and_get_with_subtree_filters(visit: Open) -> None:
    olga = visit("olga")
    olga.edit(kms(home("sae-1", "carol") + path() + path(2, link="other")))
    assert links(olga) == ["alice-bob", "other"]
    one = kms("<path><virtual-link>other</virtual-link></path>")
    data = olga.get_config(one)
    assert names(data, "path", "virtual-link") == ["other"]
    assert data.find(f".//{{{KMS}}}directory") is None
    state = olga.get(kms("<state><node/><configured-path/></state>"))
    assert state.findtext(f".//{{{KMS}}}state/{{{KMS}}}node") == "alice"
    assert names(state, "configured-path", "virtual-link") == ["alice-bob", "other"]
    assert state.find(f".//{{{KMS}}}link") is None
    everything = olga.get()
    assert names(everything, "link", "neighbour") == ["bob", "dave"]


def test_edit_config_merges_replaces_creates_deletes_and_removes(visit: Open) -> None:
    olga = visit("olga")
    olga.edit(kms(path()))
    with pytest.raises(RefusedError) as refused:
        olga.edit(kms(nc("create", path())))
    assert refused.value.tag == "data-exists"
    assert "alice-bob" in refused.value.path
    olga.edit(kms(nc("create", path(2))))
    olga.edit(
        kms(nc("delete", "<path><virtual-link>alice-bob</virtual-link><number>2</number><version>1</version></path>"))
    )
    with pytest.raises(RefusedError) as refused:
        olga.edit(
            kms(nc("delete", "<path><virtual-link>x</virtual-link><number>2</number><version>1</version></path>"))
        )
    assert refused.value.tag == "data-missing"
    olga.edit(kms(nc("remove", "<path><virtual-link>x</virtual-link><number>2</number><version>1</version></path>")))
    olga.edit(kms(path(3) + path(4)), default_operation="merge")
    assert len(links(olga)) == 3
    olga.edit(kms(home("sae-1", "carol")))
    olga.edit(kms(nc("replace", home("sae-1", "dave"), "sae")), default_operation="none")
    assert names(olga.get_config(kms("<directory/>")), "sae", "home") == ["dave"]
    with pytest.raises(RefusedError, match="a change needs a new version number"):
        olga.edit(kms(nc("replace", path(3, more="<priority>5</priority>"))))
    olga.edit(kms(path(9)), default_operation="replace")
    assert names(olga.get_config(), "path", "number") == ["9"]


def test_edit_config_tests_only_or_rolls_back_as_a_whole(visit: Open) -> None:
    olga = visit("olga")
    olga.edit(kms(path()), test_option="test-only")
    assert links(olga) == []
    with pytest.raises(RefusedError) as refused:
        olga.edit(kms(path() + path(2, nodes=("alice", "mallory"))), error_option="rollback-on-error")
    assert refused.value.tag == "invalid-value"
    assert "'2'" in refused.value.path
    assert links(olga) == []
    with pytest.raises(RefusedError) as refused:
        olga.edit(kms("<path><virtual-link>x</virtual-link><number>nine</number></path>"))
    assert refused.value.tag == "invalid-value"  # RFC 7950 section 8.3.1
    with pytest.raises(RefusedError) as refused:
        olga.edit(kms("<secret>x</secret>"))
    assert refused.value.tag == "unknown-element"


def test_candidate_commit_discard_and_validate(visit: Open) -> None:
    olga = visit("olga")
    olga.edit(kms(path()), target="candidate")
    assert (links(olga), links(olga, "candidate")) == ([], ["alice-bob"])
    olga.validate("candidate")
    olga.discard_changes()
    assert links(olga, "candidate") == []
    olga.edit(kms(path(nodes=("alice", "mallory"))), target="candidate")
    with pytest.raises(RefusedError, match="local policy excludes mallory"):
        olga.validate("candidate")
    with pytest.raises(RefusedError, match="local policy excludes mallory"):
        olga.commit()
    olga.discard_changes()
    olga.edit(kms(path()), target="candidate")
    olga.commit()
    assert links(olga) == ["alice-bob"]
    olga.edit(kms(path(2)))
    olga.copy_config("running", "candidate")
    assert len(links(olga, "candidate")) == 2


def test_a_confirmed_commit_holds_when_confirmed_and_is_taken_back_otherwise(visit: Open) -> None:
    olga = visit("olga")
    olga.edit(kms(path()), target="candidate")
    olga.commit(confirmed=True, timeout="60")
    assert links(olga) == ["alice-bob"]
    olga.commit()
    olga.edit(kms(path(2)), target="candidate")
    olga.commit(confirmed=True, timeout="60", persist="word")
    assert len(links(olga)) == 2
    other = visit("olga")
    with pytest.raises(RefusedError) as refused:
        other.cancel_commit("wrong")
    assert refused.value.tag == "invalid-value"
    other.cancel_commit("word")
    assert links(olga) == ["alice-bob"]


def test_a_confirmed_commit_that_nobody_confirms_is_rolled_back_when_its_time_is_over(visit: Open) -> None:
    olga, other = visit("olga"), visit("audrey")
    olga.edit(kms(path()))
    olga.edit(kms(path(2)), target="candidate")
    begun = time.monotonic()
    olga.commit(confirmed=True, timeout="1")
    during = links(other)
    assert len(during) == 2 or time.monotonic() - begun >= 1.0
    while len(links(other)) == 2:
        assert time.monotonic() - begun < PATIENCE
    assert time.monotonic() - begun >= 1.0, "it had its time"
    assert names(other.get_config(), "path", "number") == ["1"], "what was there before stays"
    assert names(other.get(kms("<state><configured-path/></state>")), "configured-path", "number") == ["1"]
    olga.edit(kms(path(3)))
    assert len(links(olga)) == 2


def test_a_lock_keeps_other_sessions_from_writing(visit: Open) -> None:
    olga, other = visit("olga"), visit("olga")
    olga.lock("running")
    with pytest.raises(RefusedError) as refused:
        other.lock("running")
    assert refused.value.tag == "lock-denied"
    with pytest.raises(RefusedError) as refused:
        other.edit(kms(path()))
    assert refused.value.tag == "in-use"
    olga.edit(kms(path()))
    olga.unlock("running")
    other.edit(kms(path(2)))
    assert len(links(other)) == 2


def test_a_killed_session_gives_its_lock_back(visit: Open) -> None:
    olga, victim = visit("olga"), visit("olga")
    victim.lock("running")
    olga.kill_session(victim.session_id)
    olga.edit(kms(path()))
    assert links(olga) == ["alice-bob"]


def test_schemas_and_the_library_say_what_the_server_has(visit: Open) -> None:
    audrey = visit("audrey")
    assert audrey.get_schema("quiver-kms").startswith("module quiver-kms {")
    with pytest.raises(RefusedError) as refused:
        audrey.get_schema("ietf-nothing")
    assert refused.value.tag == "invalid-value"
    library = audrey.get(element(qualified(LIBRARY, "yang-library")))
    modules = {each.text for each in library.iter(qualified(LIBRARY, "name"))}
    assert {"quiver-kms", "etsi-qkd-sdn-node", "ietf-netconf-monitoring"} <= modules
    listed = audrey.get(element(qualified(MONITORING, "netconf-state")))
    sessions = [each.text for each in listed.iter(qualified(MONITORING, "session-id"))]
    assert str(audrey.session_id) in sessions
    assert any(uri.startswith("urn:ietf:params:netconf:capability:yang-library:1.1") for uri in audrey.capabilities)


def test_notifications_come_live_and_by_replay(visit: Open, node: Managed) -> None:
    begun = datetime.now(UTC)
    olga, live = visit("olga"), visit("audrey")
    live.subscribe()
    pair = "<permitted-pair><one>sae-file</one><other>sae-1</other></permitted-pair>"
    olga.edit(kms(home("sae-1", "carol").replace("</directory>", f"{pair}</directory>")))
    asked = node.ask("sae-file", "sae-1")
    while (event := live.notification()).tag != qualified(KMS, "new-application"):
        pass
    run, numbered = event_from_xml(event)
    assert len(run) == 32
    later = visit("audrey")
    later.subscribe(start=begun)
    seen = []
    while (event := later.notification()).tag != qualified(NETMOD, "replayComplete"):
        seen.append(event)
    again = [event_from_xml(each) for each in seen if each.tag.startswith(f"{{{KMS}}}")]
    assert (run, numbered) in again
    first = again[0][1].sequence
    assert [number.sequence for _, number in again] == list(range(first, first + len(again)))
    asked.cancel()


def test_what_the_server_does_not_do_it_says_so(visit: Open) -> None:
    olga = visit("olga")
    for request in (operation("partial-lock", "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"), operation("reboot")):
        with pytest.raises(RefusedError) as refused:
            olga.dispatch(request)
        assert refused.value.tag == "operation-not-supported"
    with pytest.raises(RefusedError) as refused:
        olga.delete_config("running")
    assert refused.value.tag == "operation-not-supported"


def test_roles_bound_what_each_may_do(visit: Open) -> None:
    controller, audrey = visit("ctrl"), visit("audrey")
    controller.edit(kms(term(2) + path()))
    for visitor, config, tag in [
        (controller, term(2) + home("sae-1", "bob"), "access-denied"),
        (controller, path(2), "access-denied"),
        (controller, term(1) + path(2), "access-denied"),
        (audrey, path(2), "access-denied"),
    ]:
        with pytest.raises(RefusedError) as refused:
            visitor.edit(kms(config))
        assert refused.value.tag == tag
    assert refused.value.app_tag is None
    with pytest.raises(RefusedError) as refused:
        controller.edit(kms(term(1)))
    assert refused.value.app_tag == "stale-term"
    with pytest.raises(RefusedError) as refused:
        controller.lock("candidate")
    assert refused.value.tag == "access-denied"
    assert links(audrey) == ["alice-bob"]
