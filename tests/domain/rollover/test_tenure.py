"""How long a key may be used: from its proof on, and hardly longer, however many switches are not proven."""

from quiver.domain.rollover.tenure import Tenure


def test_a_key_has_its_time_from_its_proof_on():
    tenure = Tenure(keep=300.0, proof=150.0, now=0.0)
    tenure.switched(90.0, blocked=False)
    assert tenure.ends == 300.0
    assert not tenure.renewed(100.0)
    assert (tenure.age(110.0), tenure.ends) == (10.0, 400.0)
    assert not tenure.expires(399.0)
    assert tenure.expires(400.0)
    assert not tenure.expires(401.0), "noticed once"
    assert tenure.renewed(402.0), "and told by the next one"


def test_switches_that_are_not_proven_prolong_the_time_once():
    tenure = Tenure(keep=300.0, proof=150.0, now=0.0)
    for now in range(0, 440, 20):
        tenure.switched(float(now), blocked=False)
    assert tenure.ends == 310.0  # by the first one that would not have had its time
    assert tenure.expires(310.0)
    tenure.switched(320.0, blocked=False)
    assert tenure.expired, "a tunnel that goes on under an old key is not younger for a switch"


def test_a_key_that_opens_a_blocked_tunnel_has_its_time():
    tenure = Tenure(keep=300.0, proof=150.0, now=0.0)
    assert tenure.expires(300.0)
    tenure.switched(1000.0, blocked=True)
    assert (tenure.expired, tenure.ends) == (False, 1150.0)
    assert tenure.expires(1150.0)
