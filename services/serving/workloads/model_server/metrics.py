"""Counts and durations of this process in the Prometheus text form; a fresh registry, so tests may hold several."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """Labels are protocol, route and code only: nothing a caller chooses, so the number of series is bounded.

    Which InferenceService it is, the scraper knows from the pod's label; the model's version is in `model_info`.
    """

    def __init__(self) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        here = {"registry": self.registry}
        self._requests = Counter(
            "millstream_model_requests", "Answered requests.", ["protocol", "route", "code"], **here
        )
        self._seconds = Histogram(
            "millstream_model_request_seconds", "Time to answer.", ["protocol", "route"], buckets=BUCKETS, **here
        )
        self._predict = Histogram("millstream_model_predict_seconds", "Time inside the model.", buckets=BUCKETS, **here)
        self._in_hand = Gauge("millstream_model_predictions_in_hand", "Predictions begun and not yet done.", **here)
        self._ready = Gauge("millstream_model_ready", "1 where new traffic should come here.", **here)
        self._known: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._info = Gauge("millstream_model_info", "Always 1; says what is served.", ["model", "version"], **here)

    def serves(self, model: str, version: str) -> None:
        self._info.labels(model, version).set(1)

    def answered(self, protocol: str, route: str, code: str, seconds: float) -> None:
        key = (protocol, route, code)
        if key not in self._known:  # finding a series by its labels costs more than counting in it
            self._known[key] = self._requests.labels(*key), self._seconds.labels(protocol, route)
        requests, times = self._known[key]
        requests.inc()
        times.observe(seconds)

    def begun(self) -> None:
        self._in_hand.inc()

    def done(self, seconds: float) -> None:
        self._in_hand.dec()
        self._predict.observe(seconds)

    def text(self, *, ready: bool) -> bytes:
        self._ready.set(float(ready))
        return generate_latest(self.registry)
