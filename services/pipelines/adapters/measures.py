"""The figures of runs and steps; of the replica that decides alone, so that a sum over replicas is right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from libs import telemetry
from services.pipelines.adapters.conductor import Conductor

RUNS = telemetry.gauge("active_runs", "Runs that go on")
WAITING = telemetry.gauge("waiting_steps", "Steps that wait until others leave them a place")
RUNNING = telemetry.gauge("running_steps", "Steps that have a pod, or are getting one")


def run_measure(conductor: Conductor) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """For App.measures."""

    async def runs() -> None:
        counts = conductor.pods.counts
        RUNS.set(len(conductor.live))
        WAITING.set(counts["waiting"])
        RUNNING.set(counts["running"])

    return {"runs": runs}
