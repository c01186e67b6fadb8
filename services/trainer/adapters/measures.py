"""The trainer's own figures: restarts by their cause, and what part of their time finished jobs made use of."""

from collections.abc import Sequence
from typing import Any

from contracts.events.training.v1 import TrainJobFailed, TrainJobRestarted, TrainJobSucceeded
from contracts.messages import Message
from libs import telemetry

RESTARTS = telemetry.counter("job_restarts", "Times that all nodes of a job began again after a failure", ("reason",))
GOODPUT = telemetry.histogram(
    "job_goodput_ratio",
    "Part of the time from a job's first start to its end that made steps which were kept, of jobs that report steps",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)


def count(events: Sequence[Message], status: dict[str, Any]) -> None:
    """What was just said about a job of this status; once for each, after it was stored."""
    for event in events:
        if isinstance(event, TrainJobRestarted):
            RESTARTS.labels(event.reason).inc()
        elif isinstance(event, (TrainJobFailed, TrainJobSucceeded)) and status.get("goodput") is not None:
            GOODPUT.observe(status["goodput"])
