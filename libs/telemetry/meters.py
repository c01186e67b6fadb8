"""Counts and durations, kept in the process and read as Prometheus text; labels have few values, so no ids in them.

Declaring a metric costs an entry in a table; the Prometheus client, which brings an HTTP server with it, is imported
when the first one is used. `declared` is what docs/metrics.md is written from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram  # noqa: F401 (the classes' parameters below)
    from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound="MetricWrapperBase")
H = TypeVar("H", bound="Meter[Any]")

# From a store write (1 ms) to a training run (1 h), in seconds.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)
SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""For requests and transactions."""


@dataclass(frozen=True)
class About:
    """What a metric is called, is for, and is told apart by; `kind` is Counter, Gauge or Histogram."""

    name: str
    kind: str
    what: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


class Meter(Generic[M]):
    """A metric by its name; the real one is made when it is first used."""

    def __init__(self, about: About) -> None:
        self.about = about
        self._made: M | None = None
        self._children: dict[tuple[str, ...], M] = {}

    @property
    def real(self) -> M:
        """The Prometheus client's own object."""
        if self._made is None:
            self._made = _make(self.about)
        return self._made

    def labels(self, *values: str) -> M:
        """The series with these values, in the order of the declared labels."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self.real.labels(*values)
        return child


class CounterMeter(Meter["Counter"]):
    def inc(self, amount: float = 1.0) -> None:
        self.real.inc(amount)


class GaugeMeter(Meter["Gauge"]):
    def set(self, value: float) -> None:
        self.real.set(value)

    def clear(self) -> None:
        """Forgets all labelled series: for those that are told anew at every scrape."""
        self._children.clear()
        self.real.clear()


class HistogramMeter(Meter["Histogram"]):
    def observe(self, value: float) -> None:
        self.real.observe(value)


_declared: dict[str, Meter[Any]] = {}


def counter(name: str, what: str = "", labels: Sequence[str] = ()) -> CounterMeter:
    """The counter of that name: `counter("letters_said").inc()`, or `.labels("x").inc()`."""
    total = name if name.endswith("_total") else f"{name}_total"
    return _declare(CounterMeter, About(_full(total), "Counter", what or name, tuple(labels)))


def gauge(name: str, what: str = "", labels: Sequence[str] = ()) -> GaugeMeter:
    """The gauge of that name: a value that goes up and down."""
    return _declare(GaugeMeter, About(_full(name), "Gauge", what or name, tuple(labels)))


def histogram(
    name: str, what: str = "", labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS_S
) -> HistogramMeter:
    """The histogram of that name; names of durations end with `_seconds`."""
    return _declare(HistogramMeter, About(_full(name), "Histogram", what or name, tuple(labels), tuple(buckets)))


def declared() -> Sequence[About]:
    """Every metric of the modules that are imported, by name."""
    return [_declared[key].about for key in sorted(_declared)]


def metrics_text() -> str:
    """Everything measured so far, and the process's own memory and CPU, in Prometheus' text format."""
    from prometheus_client import REGISTRY, generate_latest

    for meter in _declared.values():  # what was never counted is 0, so that its first rise is seen as one
        if not meter.about.labels and meter.about.kind != "Gauge":
            _ = meter.real
    return generate_latest(REGISTRY).decode()


def _full(name: str) -> str:
    return name if name.startswith("millstream_") else f"millstream_{name}"


def _declare(handle: Callable[[About], H], about: About) -> H:
    key = about.name.removesuffix("_total")
    found = _declared.get(key)
    if found is None:
        found = _declared[key] = handle(about)
    if found.about.kind != about.kind:
        raise ValueError(f"the metric {about.name} is already a {found.about.kind}")
    return found  # type: ignore[return-value]  # the kind says which class it is


def _make(about: About) -> Any:
    import prometheus_client

    # The client's second series for each counter, the time of its making, is one that nobody reads.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    make = getattr(prometheus_client, about.kind)
    more = {"buckets": about.buckets} if about.buckets else {}
    return make(about.name, about.what, about.labels, **more)
