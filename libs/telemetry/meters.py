"""Counts and durations, kept in the process and read as Prometheus text; labels have few values, so no ids in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # Imported at the first metric: the module brings an HTTP server with it.
    from prometheus_client import Counter, Gauge, Histogram
    from prometheus_client.metrics import MetricWrapperBase

    M = TypeVar("M", bound=MetricWrapperBase)

# From a store write (1 ms) to a training run (1 h), in seconds.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)

_made: dict[str, MetricWrapperBase] = {}


def counter(name: str, what: str = "", labels: Sequence[str] = ()) -> Counter:
    """The counter of that name, made at the first call: `counter("letters_said").inc()`, or `.labels("x").inc()`."""
    from prometheus_client import Counter

    return _get(name, Counter, lambda: Counter(_full(name), what or name, labels))


def gauge(name: str, what: str = "", labels: Sequence[str] = ()) -> Gauge:
    """The gauge of that name, made at the first call: a value that goes up and down."""
    from prometheus_client import Gauge

    return _get(name, Gauge, lambda: Gauge(_full(name), what or name, labels))


def histogram(name: str, what: str = "", labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS_S) -> Histogram:
    """The histogram of that name, made at the first call; names of durations end with `_seconds`."""
    from prometheus_client import Histogram

    return _get(name, Histogram, lambda: Histogram(_full(name), what or name, labels, buckets=buckets))


def metrics_text() -> str:
    """Everything measured so far, and the process's own memory and CPU, in Prometheus' text format."""
    from prometheus_client import REGISTRY, generate_latest

    return generate_latest(REGISTRY).decode()


def _full(name: str) -> str:
    return name if name.startswith("millstream_") else f"millstream_{name}"


def _get(name: str, kind: type[M], make: Callable[[], M]) -> M:
    found = _made.get(name)
    if found is None:
        found = _made[name] = make()
    if not isinstance(found, kind):
        raise ValueError(f"the metric {name} is already a {type(found).__name__}")
    return found
