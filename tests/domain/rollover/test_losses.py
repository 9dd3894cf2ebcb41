"""Both ends' counts say what a change has cost, and nothing wrong after one of them began to count anew."""

from quiver.domain.rollover.losses import Losses, Packets


def test_what_both_directions_lost_is_told_for_each_change_and_summed_up():
    losses = Losses()
    assert (
        losses.told(Packets(received=90, sent=100), Packets(received=95, sent=100)) is None
    )  # nothing to compare with
    assert losses.told(Packets(received=187, sent=200), Packets(received=195, sent=200)) == 3
    assert losses.told(Packets(received=287, sent=300), Packets(received=294, sent=300)) == 1
    assert (losses.latest, losses.total) == (1, 4)


def test_a_packet_on_its_way_is_taken_back_by_the_next_change():
    losses = Losses()
    losses.told(Packets(0, 0), Packets(0, 0))
    assert losses.told(Packets(0, 10), Packets(9, 0)) == 1
    assert losses.told(Packets(0, 20), Packets(20, 0)) == 0
    assert losses.told(Packets(0, 30), Packets(29, 0)) == 1
    assert losses.total == 1


def test_an_end_that_counts_anew_has_lost_nothing_by_that():
    losses = Losses()
    losses.told(Packets(100, 100), Packets(100, 100))
    assert losses.told(Packets(200, 200), Packets(5, 5)) is None
    assert losses.told(Packets(300, 300), Packets(105, 105)) == 0
    losses.restarted()
    assert losses.told(Packets(400, 400), Packets(600, 0)) is None, "though no count went down"
    assert losses.total == 0
