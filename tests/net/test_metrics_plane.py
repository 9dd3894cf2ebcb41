"""What a monitoring system reads of a node, over a real listener and with Prometheus' own parser."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from quiver.domain import limits
from quiver.net.metrics_plane import MetricsPlane


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    counter: bool = False
    about: str = "what it counts, in bytes"


def asked(
    *figures: Figure, path: str = "/metrics", verb: str = "GET", trouble: str | None = None, host: str = "127.0.0.1"
) -> tuple[int, str, str]:
    """Status, content type and body of one answer."""

    async def main() -> tuple[int, str, str]:
        plane = MetricsPlane(lambda: figures, health=lambda: trouble, host=host)
        await plane.start()
        try:
            async with aiohttp.ClientSession() as session, session.request(verb, f"{plane.url}{path}") as answer:
                return answer.status, answer.headers["Content-Type"], await answer.text()
        finally:
            await plane.stop()

    return asyncio.run(main())


def test_prometheus_reads_what_the_node_says() -> None:
    status, kind, text = asked(
        Figure("pad_burned_bytes", 16, {"cause": "expired"}, counter=True),
        Figure("pad_burned_bytes", 32, {"cause": "link-mismatch"}, counter=True),
        Figure("block_ready_bytes", 4096, {"path": "a→d/1/1"}),
        Figure("up", 1),
        host="::1",
    )
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    burned, ready = families["quiver_pad_burned_bytes"], families["quiver_block_ready_bytes"]
    assert (burned.type, burned.documentation) == ("counter", "what it counts, in bytes")
    assert {sample.labels["cause"]: sample.value for sample in burned.samples} == {"expired": 16, "link-mismatch": 32}
    assert {sample.name for sample in burned.samples} == {"quiver_pad_burned_bytes_total"}
    assert (ready.type, ready.samples[0].labels, ready.samples[0].value) == ("gauge", {"path": "a→d/1/1"}, 4096)
    assert families["quiver_process_resident_memory_bytes"].samples[0].value > 0
    assert all(name.startswith("quiver_") for name in families)


def test_a_plane_shows_its_own_node_only() -> None:
    asked(Figure("keys_delivered", 1, counter=True))
    assert "quiver_keys_delivered" not in asked(Figure("up", 1))[2]


@pytest.mark.parametrize(
    "figures",
    [
        (Figure("keys", 1, {"key_ID": "6f1c2b7e-54a4-4a53-9d5a-0a3a1c7f9a10"}),),
        (Figure("keys", 1, {"sae": "alice"}),),
        (Figure("keys", 1, {"link": "a-b"}), Figure("keys", 1, {"path": "a/1/1"})),
        (Figure("keys", 1), Figure("keys", 1, counter=True)),
        tuple(Figure("keys", 1, {"link": str(i)}) for i in range(limits.METRIC_SAMPLES + 1)),
    ],
    ids=["key_ID", "sae", "other-labels", "other-kind", "too-many"],
)
def test_labels_that_might_tell_something_are_never_shown(figures: tuple[Figure, ...]) -> None:
    with capture_logs() as logs:
        status, _, text = asked(*figures)
    assert status == 503
    assert json.loads(text) == {"message": "the server failed; nothing was promised"}
    assert "alice" not in str(logs)


def test_health_is_200_or_503_with_the_reason() -> None:
    assert asked(path="/health") == (200, "application/json", '{"status":"ok"}')
    assert asked(path="/health", trouble="the key database cannot be written") == (
        503,
        "application/json",
        '{"status":"failing","reason":"the key database cannot be written"}',
    )


def test_nothing_else_is_there() -> None:
    assert asked(path="/")[0] == 404
    assert asked(path="/api/v1/keys/bob/enc_keys")[0] == 404
    assert asked(verb="POST")[0] == 405
