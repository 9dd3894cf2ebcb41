"""Pad goes to whom it helps: requests come before the filling of buffers, and a path that cannot end takes none."""

import msgspec
import pytest

from .faults import over
from .stage import Stage, chain

SCARCE = 2_000  # bytes of pad that the shared link makes each second
BUFFER = 1 << 20


@pytest.mark.parametrize(("count", "size"), [(10, 1024), (4, 256), (1, 256)])
def test_requests_over_a_scarce_link_are_served_while_another_path_fills_its_buffer(count: int, size: int) -> None:
    light = count * size < SCARCE
    stage = Stage(
        [(0, 2), (1, 2), (2, 3)], [(0, 2, 3), (1, 2, 3)], depth=0, level=BUFFER // 4, stock=60_000, rate=SCARCE
    )
    scenery = stage.scenery
    filling = msgspec.structs.replace(scenery.paths[0], depth=BUFFER)
    scenery.paths[0] = scenery.all_paths[0] = filling
    for index, name in enumerate(scenery.names):
        scenery.sites[name].network = scenery.network_of(index, scenery.paths)
    for link in ("l0-2", "l1-2"):
        scenery.devices[link].rate = 25 * SCARCE
    stage.run(40.0)
    before = stage.node(0).paths.sources[filling.key].ready
    stage.ask(1, 3, every=1.0, seconds=30, count=count, size=size)  # two thirds of what the link makes, or less
    stage.run(34.0)
    assert all(asked.keys for asked in stage.load.asked)
    if light:
        assert stage.node(0).paths.sources[filling.key].ready > before, "what is left over fills the buffer"
    assert stage.end() == []


def test_a_relay_that_has_lost_its_way_to_the_destination_costs_pad_for_seconds_and_not_for_good() -> None:
    stage = Stage(chain(4), [(0, 1, 2, 3)], depth=1 << 16, level=1 << 19, stock=800_000, rate=20_000)
    stage.run(15.0)
    key = stage.scenery.paths[0].key
    stage.faults.note("n1 does not reach n3", 60.0, over(("n1", "n3")))
    stage.cut(1, 3)  # no common link: the network between the sites fails these two
    stage.ask(0, 3, every=0.2, seconds=60, count=10, size=4096)
    stage.run(15.0)
    source = stage.node(0).paths.sources[key]
    assert not source.standing.whole
    burned, begun = stage.burned(0), source._route.next_sequence
    stage.run(45.0)
    assert (stage.burned(0), source._route.next_sequence) == (burned, begun)
    stage.cut(1, 3, heal=True)
    stage.run(5.0)
    assert source.credit > 0, "it is back as soon as the relay gets through"
    assert stage.end() == []
