"""Counts and durations of this process in the Prometheus text form; a fresh registry, so tests may hold several."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Labels are protocol, route and code only: nothing a caller chooses, so the number of series is bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names = ["protocol", "route", "code"]
        self._requests = Counter("millstream_model_requests", "Answered requests.", names, registry=self.registry)
        self._seconds = Histogram(
            "millstream_model_request_seconds", "Time to answer.", ["protocol"], buckets=BUCKETS, registry=self.registry
        )
        self._predict = Histogram(
            "millstream_model_predict_seconds", "Time inside the model.", buckets=BUCKETS, registry=self.registry
        )

    def answered(self, protocol: str, route: str, code: str, seconds: float) -> None:
        self._requests.labels(protocol, route, code).inc()
        self._seconds.labels(protocol).observe(seconds)

    def predicted(self, seconds: float) -> None:
        self._predict.observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)
