"""What the metrics plane shows of a node, as Prometheus reads it."""

import asyncio
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from quiver.agent.engine import Engine
from quiver.agent.figures import figures_of
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.network import Directory, LinkEntry, Network
from quiver.net.metrics_plane import MetricsPlane
from quiver.store.sqlite import SqliteDatabase


class Nobody:
    """A network in which no message arrives."""

    async def send(self, *message: Any) -> Any:
        await asyncio.Event().wait()

    async def drop(self, peer: str, link: str) -> None:
        """There is no connection."""


def values(engine: Engine) -> dict[tuple[str, str, str], float]:
    """(name, link, state) → value, read through the metrics plane's own collector."""
    plane = MetricsPlane(lambda: figures_of(engine), host="127.0.0.1")
    registry = plane._registry
    assert isinstance(registry, CollectorRegistry)
    return {
        (sample.name, sample.labels.get("link", ""), sample.labels.get("state", "")): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_states_of_links_and_devices_are_shown_one_of_each(tmp_path: Path) -> None:
    network = Network("alice", (LinkEntry("a-b", "bob"), LinkEntry("a-c", "carol")), (), Directory())

    async def scenario() -> None:
        database = SqliteDatabase(tmp_path / "alice" / "keys.sqlite")
        engine = Engine(network, bytes(32), database, Nobody(), {})
        task = asyncio.create_task(engine.run())
        async with asyncio.timeout(20):
            while engine.trouble is not None:  # noqa: ASYNC110  # the engine's state has no event of its own
                await asyncio.sleep(0.01)
        engine.node.ends.facts("a-b", DeviceFacts(stored=9, qber=0.034))
        engine.node.ends.links.heard("bob", "a-b")
        engine.node.ends.refused("a-c")
        shown = values(engine)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        database.close()
        assert shown["quiver_link_state", "a-b", "up"] == 1
        assert shown["quiver_link_state", "a-c", "unknown"] == 1
        assert sum(v for (name, link, _), v in shown.items() if (name, link) == ("quiver_link_state", "a-b")) == 1
        assert shown["quiver_device_state", "a-b", "ready"] == 1
        assert shown["quiver_device_state", "a-c", "dry"] == 1
        assert shown["quiver_link_qber", "a-b", ""] == 0.034
        assert ("quiver_link_qber", "a-c", "") not in shown
        assert shown["quiver_device_refusals_total", "a-c", ""] == 1
        assert shown["quiver_requests_refused_total", "", ""] == 0

    asyncio.run(scenario())
