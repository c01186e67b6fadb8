"""The few forms that the dashboards' queries take; their legends name what tells the lines apart.

Replicas that look at the same store or broker tell the same figure: `most`, never `total`, for a gauge of those.
"""

from __future__ import annotations

from millstream.dev.monitoring.panels import Query

Queries = list[Query]
WINDOW = "[$__rate_interval]"


def rate(metric: str, labels: str, by: str) -> Queries:
    """Per second, summed over replicas."""
    return [(f"sum by ({by}) (rate({_full(metric)}{{{labels}}}{WINDOW}))", _legend(by))]


def rise(metric: str, labels: str, by: str) -> Queries:
    """How many more within a step of the graph."""
    return [(f"sum by ({by}) (increase({_full(metric)}{{{labels}}}{WINDOW}))", _legend(by))]


def quantiles(metric: str, labels: str, by: str = "") -> Queries:
    """The median and the slowest hundredth of a histogram."""
    groups = f"le, {by}" if by else "le"
    buckets = f"sum by ({groups}) (rate({_full(metric)}_bucket{{{labels}}}{WINDOW}))"
    return [(f"histogram_quantile({part}, {buckets})", f"{_legend(by)} {name}".strip()) for part, name in _PARTS]


def most(metric: str, labels: str, by: str = "") -> Queries:
    return [(_folded("max", metric, labels, by), _legend(by) or metric.replace("_", " "))]


def least(metric: str, labels: str, by: str = "") -> Queries:
    return [(_folded("min", metric, labels, by), _legend(by) or metric.replace("_", " "))]


def total(metric: str, labels: str, by: str = "") -> Queries:
    return [(_folded("sum", metric, labels, by), _legend(by) or metric.replace("_", " "))]


def share(part: str, whole: str, labels: str, by: str) -> Queries:
    """One gauge as a part of another."""
    return [(f"{_folded('max', part, labels, by)} / {_folded('max', whole, labels, by)}", _legend(by))]


def each(expression: str, by: str) -> Queries:
    """An expression as it is."""
    return [(expression, _legend(by))]


_PARTS = ((0.5, "median"), (0.99, "p99"))


def _folded(how: str, metric: str, labels: str, by: str) -> str:
    return f"{how} by ({by}) ({_full(metric)}{{{labels}}})" if by else f"{how}({_full(metric)}{{{labels}}})"


def _legend(by: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by.split(", ") if label)


def _full(metric: str) -> str:
    return metric if metric.startswith(("process_", "up")) else f"millstream_{metric}"
