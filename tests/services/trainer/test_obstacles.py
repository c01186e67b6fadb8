"""Jobs whose pods do not run, or were taken away: what is shown, what is done, and when a whole job begins again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts.kinds.trainjob import read_error
from contracts.kinds.upstream import upstream
from libs.base.clock import rfc3339
from libs.base.errors import ApiError, Forbidden, TooManyRequests, Unavailable
from libs.resources.plan import Ensure, Plan, Remove
from services.trainer.domain import columns, disruption, starting
from services.trainer.domain.observed import Observed
from services.trainer.plugins import FRAMEWORKS
from services.trainer.reconcile import trainjob as reconcile
from tests.services.trainer.builders import NOW, RUNTIME, SITE, admitted, child, job, pod

SDKS = upstream("kubeflow_trainer_api", "trainer_v1alpha1_train_job", "TrainerV1alpha1TrainJob")
"""What the Kubeflow SDK reads a job with."""
STANDING = {"service": True, "secret": True}


def _world(trainjob: dict[str, Any], **seen: Any) -> reconcile.World:
    return reconcile.World(trainjob, RUNTIME, Observed(**{**STANDING, **seen}), FRAMEWORKS, SITE, "token", NOW)


def _plan(trainjob: dict[str, Any], **seen: Any) -> Plan:
    return reconcile.plan(_world(trainjob, **seen))


def _after(trainjob: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """The job as it is stored after the plan."""
    assert plan.status is not None
    stored = {**trainjob, "status": plan.status}
    assert read_error(SDKS, stored) is None
    return stored


def _child(uid: str = "first", condition: str | None = None, reason: str = "", **spec: Any) -> dict[str, Any]:
    made = child(condition, reason, **{"suspend": False, "completions": 2, **spec})
    made["metadata"] |= {"uid": uid, "creationTimestamp": rfc3339(NOW - timedelta(minutes=5))}
    return made


def _waiting(index: int, reason: str, message: str = "") -> dict[str, Any]:
    made = pod(index, "Pending")
    made["status"]["containerStatuses"] = [
        {"name": "node", "state": {"waiting": {"reason": reason, "message": message}}}
    ]
    return made


def _notes(plan: Plan) -> list[tuple[str, str]]:
    events = [a.obj for a in plan.actions if isinstance(a, Ensure) and a.obj["kind"] == "Event"]
    return [(event["type"], event["reason"]) for event in events]


def _condition(plan: Plan) -> dict[str, Any]:
    assert plan.status is not None
    (only,) = plan.status["conditions"]
    return only


MISSING = _waiting(1, "CreateContainerConfigError", "container node: no command: images have none here")


def test_a_job_that_cannot_start_waits_and_says_why_in_status_column_and_event():
    plan = _plan(admitted(), job=_child(), pods=(pod(0, "Running"), MISSING))
    told = _condition(plan)
    assert (told["type"], told["status"], told["reason"]) == ("PodsReady", "False", "CreateContainerConfigError")
    assert told["message"].startswith("node-1: container node: ") and "no command" in told["message"]
    assert ("Warning", "CreateContainerConfigError") in _notes(plan)
    assert plan.requeue_after == reconcile.LOOK_FOR_PODS_S
    assert columns.job_state(_after(admitted(), plan)) == "CreateContainerConfigError"


def test_the_condition_goes_when_all_pods_run():
    before = _after(admitted(), _plan(admitted(), job=_child(), pods=(pod(0, "Running"), MISSING)))
    plan = _plan(before, job=_child(), pods=(pod(0, "Running"), pod(1, "Running")))
    assert plan.status is not None and plan.status["conditions"] == [] and plan.requeue_after is None
    assert columns.job_state(_after(before, plan)) == "Running"


def test_what_stays_the_same_is_neither_written_nor_told_again():
    seen = {"job": _child(), "pods": (_waiting(0, "ErrImagePull", "no such image"),)}
    first = _after(admitted(), _plan(admitted(), **seen))
    by_turns = {"job": _child(), "pods": (_waiting(0, "ImagePullBackOff", 'Back-off pulling image "x"'),)}
    again = reconcile.plan(replace(_world(first, **by_turns), now=NOW + timedelta(seconds=30)))
    assert again.status == first["status"] and _notes(again) == []


def test_an_image_without_a_valid_name_fails_the_job_and_leaves_nothing_waiting():
    plan = _plan(admitted(), job=_child(), pods=(_waiting(0, "InvalidImageName", "couldn't parse image"),))
    told = _condition(plan)
    assert (told["type"], told["reason"]) == ("Failed", "InvalidImageName")
    assert "create a new job" in told["message"]
    removed = [action.name for action in plan.actions if isinstance(action, Remove)]
    assert removed == ["digits-node-0", "digits", "digits-progress"]
    assert [type(event).__name__ for event in plan.events] == ["TrainJobFailed", "FinishWorkload"]


def test_events_are_read_only_of_what_is_late_and_mute():
    young = _child()
    young["metadata"]["creationTimestamp"] = rfc3339(NOW - timedelta(seconds=2))
    assert starting.unexplained(Observed(job=young), NOW) == []
    assert starting.unexplained(Observed(job=_child()), NOW) == ["first"], "no pods: the Job's own events"
    mute = _waiting(0, "ContainerCreating")
    mute["metadata"] |= {"uid": "mute", "creationTimestamp": rfc3339(NOW - timedelta(minutes=1))}
    assert starting.unexplained(Observed(job=_child(), pods=(mute, MISSING)), NOW) == ["mute"]
    assert starting.unexplained(Observed(job=_child(), pods=(pod(0, "Running"), pod(1, "Running"))), NOW) == []


DENIED = {
    "metadata": {},
    "type": "Warning",
    "reason": "FailedCreate",
    "message": 'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
    "lastTimestamp": "2026-11-22T09:59:00Z",
}


def test_pods_that_admission_denies_are_told_of_and_stay_told_when_the_events_are_gone():
    first = _after(admitted(), _plan(admitted(), job=_child(), events=(DENIED,)))
    (told,) = first["status"]["conditions"]
    assert told["reason"] == "PodSecurityViolation" and "waiting does not help" in told["message"]
    assert _condition(_plan(first, job=_child())) == told


def test_a_job_that_is_over_quota_waits_until_it_is_not():
    def refused(trainjob: dict[str, Any], error: ApiError) -> Plan:
        plan = reconcile.refused(_world(trainjob, service=False, secret=False), error)
        assert plan is not None
        return plan

    error = Forbidden('jobs.batch "digits-node-0" is forbidden: exceeded quota: team, requested: count/jobs.batch=1')
    plan = refused(admitted(), error)
    assert _condition(plan)["reason"] == "QuotaExceeded" and plan.requeue_after == reconcile.TRY_AGAIN_S
    assert _notes(plan) == [("Warning", "QuotaExceeded")] and not plan.events
    assert _notes(refused(_after(admitted(), plan), error)) == []


def test_troubles_of_the_cluster_itself_are_no_refusal():
    assert reconcile.refused(_world(admitted()), Unavailable("the cluster does not answer")) is None
    assert reconcile.refused(_world(admitted()), TooManyRequests("later", retry_after_s=5)) is None


def _disrupted(index: int, phase: str = "Failed", at: str = "2026-11-22T09:58:00Z", **more: Any) -> dict[str, Any]:
    made = pod(index, phase, **more)
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "lastTransitionTime": at,
    }
    made["status"]["conditions"] = [{**condition, "message": "preempted by a pod of higher priority"}]
    return made


def _failed(index: int, made_at: str = "2026-11-22T09:50:00Z", second: int = 2) -> dict[str, Any]:
    ended = pod(index, "Failed", exitCode=1, finishedAt=f"2026-11-22T09:58:{second:02}Z")
    ended["metadata"]["creationTimestamp"] = made_at
    return ended


OVER = _child("first", "Failed", "BackoffLimitExceeded")


def test_a_disruption_is_noted_while_its_pod_can_be_seen():
    plan = _plan(admitted(), job=_child(), pods=(pod(0, "Running"), _disrupted(1, "Running")))
    assert plan.status is not None
    assert plan.status["disruption"] == {
        "job": "first", "node": "node-1", "reason": "PreemptionByScheduler", "time": "2026-11-22T09:58:00Z",
        "message": "preempted by a pod of higher priority",
    }  # fmt: skip


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param((_failed(0), _disrupted(1)), id="the pod is still there"),
        pytest.param((_failed(0),), id="its pod is gone, the note is not"),
        pytest.param((_failed(0), pod(1, "Running")), id="its pod was replaced already"),
    ],
)
def test_all_nodes_begin_again_when_one_was_taken_away(pods: tuple[dict[str, Any], ...]):
    noted = _after(admitted(), _plan(admitted(), job=_child(), pods=(pod(0, "Running"), _disrupted(1, "Running"))))
    plan = _plan(noted, job=OVER, pods=pods)
    marked = _after(noted, plan)
    assert (marked["status"]["restarts"], marked["status"]["restartedFrom"]) == (1, "first")
    assert _condition(plan)["reason"] == "Restarting"
    assert [type(event).__name__ for event in plan.events] == ["TrainJobRestarted"]
    assert not [action for action in plan.actions if isinstance(action, Remove)], "the mark comes before the deed"

    clearing = _plan(marked, job=OVER, pods=pods)
    assert [action.name for action in clearing.actions if isinstance(action, Remove)] == ["digits-node-0"]
    assert clearing.status is None, "counted once"
    waiting = _plan(marked, pods=pods)
    assert not waiting.actions and waiting.requeue_after == reconcile.LOOK_AGAIN_S
    begun = _plan(marked)
    assert [action.obj["kind"] for action in begun.actions if isinstance(action, Ensure)] == ["Job"]
    running = _plan(marked, job=_child("second"), pods=(pod(0, "Running"), pod(1, "Running")))
    assert running.status is not None and running.status["conditions"] == [] and running.status["restarts"] == 1


def _deleted(index: int, phase: str, **more: Any) -> dict[str, Any]:
    """A pod that was told at 09:58:00 to go within ten seconds."""
    made = pod(index, phase, **more)
    times = {"creationTimestamp": "2026-11-22T09:50:00Z", "deletionTimestamp": "2026-11-22T09:58:10Z"}
    made["metadata"] |= {**times, "deletionGracePeriodSeconds": 10}
    return made


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_job_whose_pod_somebody_deletes_begins_again(nodes: int):
    wanted = admitted(spec={"trainer": {"numNodes": nodes}})
    others = tuple(pod(at, "Running") for at in range(nodes - 1))
    size = {"completions": nodes}
    leaving = _plan(wanted, job=_child(**size), pods=(*others, _deleted(nodes - 1, "Running")))
    noted = _after(wanted, leaving)
    assert (noted["status"]["disruption"]["reason"], noted["status"]["disruption"]["time"]) == (
        "PodDeleted", "2026-11-22T09:58:00Z",
    )  # fmt: skip
    later = [_deleted(at, "Running") for at in range(nodes)]
    later[0]["metadata"]["deletionTimestamp"] = "2026-11-22T09:58:20Z"
    again = disruption.noted(noted, Observed(job=_child(**size), pods=tuple(later)))
    assert again == noted["status"]["disruption"], "the first is the cause"
    failed = _child("first", "Failed", "BackoffLimitExceeded", **size)
    ended = _deleted(nodes - 1, "Failed", exitCode=1, finishedAt="2026-11-22T09:58:01Z")
    echoes = tuple(_failed(at) for at in range(nodes - 1))
    for before, pods in ((noted, echoes), (wanted, (*echoes, ended))):
        told = _condition(_plan(before, job=failed, pods=pods))
        assert told["reason"] == "Restarting", told
    assert f"node-{nodes - 1} was taken away (PodDeleted: somebody deleted its pod)" in told["message"]


@pytest.mark.parametrize(
    ("seen", "pods"),
    [
        pytest.param(
            {}, (_failed(0, second=0), _deleted(1, "Running")), id="a node has failed, so its Job stops the others"
        ),
        pytest.param({"suspend": True}, (pod(0, "Running"), _deleted(1, "Running")), id="the attempt is suspended"),
        pytest.param({"completions": 1}, (pod(0, "Running"), _deleted(1, "Running")), id="the job shrinks"),
    ],
)
def test_a_pod_that_its_job_gives_back_is_no_disruption(seen: dict[str, Any], pods: tuple[dict[str, Any], ...]):
    assert disruption.noted(admitted(), Observed(job=_child(**seen), pods=pods)) is None


def test_a_pod_on_a_lost_node_holds_the_next_attempt_up_and_is_named():
    marked = admitted(status={"restarts": 1, "restartedFrom": "first"})
    stuck = pod(1, "Running")
    stuck["metadata"]["deletionTimestamp"] = "2026-11-22T09:50:00Z"
    plan = _plan(marked, pods=(stuck,))
    assert not plan.actions
    assert _condition(plan)["reason"] == "NodeLost" and "--force" in _condition(plan)["message"]


def test_a_deletion_that_a_lost_node_holds_up_says_so():
    leaving = admitted(
        metadata={"deletionTimestamp": "2026-11-22T09:50:00Z"}, status={"startedAt": "2026-11-22T09:00:00Z"}
    )
    stuck = pod(1, "Running")
    stuck["metadata"]["deletionTimestamp"] = "2026-11-22T09:59:50Z"
    assert _plan(leaving, job=_child(), pods=(stuck,)).status is None, "pods take their time"
    stuck["metadata"]["deletionTimestamp"] = "2026-11-22T09:50:00Z"
    plan = _plan(leaving, job=_child(), pods=(stuck,))
    assert _condition(plan)["reason"] == "NodeLost" and _notes(plan) == [("Warning", "NodeLost")]
    assert columns.job_state(_after(leaving, plan)) == "NodeLost"
    done = [
        {"type": "Complete", "status": "True", "reason": "JobsCompleted", "lastTransitionTime": "2026-11-22T09:49:00Z"}
    ]
    over = {**leaving, "status": {"conditions": done}}
    told = _plan(over, pods=(stuck,)).status
    assert told is not None and [c["type"] for c in told["conditions"]] == ["Complete", "PodsReady"]


def test_restarts_are_bounded_and_the_bound_is_the_users():
    seen = {"job": OVER, "pods": (_failed(0), _disrupted(1))}
    spent = admitted(
        status={
            "restarts": 3,
            "recoveries": [{"time": "2026-11-22T09:00:00Z", "reason": "x", "restart": n} for n in (1, 2, 3)],
        }
    )
    told = _condition(_plan(spent, **seen))
    assert told["type"] == "Failed" and "after 3 restarts the job is given up" in told["message"]
    more = admitted(status={"restarts": 3}, metadata={"annotations": {"millstream.dev/max-restarts": "4"}})
    assert _condition(_plan(more, **seen))["reason"] == "Restarting"
    never = admitted(metadata={"annotations": {"millstream.dev/max-restarts": "0"}})
    assert _condition(_plan(never, **seen))["type"] == "Failed"


@pytest.mark.parametrize(
    ("trainjob", "pods", "why"),
    [
        pytest.param(admitted(), (_failed(0), pod(1, "Running")), "ExitCode", id="nothing was disrupted"),
        pytest.param(
            admitted(), (_failed(0, made_at="2026-11-22T09:59:00Z"), _disrupted(1)), "ExitCode",
            id="it was made after the disruption",
        ),
        pytest.param(
            admitted(), (pod(0, "Failed", exitCode=137, reason="OOMKilled"), _disrupted(1)), "OOMKilled",
            id="memory is no matter of the cluster",
        ),
        pytest.param(
            job(status={"admission": {"state": "Admitted"}}, spec={"trainer": {"numNodes": 1}}),
            (_failed(0), _disrupted(0)), "ExitCode", id="one node has nobody to wait for",
        ),
    ],
)  # fmt: skip
def test_a_failure_of_the_program_is_final(trainjob: dict[str, Any], pods: tuple[dict[str, Any], ...], why: str):
    told = _condition(_plan(trainjob, job=OVER, pods=pods))
    assert (told["type"], told["reason"]) == ("Failed", why)


def test_a_suspended_job_does_not_begin_again_before_it_is_resumed():
    marked = admitted(status={"restarts": 1, "restartedFrom": "first"}, spec={"suspend": True})
    plan = _plan(marked)
    assert not plan.actions and _condition(plan)["type"] == "Suspended"
