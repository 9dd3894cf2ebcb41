"""The engine keeps its promises whatever agents, database and operators do."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from quiver.controller.database import ControllerDatabase
from quiver.controller.endpoints import AgentTable
from quiver.domain.errors import ConfigurationError, StorageError, UnavailableError
from quiver.domain.sdn.demands import Demand, Origin
from quiver.domain.sdn.orders import Edit
from quiver.net.addresses import Address
from tests.controller.ground import WatchedEngine, running
from tests.controller.paper_network import PaperNetwork

SQUARE = ("a-b", "b-d", "a-c", "c-d")
A_TO_D = Demand(name="a-d", source="a", destination="d", origin=Origin.FILE)


def scene(main: Callable[[], Awaitable[None]]) -> None:
    async def guarded() -> None:
        await main()

    asyncio.run(guarded())


def test_a_demand_becomes_a_path_that_all_its_nodes_hold(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))
            (key,) = network.held()
            assert network.held()[key] == set(engine.route("a-d"))

    scene(main)


def test_a_cut_link_moves_its_path_and_the_history_says_how_fast(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))
            relay = engine.route("a-d")[1]
            network.cut(f"a-{relay}")
            await engine.until(lambda: engine.up("a-d") and engine.route("a-d")[1] != relay)
            (moved,) = [one for one in await engine.history(most=100) if one.name == "rerouted"]
            assert moved.seconds["credit"] >= 0
            assert moved.about["route"] == " ".join(engine.route("a-d"))

    scene(main)


def test_a_controller_that_was_killed_goes_on_with_a_higher_term_and_the_paths_that_stand(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))
            term, held = engine.live().term, network.held()
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))
            assert engine.live().term > term
            assert all(agent.term == engine.live().term for agent in network.agents.values())
            assert network.held() == held
            relay = engine.route("a-d")[1]
            network.cut(f"a-{relay}")  # the agents on paper refuse a version number that was used before
            await engine.until(lambda: engine.up("a-d") and engine.route("a-d")[1] != relay)

    scene(main)


class FailingDatabase(ControllerDatabase):
    """Fails as long as `broken` is set."""

    broken = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def commit(self, *arguments, **options) -> None:
        if self.broken:
            self._loop.call_soon_threadsafe(self.failed.set)
            raise StorageError("the disk is full")
        super().commit(*arguments, **options)


def test_nothing_leaves_that_is_not_durable(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        made: list[FailingDatabase] = []

        def make(path: Path) -> FailingDatabase:
            made.append(FailingDatabase(path))
            made[0].broken = True
            return made[0]

        async with running(tmp_path, network, A_TO_D, database=make, ready=False) as engine:
            for _ in range(2):
                await made[0].failed.wait()
                made[0].failed.clear()
            assert not any(agent.stamps or agent.edits for agent in network.agents.values())
            made[0].broken = False
            await engine.until(lambda: engine.up("a-d"))

    scene(main)


def test_an_order_of_an_operator_that_was_not_durable_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        made: list[FailingDatabase] = []

        def make(path: Path) -> FailingDatabase:
            made.append(FailingDatabase(path))
            return made[0]

        network = PaperNetwork(*SQUARE)
        async with running(tmp_path, network, database=make) as engine:
            made[0].broken = True
            with pytest.raises(UnavailableError):
                await engine.order("operator o", "demand", lambda controller: controller.operator.demand(A_TO_D))
            made[0].broken = False
            await engine.until(lambda: True)
            assert not engine.live().demands

    scene(main)


@pytest.mark.parametrize("call", ["connect", "stamp", "read", "edit"])
def test_an_agent_that_never_answers_holds_up_nobody(tmp_path: Path, call: str) -> None:
    async def never(name: str, _argument: object) -> None:
        if name == call:
            await asyncio.Event().wait()

    async def main() -> None:
        network = PaperNetwork(*SQUARE, "d-e")
        network.agents["e"].hook = never
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))

    scene(main)


def test_an_agent_whose_word_makes_the_controller_fail_is_not_listened_to_for_a_while(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE, "d-e")
        network.agents["e"].report = lambda: "no report"  # type: ignore[method-assign,assignment,return-value]
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.restarts == 1)
            assert not engine.fleet.links["e"].up
            await engine.until(lambda: engine.up("a-d"))
            assert engine.restarts == 1

    scene(main)


def test_a_restarted_agent_is_read_and_its_path_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork("a-b")
        demand = Demand(name="a-b", source="a", destination="b", origin=Origin.FILE)
        async with running(tmp_path, network, demand) as engine:
            await engine.until(lambda: engine.up("a-b"))
            network.kill("b")
            await engine.until(lambda: not engine.fleet.links["b"].up)
            network.restart("b")
            network.agents["b"].entries.clear()  # its database is new
            network.agents["b"].marks.clear()
            network.look()
            await engine.until(lambda: not engine.up("a-b"))
            await engine.until(lambda: engine.up("a-b"))

    scene(main)


def test_what_the_file_no_longer_lists_goes_without_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        async with running(tmp_path, network, A_TO_D) as engine:
            await engine.until(lambda: engine.up("a-d"))
            await engine.take_over(network.tables()[:-1], [])
            await engine.until(lambda: "d" not in engine.fleet.links and not network.agents["a"].entries)
            assert [node.node for node in engine.live().nodes] == ["a", "b", "c"]
            await engine.take_over(network.tables(), [A_TO_D])
            await engine.until(lambda: engine.up("a-d"))

    scene(main)


def test_an_agent_of_an_operator_outlives_the_process(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        joining = AgentTable(id="d", tls=Address("d.example:6513"), peer=Address("d.example:8443"))

        def register(engine: WatchedEngine) -> Callable[[object], None]:
            def change(controller: object) -> None:
                controller.operator.admit("d", "d.example:8443")  # type: ignore[attr-defined]
                engine.registry.register(joining)

            return change

        agents = network.tables()[:-1]
        async with running(tmp_path, network, agents=agents) as engine:
            await engine.order("operator o", "register", register(engine))
            await engine.until(lambda: "d" in engine.fleet.up())
        async with running(tmp_path, network, A_TO_D, agents=agents) as engine:
            await engine.until(lambda: engine.up("a-d"))
            assert network.agents["a"].addresses == {"d": "d.example:8443"}

    scene(main)


def test_two_controllers_never_have_one_memory(tmp_path: Path) -> None:
    first = ControllerDatabase(tmp_path / "controller.sqlite")
    with pytest.raises(ConfigurationError, match="another process uses it"):
        ControllerDatabase(tmp_path / "controller.sqlite")
    first.close()


def test_no_agent_gets_two_edits_at_a_time(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork(*SQUARE)
        flying: dict[str, int] = {}

        def watch(node: str) -> Callable[[str, object], Awaitable[None]]:
            async def hook(name: str, argument: object) -> None:
                if name == "edit":
                    assert isinstance(argument, Edit)
                    flying[node] = flying.get(node, 0) + 1
                    assert flying[node] == 1
                    await asyncio.sleep(0)
                    flying[node] -= 1

            return hook

        for node, agent in network.agents.items():
            agent.hook = watch(node)
        demands = [Demand(name=f"v{i}", source="a", destination="d", origin=Origin.FILE) for i in range(20)]
        async with running(tmp_path, network, *demands) as engine:
            await engine.until(lambda: all(engine.up(demand.name) for demand in demands))

    scene(main)
