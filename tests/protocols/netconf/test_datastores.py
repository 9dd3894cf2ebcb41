"""The promises of running and candidate: all or nothing, durable before `<ok/>`, locks, commits and what goes back by itself."""

import pytest
from lxml import etree

from quiver.domain.errors import ConfigurationError, StorageError
from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.change import Cause, replay
from quiver.protocols.netconf.datastores import load
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.tree import Branch, same
from quiver.protocols.netconf.xml import Element
from tests.protocols.netconf.ground import (
    LAB,
    NET,
    Client,
    Site,
    app_tag_of,
    config_of,
    edit_body,
    error_of,
    schema,
    text,
)

NODE = "<node><id>{0}</id><address>{0}</address></node>"
ROUTE = "<route><name>{}</name><version>1</version><hop>x</hop></route>"
COMMIT = "<commit/>"
SEVERAL = "<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>"
PERSISTENT = "<commit><confirmed/><confirm-timeout>60</confirm-timeout><persist>word</persist></commit>"


def running(client: Client, source: str = "running") -> str:
    return config_of(client.data(f"<get-config><source><{source}/></source></get-config>"))


def written(reply: Element) -> str:
    return etree.tostring(reply, encoding="unicode")


def banner(value: str) -> str:
    return f"<banner>{value}</banner>"


def test_ok_is_said_only_when_the_change_is_durable():
    site = Site(slow=True)
    client = site.client()
    client.send(edit_body(banner("x")))
    assert client.messages == []
    assert site.datastores.running.children == {}
    site.settle()
    assert b"<ok/>" in client.messages.pop()
    assert text(site.datastores.running) == banner("x")


def test_a_change_that_cannot_be_made_durable_has_not_happened():
    site = Site(slow=True)
    client = site.client()
    client.send(edit_body(banner("x")))
    site.settle(StorageError("the disk is full"))
    assert error_of(client.heard())[0] == "operation-failed"
    client.send("<get-config><source><running/></source></get-config>")
    assert config_of(client.heard()[0]) == ""


def test_the_owner_refuses_before_anything_is_done_and_its_error_goes_to_the_client():
    site = Site()
    client = site.client()
    site.refuse = ConfigurationError("path p: local policy excludes E")
    reply = client.rpc(edit_body(banner("x")))
    assert error_of(reply)[0] == "operation-failed"
    assert "local policy excludes E" in "".join(reply.itertext())
    site.refuse = RpcError(Tag.RESOURCE_DENIED, "too many", app_tag="full")
    reply = client.rpc(edit_body(banner("x")))
    assert (error_of(reply)[0], app_tag_of(reply)) == ("resource-denied", "full")
    assert site.applied == []


def test_the_owner_sees_each_changed_entry_once_and_no_other():
    site = Site(running="<routes>" + "".join(ROUTE.format(f"r{i}") for i in range(20)) + "</routes>" + NODE.format("n"))
    client = site.client()
    client.ok(
        edit_body(
            "<routes><route><name>r7</name><version>1</version><depth>5</depth><hop>y</hop></route>"
            + ROUTE.format("new")
            + '<route nc:operation="delete"><name>r9</name><version>1</version></route></routes>'
            + banner("b")
            + "<node><id>n</id><port><number>1</number></port></node>"
        )
    )
    changes = site.applied[0].changes
    named = sorted((change.path[-1].keys[0][1] if change.path[-1].keys else change.node.name) for change in changes)
    assert named == ["banner", "n", "new", "r7", "r9"]
    assert same(replay(site.applied[0].old, changes), site.applied[0].new)


def test_documents_of_all_changes_make_the_datastore_again():
    site = Site()
    client = site.client()
    client.ok(edit_body("<routes>" + ROUTE.format("a") + ROUTE.format("b") + "</routes>" + NODE.format("n")))
    client.ok(
        edit_body(f'<node><id>n</id><label xmlns="{LAB}">l</label><sae/></node><tag>t</tag><rule><name>r</name></rule>')
    )
    client.ok(edit_body('<routes><route nc:operation="delete"><name>a</name><version>1</version></route></routes>'))
    held = {change.path: change.document() for applied in site.applied for change in applied.changes}
    again = load(schema(), [document for document in held.values() if document is not None])
    assert same(again, site.datastores.running)


def test_an_edit_that_changes_nothing_costs_no_write():
    site = Site(running=banner("x"))
    site.client().ok(edit_body(banner("x")))
    assert site.applied == []


def test_a_long_change_lets_readers_go_on_and_writers_wait_in_order():
    site = Site(slow=True)
    first, second, reader = site.client(), site.client(Role.CONTROLLER), site.client(Role.AUDITOR)
    first.send(edit_body(banner("1")))
    second.send(edit_body(banner("2")))
    first.send("<get-config><source><running/></source></get-config>")
    assert running(reader) == ""
    assert second.messages == []
    assert first.messages == []  # its replies come in order
    assert len(site.changes) == 1
    site.settle()
    assert len(first.messages) == 2
    assert "1" in config_of(etree.fromstring(first.messages[1])[0])
    assert running(reader) == banner("1")
    site.settle()
    assert b"<ok/>" in second.messages.pop()
    assert running(reader) == banner("2")


def test_a_session_that_ends_leaves_no_waiting_writer_and_its_change_goes_on():
    site = Site(slow=True)
    first, second, third = site.client(), site.client(), site.client()
    first.send(edit_body(banner("1")))
    second.send(edit_body(banner("2")))
    third.send(edit_body("<tag>3</tag>"))
    site.lose(first)
    site.lose(second)
    site.settle()
    site.settle()
    assert b"<ok/>" in third.messages.pop()
    assert text(site.datastores.running) == banner("1") + "<tag>3</tag>"
    assert site.changes == []


def test_test_options():
    site = Site()
    client = site.client()
    only = "<test-option>test-only</test-option>"
    client.ok(edit_body(banner("x"), options=only))
    assert running(client) == ""
    assert client.error(edit_body(banner(""), options=only))[0] == "invalid-value"
    assert (
        client.error(edit_body("<node><id>n</id></node>", options="<test-option>set</test-option>"))[0]
        == "data-missing"
    )
    site.refuse = ConfigurationError("no")
    assert client.error(edit_body(banner("x"), options=only))[0] == "operation-failed"


@pytest.mark.parametrize("option", ["stop-on-error", "continue-on-error", "rollback-on-error"])
def test_edits_are_all_or_nothing_whatever_the_error_option_says(option):
    site = Site()
    client = site.client()
    body = banner("x") + "<node><id>n</id></node>"
    assert client.error(edit_body(body, options=f"<error-option>{option}</error-option>"))[0] == "data-missing"
    assert running(client) == ""


# --- Candidate ---


def test_the_candidate_changes_nothing_until_it_is_committed():
    site = Site()
    client = site.client()
    client.ok(edit_body(NODE.format("n"), "candidate"))
    assert (running(client), running(client, "candidate")) == ("", NODE.format("n"))
    assert site.applied == []
    client.ok(COMMIT)
    assert running(client) == NODE.format("n")
    assert [change.cause for change in site.applied] == [Cause.COMMIT]


def test_a_candidate_may_be_incomplete_until_validate_or_commit():
    site = Site()
    client = site.client()
    client.ok(edit_body("<node><id>n</id></node>", "candidate"))
    assert client.error("<validate><source><candidate/></source></validate>")[0] == "data-missing"
    assert client.error(COMMIT)[0] == "data-missing"
    client.ok(edit_body("<node><id>n</id><address>a</address></node>", "candidate"))
    client.ok("<validate><source><candidate/></source></validate>")
    client.ok(COMMIT)
    options = "<test-option>test-then-set</test-option>"
    assert client.error(edit_body("<node><id>m</id></node>", "candidate", options))[0] == "data-missing"


def test_the_owner_judges_what_is_validated():
    site = Site()
    client = site.client()
    client.ok(edit_body(banner("x"), "candidate"))
    site.refuse = ConfigurationError("no")
    assert client.error("<validate><source><candidate/></source></validate>")[0] == "operation-failed"
    assert client.error(COMMIT)[0] == "operation-failed"
    assert running(client) == ""


def test_discard_takes_the_candidate_back():
    site = Site(running=banner("x"))
    client = site.client()
    client.ok(edit_body(banner("y"), "candidate"))
    client.ok("<discard-changes/>")
    assert running(client, "candidate") == banner("x")


def test_a_commit_keeps_what_others_wrote_into_running_meanwhile():
    site = Site(running=banner("x"))
    operator, controller = site.client(), site.client(Role.CONTROLLER)
    operator.ok(edit_body(NODE.format("mine"), "candidate"))
    controller.ok(edit_body("<term>7</term><routes>" + ROUTE.format("theirs") + "</routes>"))
    assert "theirs" in running(operator, "candidate")
    operator.ok(COMMIT)
    assert all(word in running(operator) for word in ("mine", "theirs", "<term>7</term>"))


def test_where_both_edited_the_same_the_commit_decides():
    site = Site(running=banner("x"))
    operator, controller = site.client(), site.client(Role.CONTROLLER)
    operator.ok(edit_body(banner("operator"), "candidate"))
    controller.ok(edit_body(banner("controller")))
    assert running(operator, "candidate") == banner("operator")
    operator.ok(COMMIT)
    assert running(operator) == banner("operator")


# --- Confirmed commit (RFC 6241 section 8.4) ---


def confirmed(commit: str = SEVERAL) -> tuple[Site, Client]:
    site = Site(running=banner("old"))
    client = site.client()
    client.ok(edit_body(banner("new") + NODE.format("n"), "candidate"))
    client.ok(commit)
    assert banner("new") in running(client)
    return site, client


def test_without_a_confirmation_the_commit_goes_back_in_time():
    site, client = confirmed()
    assert site.server.deadline == 60
    site.tick(59)
    assert banner("new") in running(client)
    site.tick(1)
    assert running(client) == running(client, "candidate") == banner("old")
    assert site.applied[-1].cause is Cause.ROLLBACK
    assert site.server.deadline is None


def test_a_second_commit_confirms():
    site, client = confirmed()
    client.ok(COMMIT)
    site.tick(1000)
    assert banner("new") in running(client)


def test_what_a_restart_falls_back_to_is_durable_until_it_is_confirmed():
    site, client = confirmed()
    assert same(replay(site.applied[-1].new, site.applied[-1].fallback), site.applied[-1].old)
    client.ok(edit_body("<tag>t</tag>"))
    back = replay(site.applied[-1].new, site.applied[-1].fallback)
    assert text(back) == banner("old") + "<tag>t</tag>"  # another's edit stays
    client.ok("<discard-changes/>")
    client.ok(COMMIT)
    assert site.applied[-1].fallback == ()  # durable as well, although nothing else has changed


def test_a_further_confirmed_commit_extends_the_time_and_all_of_them_go_back():
    site, client = confirmed()
    site.tick(50)
    client.ok(edit_body("<tag>t</tag>", "candidate"))
    client.ok(SEVERAL)
    assert site.server.deadline == 110
    site.tick(60)
    assert running(client) == banner("old")


def test_it_goes_back_when_its_session_ends():
    for end in ("lose", "close"):
        site, client = confirmed()
        other = site.client()
        if end == "lose":
            site.lose(client)
        else:
            client.ok("<close-session/>")
        assert running(other) == banner("old")


def test_a_session_that_ends_before_its_confirmed_commit_is_durable_takes_it_back():
    site = Site(running=banner("old"), slow=True)
    client = site.client()
    client.ok(edit_body(banner("new"), "candidate"))
    client.send(SEVERAL)
    site.lose(client)
    site.settle()
    assert [change.cause for change in site.changes] == [Cause.ROLLBACK]
    site.settle()
    assert text(site.datastores.running) == banner("old")


def test_cancel_commit_takes_it_back_at_once():
    _, client = confirmed()
    client.ok("<cancel-commit/>")
    assert running(client) == banner("old")
    assert client.error("<cancel-commit/>")[0] == "operation-failed"


def test_a_persistent_one_outlives_its_session_and_needs_its_word():
    site, client = confirmed(PERSISTENT)
    site.lose(client)
    other = site.client()
    assert banner("new") in running(other)
    assert error_of(other.rpc("<lock><target><running/></target></lock>"))[0] == "lock-denied"  # RFC 6241 section 7.5
    assert other.error(COMMIT)[0] == "invalid-value"
    assert other.error("<commit><persist-id>wrong</persist-id></commit>")[0] == "invalid-value"
    assert other.error("<cancel-commit/>")[0] == "invalid-value"
    other.ok("<commit><persist-id>word</persist-id></commit>")
    site.tick(1000)
    assert banner("new") in running(other)


def test_a_persistent_one_is_cancelled_by_its_word_from_another_session():
    site, _ = confirmed(PERSISTENT)
    other = site.client()
    other.ok("<cancel-commit><persist-id>word</persist-id></cancel-commit>")
    assert running(other) == banner("old")


def test_another_session_can_neither_confirm_nor_lock_meanwhile():
    site, client = confirmed()
    other = site.client()
    assert other.error(COMMIT)[0] == "in-use"
    assert other.error("<cancel-commit/>")[0] == "in-use"
    assert error_of(other.rpc("<lock><target><running/></target></lock>"))[0] == "lock-denied"  # RFC 6241 section 7.5
    client.ok("<lock><target><running/></target></lock>")


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        ("<commit><persist-id>x</persist-id></commit>", "invalid-value"),
        ("<commit><confirm-timeout>5</confirm-timeout></commit>", "missing-element"),
        ("<commit><persist>x</persist></commit>", "missing-element"),
        ("<commit><confirmed/><confirm-timeout>0</confirm-timeout></commit>", "invalid-value"),
        ("<commit><confirmed/><confirm-timeout>-5</confirm-timeout></commit>", "invalid-value"),
        ("<commit><confirmed/><confirm-timeout>86401</confirm-timeout></commit>", "invalid-value"),
        ("<commit><other/></commit>", "unknown-element"),
        ("<commit><confirmed/><confirmed/></commit>", "bad-element"),
    ],
)
def test_wrong_parameters_of_commit(body, tag):
    assert Site().client().error(body)[0] == tag


def test_the_time_of_a_confirmed_commit_is_ten_minutes_by_default():
    site = Site()
    client = site.client()
    client.ok(edit_body(banner("x"), "candidate"))
    client.ok("<commit><confirmed/></commit>")
    assert site.server.deadline == 600


def test_the_controllers_term_never_goes_back():
    site, operator = confirmed()
    controller = site.client(Role.CONTROLLER)
    controller.ok(edit_body("<term>9</term>"))
    site.tick(60)
    assert running(operator) == "<term>9</term>" + banner("old")
    operator.ok("<copy-config><target><candidate/></target><source><config/></source></copy-config>")
    operator.ok(COMMIT)
    assert running(operator) == "<term>9</term>"
    operator.ok(edit_body(banner("x"), options="<default-operation>replace</default-operation>"))
    assert running(operator) == "<term>9</term>" + banner("x")


def test_a_rollback_that_cannot_be_stored_is_tried_again():
    site, client = confirmed()
    site.slow = True
    site.tick(60)
    site.settle(StorageError("the disk is full"))
    assert banner("new") in running(client)
    assert site.server.deadline == 65
    site.tick(5)
    site.settle()
    assert running(client) == banner("old")


# --- copy-config, delete-config ---


def test_copy_config():
    site = Site(running=banner("x"))
    client = site.client()
    inline = f'<config><network xmlns="{NET}"><banner>y</banner></network></config>'
    client.ok(f"<copy-config><target><candidate/></target><source>{inline}</source></copy-config>")
    assert running(client, "candidate") == banner("y")
    client.ok("<copy-config><target><running/></target><source><candidate/></source></copy-config>")
    assert running(client) == banner("y")
    assert site.applied[-1].cause is Cause.COPY


COPY = "<copy-config><target>{}</target><source>{}</source></copy-config>"
EDIT = "<edit-config><target><running/></target>{}<config/></edit-config>"


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        (COPY.format("<running/>", "<running/>"), "invalid-value"),
        (COPY.format("<startup/>", "<running/>"), "operation-not-supported"),
        (COPY.format("<url>file:///x</url>", "<running/>"), "operation-not-supported"),
        (COPY.format("<other/>", "<running/>"), "unknown-element"),
        (COPY.format("", "<running/>"), "bad-element"),
        ("<copy-config><source><running/></source></copy-config>", "missing-element"),
        ("<delete-config><target><running/></target></delete-config>", "operation-not-supported"),
        ("<delete-config><target><startup/></target></delete-config>", "operation-not-supported"),
        ("<edit-config><target><running/></target><url>file:///x</url></edit-config>", "operation-not-supported"),
        ("<edit-config><target><running/></target></edit-config>", "missing-element"),
        ("<edit-config><config/></edit-config>", "missing-element"),
        (EDIT.format("<extra/>"), "unknown-element"),
        (EDIT.format("<default-operation>create</default-operation>"), "invalid-value"),
        (EDIT.format("<error-option>x</error-option>"), "invalid-value"),
        (EDIT.format("<test-option>x</test-option>"), "invalid-value"),
    ],
)
def test_what_makes_no_sense_is_refused(body, tag):
    assert Site().client().error(body)[0] == tag


# --- Locks ---

LOCK = "<lock><target><{}/></target></lock>"
UNLOCK = "<unlock><target><{}/></target></unlock>"


def test_a_lock_keeps_others_out_until_it_is_given_back():
    site = Site()
    holder, other = site.client(), site.client(Role.CONTROLLER)
    holder.ok(LOCK.format("running"))
    reply = other.rpc(LOCK.format("running"))
    assert error_of(reply)[0] == "lock-denied"
    assert f"<session-id>{holder.number}</session-id>" in written(reply)
    assert other.error(edit_body(banner("x")))[0] == "in-use"
    assert other.error(UNLOCK.format("running"))[0] == "operation-failed"
    holder.ok(edit_body(banner("x")))
    holder.ok(UNLOCK.format("running"))
    assert holder.error(UNLOCK.format("running"))[0] == "operation-failed"
    other.ok(edit_body(banner("y")))


def test_locking_twice_is_denied():
    client = Site().client()
    client.ok(LOCK.format("running"))
    assert client.error(LOCK.format("running"))[0] == "lock-denied"


def test_a_lock_ends_with_its_session():
    site = Site()
    holder, other = site.client(), site.client()
    holder.ok(LOCK.format("running"))
    site.lose(holder)
    other.ok(LOCK.format("running"))


def test_a_candidate_with_changes_cannot_be_locked_and_a_locked_one_is_discarded_with_its_session():
    site = Site()
    first, second = site.client(), site.client()
    first.ok(edit_body(banner("x"), "candidate"))
    reply = second.rpc(LOCK.format("candidate"))
    assert error_of(reply)[0] == "lock-denied"
    assert "<session-id>0</session-id>" in written(reply)
    first.ok("<discard-changes/>")
    first.ok(LOCK.format("candidate"))
    first.ok(edit_body(banner("x"), "candidate"))
    assert second.error(edit_body(banner("y"), "candidate"))[0] == "in-use"
    assert second.error("<discard-changes/>")[0] == "in-use"
    assert second.error(COMMIT)[0] == "in-use"
    site.lose(first)
    assert running(second, "candidate") == ""  # RFC 6241 section 8.3.5.2


def test_a_commit_needs_running_too():
    site = Site()
    holder, other = site.client(), site.client()
    holder.ok(LOCK.format("running"))
    other.ok(edit_body(banner("x"), "candidate"))
    assert other.error(COMMIT)[0] == "in-use"


def test_stored_documents_that_no_longer_fit_the_schema_are_refused():
    with pytest.raises(RpcError):
        load(schema(), [etree.fromstring(f'<network xmlns="{NET}"><gone/></network>')])
    assert isinstance(load(schema(), []), Branch)
