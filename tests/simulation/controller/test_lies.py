"""Agents that lie, and controllers that do not know of each other: no one of them stops the network or makes others burn pad."""

from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.events import LinkDown, LinkUp
from quiver.domain.report import DeviceState, LinkReport, LinkState
from quiver.domain.sdn.demands import Demand
from tests.simulation.world import World

from .network import ManagedNetwork
from .paper import PaperNetwork
from .pilot import Pilot
from .run import check
from .test_moves import PLENTY, RING, load, ring


def paper(seed: int = 1, edges=RING, **channel) -> PaperNetwork:
    network = PaperNetwork(World(seed), edges, [Demand(name="v", source="n0", destination="n3")], channel=channel)
    network.world.run(4.0)
    return network


def relay(network) -> str:
    return network.routes()["v"][1]


def burned(network, but: str) -> int:
    return sum(sum(s.node.journal.burned.causes.values()) for name, s in network.sites.items() if name != but)


# --- reports that cannot be true ----------------------------------------------------------------------------------


def test_an_agent_that_speaks_for_another_node_is_not_believed_and_gone_round() -> None:
    network = paper()
    liar = relay(network)
    network.sites[liar].lie = lambda report: replace(report, node="n5")
    network.world.run(10.0)
    assert liar not in network.routes()["v"]
    assert network.pilot.told("node-distrusted")[0].about["node"] == liar
    network.sites[liar].lie = None
    network.world.run(10.0)
    nodes = {node.node: node.distrust for node in network.pilot.core.snapshot().nodes}
    assert nodes[liar] == ""
    assert not check(network)


def test_an_agent_with_another_entry_under_the_key_of_a_path_is_gone_round() -> None:
    network = paper()
    liar = relay(network)
    network.sites[liar].lie = lambda report: replace(
        report, paths=tuple(replace(path, digest="0" * 64) for path in report.paths)
    )
    network.world.run(10.0)
    assert liar not in network.routes()["v"]
    assert "another entry" in network.pilot.told("node-distrusted")[0].about["reason"]


def test_versions_far_above_all_others_are_not_believed() -> None:
    network = paper()
    liar = relay(network)
    network.sites[liar].lie = lambda report: replace(
        report, marks=tuple(replace(mark, version=1 << 50) for mark in report.marks)
    )
    network.world.run(12.0)
    network.cut_link(network.between(*network.routes()["v"][:2]))
    network.world.run(3.0)
    assert max(entry.version for entry in network.written) < 1 << 40


# --- lies about links and pads ------------------------------------------------------------------------------------


def test_an_agent_that_names_the_links_of_others_takes_none_of_them_away() -> None:
    network = paper(edges=[*RING, (4, 6)])
    before = {link.id for link in network.pilot.core.snapshot().links}
    others = tuple(
        LinkReport(id=link, neighbour=ends[0], state=LinkState.DOWN)
        for link, ends in network.ends.items()
        if "n6" not in ends
    )
    network.sites["n6"].lie = lambda report: replace(report, links=report.links + others)
    network.world.run(8.0)
    assert {link.id for link in network.pilot.core.snapshot().links} == before == set(network.ends)
    cut = network.between(*network.routes()["v"][1:3])
    network.cut_link(cut)
    network.world.run(4.0)
    assert network.routes()["v"] == ("n0", "n4", "n5", "n3")
    network.heal_link(cut)
    network.world.run(limits.CLAIM_PATIENCE + 20.0)
    (told,) = network.pilot.told("node-distrusted")
    assert told.about["node"] == "n6"
    network.sites["n6"].lie = None
    network.world.run(limits.POLL_INTERVAL + 1.0)
    assert not any(node.distrust for node in network.pilot.core.snapshot().nodes)


def test_an_agent_whose_links_come_and_go_moves_a_path_a_bounded_number_of_times_and_burns_little() -> None:
    network = ring(stock=60_000)
    liar, seconds = relay(network), 60.0
    load(network, seconds, every=0.5)
    links = [link for link, ends in network.ends.items() if liar in ends]
    events = network.sites[liar].node.journal.events
    for turn in range(int(seconds / 0.2)):
        kind = (LinkDown, LinkUp)[turn % 2]
        for link in links:
            other = next(end for end in network.ends[link] if end != liar)
            network.world.after(turn * 0.2, lambda k=kind, li=link, o=other: events.note(k(link=li, neighbour=o)))
    network.world.run(seconds)
    moves = {entry.version for entry in network.written}
    assert len(moves) <= limits.MOVE_BURST + seconds / limits.MOVE_PAUSE
    assert burned(network, liar) <= 2_000 * len(moves)
    failures = [asked for asked in network.load.asked if asked.done_at and not asked.keys]
    assert not failures


def test_pad_that_is_not_there_draws_a_path_once_and_costs_nobody_pad() -> None:
    demand = Demand(name="v", source="n0", destination="n3", rate=8_000)
    network = ManagedNetwork(World(1), 7, [demand], edges=[*RING, (0, 6), (3, 6)], **PLENTY)
    for link in ("l0-6", "l3-6"):  # they have never made a key
        network.cut_link(link, whole=False)
        network.devices[link]._stock.clear()
    network.sites["n6"].lie = lambda report: replace(
        report,
        pads=tuple(replace(pad, own=10**9, theirs=10**9) for pad in report.pads),
        links=tuple(replace(link, collected=10**12, device=DeviceState.READY) for link in report.links),
    )
    network.world.run(12.0)
    load(network, 20.0, every=0.5)
    network.world.run(23.0)
    assert not [asked for asked in network.load.asked if not asked.keys]
    assert "n6" not in network.routes()["v"]
    assert burned(network, "n6") <= 20_000


# --- terms --------------------------------------------------------------------------------------------------------


def test_one_agent_that_claims_a_higher_term_stops_nobody_for_long() -> None:
    network = paper()
    network.sites["n5"].lie = lambda report: replace(report, term=report.term + 7)
    network.world.run(10.0)
    network.cut_link(network.between(*network.routes()["v"][1:3]))
    network.world.run(20.0)
    assert network.pilot.told("term-doubted")
    assert not network.pilot.told("fenced")
    network.world.run(60.0)
    assert len(network.pilot.told("term-doubted")) <= limits.DOUBTS
    for link in network.ends:
        network.heal_link(link)
    network.world.run(20.0)
    assert network.routes()["v"]
    assert network.pilot.core.snapshot().phase == "leading"


def test_the_controller_that_came_last_leads_and_the_other_says_that_it_is_fenced() -> None:
    network = ring()
    first = network.pilot
    second = Pilot(network.world, network.sites, name="second")
    second.start()
    network.world.run(12.0)
    assert first.told("fenced")
    assert first.core.snapshot().phase == "fenced"
    network.pilot = second
    version = {key for site in network.sites.values() for key in site.provision.paths}
    assert version == {"v/1/1"}  # nothing had to move
    network.cut_link(network.between(*network.routes()["v"][1:3]))
    network.world.run(6.0)
    assert not check(network)
    assert len({entry.version for entry in network.written}) == 2
    assert not [order for order in first.core.orders() if not hasattr(order, "term")]


def test_of_two_controllers_that_start_together_one_is_fenced() -> None:
    network = ring()
    network.pilot.crash()
    second = Pilot(network.world, network.sites)
    network.pilot.start(lost=True)
    second.start()
    network.world.run(12.0)
    phases = sorted(pilot.core.snapshot().phase for pilot in (network.pilot, second))
    assert phases == ["fenced", "leading"]


def test_a_database_that_was_restored_reuses_no_version() -> None:
    network = paper()
    for _ in range(4):
        link = network.between(*network.routes()["v"][1:3])
        network.cut_link(link)
        network.world.run(20.0)
        network.heal_link(link)
        network.world.run(1.0)
    assert max(entry.version for entry in network.written) == 5
    network.pilot.crash()
    network.pilot.start(back=len(network.pilot.saved) - 2)
    network.world.run(10.0)
    network.cut_link(network.between(*network.routes()["v"][1:3]))
    network.world.run(10.0)
    assert max(entry.version for entry in network.written) > 5
    assert not check(network)
