"""The metrics say how the network and its controller are, in a form that Prometheus reads."""

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from quiver.controller.figures import LABELS, figures_of
from quiver.controller.live_feed import LiveFeed
from quiver.controller.resources import Resources
from quiver.domain.sdn.demands import Demand, Origin
from quiver.net.http_exchange import HttpRequest
from quiver.net.metrics_plane import MetricsPlane
from tests.controller.ground import PATIENCE, WatchedEngine, running
from tests.controller.paper_network import PaperNetwork

A_TO_D = Demand(name="a-d", source="a", destination="d", origin=Origin.FILE)
TO_NOWHERE = Demand(name="a-z", source="a", destination="z", origin=Origin.FILE)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(engine: WatchedEngine) -> Samples:
    """Name and labels → value, as Prometheus' own parser reads them."""
    resources = Resources(engine, "controller-1")
    feed = LiveFeed(engine, resources)
    plane = MetricsPlane(lambda: figures_of(engine, resources, feed), host="127.0.0.1", labels=LABELS)
    answer = await plane.answer(HttpRequest("GET", "/metrics"))
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_they_tell_sessions_demands_links_and_what_was_done(tmp_path: Path) -> None:
    async def main() -> None:
        network = PaperNetwork("a-b", "b-d", "a-c", "c-d")
        network.agents["c"].up = False
        async with asyncio.timeout(PATIENCE), running(tmp_path, network, A_TO_D, TO_NOWHERE) as engine:
            await engine.until(lambda: engine.up("a-d"))
            found = await scraped(engine)
            assert found["quiver_controller_up", ()] == 1
            assert found["quiver_controller_phase", (("phase", "leading"),)] == 1
            assert found["quiver_controller_term", ()] == engine.live().term
            assert found["quiver_session_up", (("node", "a"),)] == 1
            assert found["quiver_session_up", (("node", "c"),)] == 0
            assert found["quiver_edits_total", (("node", "a"),)] == len(network.agents["a"].edits)
            assert found["quiver_link_up", (("link", "a-b"),)] == 1
            assert found["quiver_demands", (("state", "served"),)] == 1
            assert found["quiver_demands", (("state", "unserved"),)] == 1
            assert found["quiver_controller_entries_total", (("entry", "path-up"),)] == 1
            assert found["quiver_alarms_standing", (("severity", "critical"),)] == 1
            assert 0 <= found["quiver_report_age_seconds", (("node", "a"),)] < PATIENCE

    asyncio.run(main())


def test_without_a_controller_they_say_so(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, PaperNetwork("a-b")) as engine:
            pass
        found = await scraped(engine)
        assert found["quiver_controller_up", ()] == 0

    asyncio.run(main())
