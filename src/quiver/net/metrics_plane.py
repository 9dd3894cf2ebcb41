"""The metrics plane: `GET /metrics` for Prometheus and `GET /health` for whoever watches the process.

It reads numbers when it is asked and keeps none. Labels are names of the configuration and causes; key material, key_IDs and what
SAEs send are never among them: only the labels named at its making are shown, and their number is bounded.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from quiver.domain import limits
from quiver.net.http_exchange import HttpAnswer, HttpRequest, refusal
from quiver.net.http_server import HttpServer
from quiver.net.tls import TlsContext

__all__ = ["LABELS", "MetricsPlane", "Sample"]

PREFIX: Final = "quiver_"
LABELS: Final = frozenset({"alarm", "cause", "link", "neighbour", "path", "state"})
_BODY: Final = 1024  # bytes of a request, which has no body
_PATHS: Final = ("/metrics", "/health")


class Sample(Protocol):
    """One number with its name.

    Attributes:
        name: without prefix and without `_total`; with its unit (`_bytes`, `_seconds`) where it has one.
        counter: whether it only rises while the process lives.
        about: what it counts.
        value: the number.
        labels: label → value; all samples of one name have the same labels.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def counter(self) -> bool: ...  # noqa: D102
    @property
    def about(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102


class _Samples(Collector):
    """Samples as families of Prometheus metrics."""

    def __init__(self, read: Callable[[], Iterable[Sample]], labels: frozenset[str]) -> None:
        self._read: Final = read
        self._labels: Final = labels

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: names come with the samples."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All families now.

        Raises:
            ValueError: a label is not allowed, samples of one name differ in their labels, or there are too many.
        """
        families: dict[str, tuple[tuple[str, ...], CounterMetricFamily | GaugeMetricFamily]] = {}
        for count, sample in enumerate(self._read(), start=1):
            labels = tuple(sorted(sample.labels))
            if not self._labels.issuperset(labels) or count > limits.METRIC_SAMPLES:
                message = (
                    f"{sample.name}: labels {labels} are not allowed, or more than {limits.METRIC_SAMPLES} samples"
                )
                raise ValueError(message)
            kind = CounterMetricFamily if sample.counter else GaugeMetricFamily
            if sample.name not in families:
                families[sample.name] = labels, kind(PREFIX + sample.name, sample.about, labels=labels)
            known, family = families[sample.name]
            if known != labels or not isinstance(family, kind):
                message = f"{sample.name}: labels {labels} beside {known}, or a counter beside a gauge"
                raise ValueError(message)
            family.add_metric([sample.labels[label] for label in labels], sample.value)
        for _, family in families.values():
            yield family


class MetricsPlane:
    """The listener for those who watch this node.

    Args:
        read: gives the samples of this moment.
        health: None while all is well, otherwise a sentence that says what is not.
        host: address to listen on, IPv4 or IPv6.
        port: 0 for any free one.
        tls: None for plain HTTP, on a loopback or management address.
        labels: names of labels that may be shown.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[Sample]],
        *,
        health: Callable[[], str | None] = lambda: None,
        host: str,
        port: int = 0,
        tls: TlsContext | None = None,
        labels: frozenset[str] = LABELS,
    ) -> None:
        self._registry: Final = CollectorRegistry()
        self._registry.register(_Samples(read, labels))
        ProcessCollector(namespace=PREFIX.rstrip("_"), registry=self._registry)
        self._health: Final = health
        self.server: Final = HttpServer(
            self.answer, plane="metrics", host=host, port=port, tls=tls, body_limit=_BODY, connections=limits.WATCHERS
        )

    @property
    def url(self) -> str:
        """`http://host:port`, with the real port."""
        return self.server.url

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self.server.start()

    async def stop(self) -> None:
        """Close the listener."""
        await self.server.stop()

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one request."""
        if request.path not in _PATHS:
            return refusal(404, f"no such path; {' and '.join(_PATHS)} are")
        if request.verb != "GET":
            return refusal(405, "only GET is allowed here", {"Allow": "GET"})
        if request.path == "/metrics":
            return HttpAnswer(body=generate_latest(self._registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
        trouble = self._health()
        said = {"status": "ok"} if trouble is None else {"status": "failing", "reason": trouble}
        return HttpAnswer(200 if trouble is None else 503, msgspec.json.encode(said))
