"""Many agents on one machine, each with a NETCONF server of its own, and one controller: the short version of `make scale`."""

import asyncio
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvloop

from quiver.bench.emulated.network import EmulatedNetwork
from quiver.bench.emulated.plan import EmulationPlan
from quiver.bench.emulated.reroute import DEPTH, Cut, demands_between, reroutes
from quiver.demo.observer import Observer
from quiver.simulate.networks import network_named
from tests.chaos import checks

pytestmark = pytest.mark.processes

NETWORK = "backbone-145+12"
DEMANDS = 30
LEAST = 10  # reroutes
SEED = 1
PATIENCE = 60.0  # seconds until old versions are gone everywhere
LOOK = 0.5


async def leftovers(network: EmulatedNetwork) -> list[str]:
    """What is not whole, or too much, at any agent, as an auditor reads it there."""
    own = SimpleNamespace(auditor=network.auditor(), management_trust=network.plan.pki / "management-ca.pem")
    async with Observer(own) as observer:
        await observer.watch(network.addresses)
        end = asyncio.get_running_loop().time() + PATIENCE
        while True:
            reports, paths = await observer.reports(), await network.operator.all("paths")
            found = checks.paths_are_whole_or_absent(reports) + checks.nothing_is_left_over(reports, paths)
            found += checks.demands_have_credit(reports, (demand.name for demand in network.demands))
            if not found or asyncio.get_running_loop().time() > end:
                return found
            await asyncio.sleep(LOOK)


async def cut_and_repair(root: Path) -> tuple[int, list[Cut], list[str]]:
    """Sessions of the controller, what came of the cuts, and what is left of them."""
    network = network_named(NETWORK)
    plan = EmulationPlan.of(network, 2, root)
    async with EmulatedNetwork(plan, demands_between(network.users, DEMANDS, SEED, DEPTH)) as emulated:
        cuts = await reroutes(emulated, LEAST, SEED)
        return await emulated.sessions(), cuts, await leftovers(emulated)


def test_one_controller_leads_many_agents_and_leads_paths_round_each_cut_without_leaving_anything_behind():
    with tempfile.TemporaryDirectory(prefix="scale-") as root:
        sessions, cuts, left = uvloop.run(cut_and_repair(Path(root)))
    assert sessions == len(network_named(NETWORK).graph().nodes)
    assert sum(len(cut.credit) for cut in cuts) >= LEAST
    assert all(cut.credit for cut in cuts), "each cut link carried a path"
    assert left == []
