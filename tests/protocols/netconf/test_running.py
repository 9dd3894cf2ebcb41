"""What changes running beside those who edit it: time, where a commit is not confirmed, and the owner of the datastore."""

from quiver.domain.errors import StorageError
from quiver.protocols.netconf.change import Cause, difference, replay
from quiver.protocols.netconf.paths import Path, Step
from tests.protocols.netconf.ground import NET, Site, edit_body, error_of, text, tree
from tests.protocols.netconf.test_datastores import COMMIT, NODE, banner, confirmed, running

SEVERAL = "<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>"
ID = f"{{{NET}}}id"


def test_a_cancel_that_was_answered_with_an_error_leaves_the_commit_its_time():
    site, client = confirmed()
    site.slow = True
    client.send("<cancel-commit/>")
    site.settle(StorageError("the disk is full"))
    assert error_of(client.heard())[0] == "operation-failed"
    assert site.server.deadline == 60
    site.slow = False
    client.ok(COMMIT)
    assert banner("new") in running(client)


def test_what_another_session_writes_meanwhile_stays_although_the_commit_had_written_the_same_place():
    site, client = confirmed()
    other = site.client()
    other.ok(edit_body(banner("newer")))
    assert text(replay(site.applied[-1].new, site.applied[-1].fallback)) == banner("newer")
    site.tick(60)
    assert running(client) == running(client, "candidate") == banner("newer")


def test_what_stands_against_a_part_of_a_rollback_is_left_and_all_else_goes_back():
    many = "".join(NODE.format(f"old{i}") for i in range(5))
    site = Site(running=banner("old") + many)
    client, other = site.client(), site.client()
    gone = "".join(f'<node nc:operation="delete"><id>old{i}</id></node>' for i in range(5))
    client.ok(edit_body(banner("new") + gone, "candidate"))
    client.ok(SEVERAL)
    site.against = "old3"  # the owner does not take it together with what the next edit writes
    other.ok(edit_body(NODE.format("in-the-way")))
    site.tick(60)
    back = running(client)
    assert (banner("old") in back, "old3" in back) == (True, False)
    assert all(f"old{i}" in back for i in (0, 1, 2, 4))
    assert [step.keys for change in site.applied[-1].left for step in change.path if step.keys] == [((ID, "old3"),)]
    assert (site.server.deadline, site.applied[-1].fallback) == (None, ())
    other.ok("<lock><target><running/></target></lock>")


def test_a_rollback_of_which_nobody_can_tell_whether_it_is_possible_is_tried_again_as_a_whole():
    site, client = confirmed()
    site.refuse = StorageError("there is no node now")
    site.slow = True
    site.tick(60)
    site.settle(site.refuse)
    assert site.server.deadline == 65
    site.refuse = None
    site.tick(5)
    assert site.changes[0].left == ()
    site.settle()
    assert running(client) == banner("old")


# --- What the owner takes away ---


def places(site: Site) -> list[Path]:
    return [change.path for change in difference(tree(), site.datastores.running) if change.path[-1].keys]


def test_what_the_owner_takes_away_is_gone_everywhere_whoever_holds_a_lock_and_sessions_go_on():
    site = Site(running=banner("b") + NODE.format("n"))
    client = site.client()
    client.ok("<lock><target><running/></target></lock>")
    site.datastores.withdraw(places(site))
    assert site.server.deadline == float("-inf")
    site.tick(0)
    assert running(client) == running(client, "candidate") == banner("b")
    assert (site.applied[-1].cause, site.datastores.withdrawing) == (Cause.WITHDRAWN, False)
    site.datastores.withdraw([(Step(f"{{{NET}}}network"), Step(f"{{{NET}}}node", ((ID, "n"),)))])
    site.tick(0)
    assert (site.server.deadline, len(site.applied)) == (None, 1)  # nothing was there any more


def test_it_waits_for_the_change_that_is_out_and_goes_before_writers_that_wait():
    site = Site(running=NODE.format("n"), slow=True)
    client, other = site.client(), site.client()
    client.send(edit_body(banner("first")))
    other.send(edit_body(banner("second")))
    site.datastores.withdraw(places(site))
    site.tick(0)
    assert site.datastores.withdrawing
    for _ in range(3):
        site.settle()
    assert [change.cause for change in site.applied] == [Cause.EDIT, Cause.WITHDRAWN, Cause.EDIT]


def test_no_rollback_revives_it():
    site, client = confirmed()
    site.datastores.withdraw(places(site))
    site.tick(0)
    assert site.server.deadline == 60  # the commit waits on
    assert text(replay(site.applied[-1].new, site.applied[-1].fallback)) == banner("old")
    site.tick(60)
    assert running(client) == banner("old")
