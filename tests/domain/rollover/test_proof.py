"""A key that is not proven in time is counted once, also where nobody looked in time."""

from quiver.domain.rollover.proof import Proof


def test_a_key_that_is_not_proven_in_time_is_noticed_once():
    proof = Proof(150.0)
    assert not proof.pending
    proof.begun(0.0)
    assert proof.pending
    assert not proof.run_out(149.0)
    assert proof.run_out(150.0)
    assert not proof.run_out(151.0)
    assert (proof.missed, proof.late, proof.pending) == (1, True, True)
    proof.found()
    assert (proof.missed, proof.late, proof.pending) == (1, False, False)


def test_the_next_switch_counts_a_key_that_had_its_time_and_no_other():
    proof = Proof(150.0)
    proof.begun(0.0)
    proof.begun(10.0)
    assert proof.missed == 0
    proof.begun(160.0)
    assert proof.missed == 1
