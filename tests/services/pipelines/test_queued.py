"""What a step asks the scheduler for, and in which queue: its own labels count before its run's; bad names are refused
when the run is asked for."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.events.scheduling.v1 import WorkloadAdmitted, WorkloadEvicted
from services.pipelines.domain import queued
from services.pipelines.domain.claims import CREATE
from services.pipelines.domain.runs import RunOptions
from services.pipelines.domain.steps.values import StepOrder

NOW = datetime(2026, 11, 1, tzinfo=UTC)
QUEUE, CLASS, LIMIT = (f"kueue.x-k8s.io/{name}" for name in ("queue-name", "priority-class", "max-exec-time-seconds"))
RUN = "6a3f0c1e-0000-4000-8000-000000000001"


def order(labels: dict[str, str] | None = None, **more: Any) -> StepOrder:
    about = {"run_id": RUN, "namespace": "team", "uid": RUN, "attempt": 1, "path": "root/train", "name": "train"}
    told = {"component": "comp-train", "image": "python:3.11", "command": (), "executor_input": {}}
    platform = {"podMetadata": {"labels": labels or {}}, "nodeSelector": {"labels": {"disk": "ssd"}}}
    return StepOrder(**{**about, **told, "platform": platform, **more})


def test_a_step_counts_what_its_container_asks_for_in_the_queue_that_it_or_its_run_names():
    resources = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "4", "nvidia.com/gpu": "1"}}
    ask = queued.wanted(order(resources=resources), RunOptions(queue="gold", priority_class="high"))
    assert ask and (ask.labels[QUEUE], ask.labels[CLASS]) == ("gold", "high")
    assert ask.pods.requests == {"cpu": "2", "memory": "1073741824", "nvidia.com/gpu": "1"}
    assert (ask.pods.count, ask.pods.node_selector) == (1, {"disk": "ssd"})
    own = queued.wanted(order({QUEUE: "own", CLASS: "low"}), RunOptions(queue="gold", priority_class="high"))
    assert own and (own.labels[QUEUE], own.labels[CLASS]) == ("own", "low")


def test_who_names_no_queue_and_what_needs_no_pod_asks_nobody():
    assert queued.wanted(order(), RunOptions()) is None
    assert queued.wanted(order({CLASS: "high"}), RunOptions()) is None
    assert queued.wanted(order(image=CREATE), RunOptions(queue="gold")) is None


@pytest.mark.parametrize(
    ("queue", "priority_class", "labels", "wrong"),
    [
        ("Gold!", "", {}, "queue: 'Gold!' is not a name"),
        ("", "high", {}, "name one in `queue`"),
        ("", "", {QUEUE: "a_b"}, "executor exec-train: label kueue.x-k8s.io/queue-name: 'a_b'"),
        ("", "", {QUEUE: "gold", LIMIT: "0"}, "'0' is no number of seconds"),
    ],
)
def test_what_no_queue_is_called_is_refused_with_its_field(queue: str, priority_class: str, labels: Any, wrong: str):
    with pytest.raises(ValueError, match=re.escape(wrong)):
        queued.options(queue, priority_class, {"exec-train": {"podMetadata": {"labels": labels}}})


def test_the_workload_of_a_step_goes_with_its_pipelinerun_or_with_nothing_that_is_not_served():
    owner = {"apiVersion": "millstream.dev/v1alpha1", "kind": "PipelineRun", "name": "once", "uid": RUN}
    for made_for, owners in (("once", [owner]), ("", [])):
        step = order()
        ask = queued.wanted(step, RunOptions(queue="gold", pipeline_run=made_for))
        assert ask is not None
        assert queued.asks(queued.seat(step, ask), NOW)[1].owners == owners


def seat() -> queued.Seat:
    step = order({QUEUE: "gold", LIMIT: "60"})
    ask = queued.wanted(step, RunOptions())
    assert ask
    return queued.seat(step, ask)


def admitted(one: queued.Seat, admission: str, generation: int | None = None) -> WorkloadAdmitted:
    about = {"namespace": one.namespace, "name": one.name, "uid": one.uid, "kind": queued.KIND}
    return WorkloadAdmitted(**about, admission=admission, generation=one.attempt if generation is None else generation)


def evicted(one: queued.Seat, admission: str, reason: str = "Preempted") -> WorkloadEvicted:
    about = {"namespace": one.namespace, "name": one.name, "uid": one.uid, "kind": queued.KIND}
    return WorkloadEvicted(**about, admission=admission, reason=reason, message="m", generation=one.attempt)


def test_the_same_attempt_asks_under_the_same_name_and_says_how_long_it_may_take():
    one, command = queued.asks(seat(), NOW)
    assert queued.asks(seat(), NOW) == (one, command)
    assert (command.queue, command.max_execution_s, command.after) == ("gold", 60, None)
    again, repeated = queued.asks(one, NOW)
    assert repeated == command and queued.why(again).startswith("waits in queue gold")


def test_an_answer_that_comes_late_or_twice_starts_nothing():
    waiting, _ = queued.asks(seat(), NOW)
    running = queued.heard(waiting, admitted(waiting, "1"))
    assert running and running.may_run and running.pod == 1
    assert queued.heard(running, admitted(waiting, "1")) is None
    gone = queued.heard(running, evicted(running, "1"))
    assert gone and gone.is_leaving and not gone.may_run
    assert queued.heard(gone, admitted(waiting, "1")) is None
    back, command = queued.asks(replace(queued.freed(gone), attempt=2), NOW)
    assert (command.after, command.generation, back.waits) == ("1", 2, True)
    assert queued.heard(back, admitted(back, "1")) is None, "by the admission that was given back nothing starts"
    assert queued.heard(back, admitted(back, "2", generation=1)) is None, "nor by an answer to the earlier wish"
    assert queued.heard(replace(back, over="Failed"), admitted(back, "2")) is None


def test_whoever_a_person_sets_aside_rests_until_its_workload_is_made_active():
    waiting, _ = queued.asks(seat(), NOW)
    running = queued.heard(waiting, admitted(waiting, "1"))
    assert running
    gone = queued.heard(running, evicted(running, "1", "Deactivated"))
    assert gone and queued.outcome(gone).evicted
    rests, command = queued.asks(replace(queued.freed(gone), attempt=2), NOW)
    assert command.suspended and command.after == "1" and not rests.waits
    assert "set spec.active of its Workload to true" in queued.why(rests)
    resumed = queued.heard(rests, admitted(rests, "2"))
    assert resumed and resumed.may_run and resumed.pod == 2


def test_its_own_time_limit_is_a_failure_like_any_other():
    waiting, _ = queued.asks(seat(), NOW)
    running = queued.heard(waiting, admitted(waiting, "1"))
    assert running
    gone = queued.heard(running, evicted(running, "1", "MaximumExecutionTimeExceeded"))
    assert gone and not queued.outcome(gone).evicted
    assert "longer than the 60 s" in queued.outcome(gone).error.message
