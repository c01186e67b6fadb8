"""The life of a job, step by step: what is done, said and shown in each state."""

from datetime import timedelta
from typing import Any

from libs.base import NotFound
from libs.resources.plan import Ensure, Plan, Remove
from services.trainer.domain import announce, ungating
from services.trainer.domain.blueprint import blueprint
from services.trainer.domain.merge import merged
from services.trainer.domain.observed import Observed
from services.trainer.domain.outcome import failed_container
from services.trainer.domain.placement import placed
from services.trainer.plugins import FRAMEWORKS
from services.trainer.reconcile import trainjob as reconcile
from tests.services.trainer.builders import NOW, RUNTIME, SITE, admitted, child, job, pod


def _plan(trainjob: dict[str, Any], *, runtime: dict | None = RUNTIME, asked: bool = False, **seen: Any) -> Plan:
    known = ("torch", "python")
    world = reconcile.World(trainjob, runtime, Observed(**seen), FRAMEWORKS, SITE, "token", NOW, asked, known)
    return reconcile.plan(world)


def _ensured(plan: Plan) -> list[str]:
    return [a.obj["kind"] for a in plan.actions if isinstance(a, Ensure)]


def _said(plan: Plan) -> list[str]:
    return [type(event).__name__ for event in plan.events]


RUNNING = {"job": child(suspend=False), "pods": (pod(0, "Running"), pod(1, "Running")), "service": True, "secret": True}


def test_a_new_job_tells_the_scheduler_what_it_needs_and_creates_nothing():
    plan = _plan(job())
    assert (_ensured(plan), _said(plan)) == ([], ["SubmitWorkload"])
    (pods,) = plan.events[0].pod_sets
    assert (pods.name, pods.count, pods.requests["cpu"]) == ("node", 2, "1")
    assert plan.status["admission"]["state"] == "Waiting" and plan.status["conditions"] == []


def test_a_waiting_job_asks_again_only_after_a_while():
    waiting = job(status={"admission": {"state": "Queued", "generation": 1}})
    assert _said(_plan(waiting, asked=True)) == []
    assert _said(_plan(waiting, asked=False)) == ["SubmitWorkload"]
    assert _plan(waiting, asked=True).requeue_after == reconcile.ASK_AGAIN_S


def test_an_admitted_job_gets_its_service_and_secret_before_its_pods():
    assert _ensured(_plan(admitted())) == ["Service", "Secret", "Job"]


def test_a_running_job_has_no_conditions_and_is_announced_once():
    plan = _plan(admitted(), **RUNNING)
    assert plan.status["conditions"] == []
    assert _said(plan) == ["TrainJobStarted"]
    assert plan.status["jobsStatus"] == [
        {"name": "node", "ready": 1, "succeeded": 0, "failed": 0, "active": 1, "suspended": 0}
    ]
    assert _said(_plan(admitted(status={"startedAt": "2026-11-22T09:00:00Z"}), **RUNNING)) == []


def test_a_job_whose_objects_all_stand_needs_nothing_done():
    assert _plan(admitted(status={"startedAt": "2026-11-22T09:00:00Z"}), **RUNNING).actions == []


def test_a_complete_job_announces_its_model_with_what_it_reported():
    marks = {"millstream.dev/model-name": "digits", "millstream.dev/serve-as": "digits"}
    reported = {"trainerStatus": {"progressPercentage": 90, "metrics": [{"name": "loss", "value": "0.25"}]}}
    trainjob = admitted(metadata={"annotations": marks}, status={**reported, "environment": {"torch": "2.13"}})
    plan = _plan(trainjob, **{**RUNNING, "job": child("Complete", suspend=False)})
    (said, _) = plan.events
    assert (said.model.uri, said.metrics, said.register_model) == (
        "s3://millstream/models/team/digits/",
        {"loss": 0.25},
        True,
    )
    assert said.environment["torch"] == "2.13" and said.environment["runtime_digest"].startswith("sha256:")
    condition = plan.status["conditions"][0]
    assert (condition["type"], condition["lastTransitionTime"]) == ("Complete", "2026-11-22T10:00:00Z")
    assert plan.status["trainerStatus"]["progressPercentage"] == 100


def test_without_the_opt_in_nothing_is_registered():
    said, over = _plan(admitted(), **{**RUNNING, "job": child("Complete", suspend=False)}).events
    assert over.reason == "Succeeded"
    assert (said.model, said.register_model) == (None, False)


NEVER_AGAIN = {"millstream.dev/max-restarts": "0"}
"""What is told of an end is the same for a job that does not begin again."""


def _failure(*pods: dict[str, Any], reason: str = "BackoffLimitExceeded", **more: Any) -> dict[str, Any]:
    seen = {**RUNNING, "job": child("Failed", reason, suspend=False), "pods": pods, **more}
    plan = _plan(admitted(metadata={"annotations": NEVER_AGAIN}), **seen)
    assert _said(plan) == ["TrainJobFailed", "FinishWorkload"]
    assert plan.status["conditions"][0]["type"] == "Failed"
    return plan.status["conditions"][0]


def test_the_first_failure_explains_the_job_not_its_echo():
    echo = pod(0, "Failed", exitCode=143, finishedAt="2026-11-22T10:00:00Z")
    echo["metadata"]["deletionTimestamp"] = "2026-11-22T10:00:00Z"
    cause = pod(1, "Failed", exitCode=3, finishedAt="2026-11-22T10:00:00Z", message="ValueError: no data")
    told = _failure(echo, cause)
    assert told["reason"] == "ExitCode"
    assert told["message"] == "node-1 (node) ended with exit code 3; its last words:\nValueError: no data"


def test_the_log_speaks_where_no_termination_message_does():
    failed = pod(0, "Failed", exitCode=1)
    assert "boom" in _failure(failed, tails={failed["metadata"]["name"]: "boom"})["message"]


def test_a_download_that_failed_explains_the_job():
    failed = pod(0, "Failed")
    state = {"terminated": {"exitCode": 1, "message": "there is nothing at s3://b/d"}}
    failed["status"]["initContainerStatuses"] = [{"name": "dataset-initializer", "state": state}]
    assert failed_container(failed) == "dataset-initializer"
    assert "node-0 (dataset-initializer) ended with exit code 1" in _failure(failed)["message"]


def test_too_much_memory_is_told_with_the_limit():
    told = _failure(pod(0, "Failed", exitCode=137, reason="OOMKilled"))
    assert told["reason"] == "OOMKilled"
    assert told["message"].startswith("node-0 (node) used more memory than its limit of 1Gi; ask for more")


def test_a_deadline_is_told_as_such():
    assert _failure(pod(0, "Failed"), reason="DeadlineExceeded")["reason"] == "DeadlineExceeded"


def test_the_last_lost_pod_fails_the_job():
    assert _failure()["reason"] == "PodLost"
    assert _failure(pod(1, "Failed"))["message"] == "node-1 was lost: no reason given"


def test_a_suspended_job_gives_its_pods_back_and_then_says_so():
    plan = _plan(admitted(spec={"suspend": True}), **RUNNING)
    assert plan.actions[0].obj["spec"]["suspend"] is True
    assert plan.status["conditions"] == [] and not plan.events, "it holds its quota until they are gone"
    gone = _plan(admitted(spec={"suspend": True}, status={"admission": {"id": "3"}}), job=child(suspend=True))
    assert [c["type"] for c in gone.status["conditions"]] == ["Suspended"]
    assert "admission" not in gone.status and gone.status["released"] == "3"
    (told,) = gone.events
    assert (told.suspended, told.after) == (True, "3")
    assert not _plan(job(spec={"suspend": True}, status=gone.status), job=child(suspend=True)).events
    assert gone.status["jobsStatus"][0]["suspended"] == 1


def test_a_job_that_completes_while_it_is_being_suspended_is_complete():
    plan = _plan(admitted(spec={"suspend": True}), **{**RUNNING, "job": child("Complete", suspend=True)})
    assert _said(plan) == ["TrainJobSucceeded", "FinishWorkload"]


def test_an_evicted_job_asks_again_when_its_last_pod_has_gone():
    note = {"state": "Evicted", "id": "3", "reason": "Preempted", "message": "for an urgent job"}
    evicted = admitted(status={"admission": note, "startedAt": "2026-11-22T09:00:00Z"})
    plan = _plan(evicted, **RUNNING)
    assert [a.resource.plural for a in plan.actions if isinstance(a, Remove)] == ["jobs"] and not plan.events
    assert plan.status["conditions"][0]["message"] == "for an urgent job"
    assert not _plan(evicted, pods=(pod(0, "Running"),)).events
    gone = _plan(evicted)
    assert [(said.after, said.suspended) for said in gone.events] == [("3", False)]
    assert gone.status["admission"]["state"] == "Waiting" and gone.status["released"] == "3"
    assert gone.status["conditions"] == [] and "startedAt" not in gone.status


def test_the_scheduler_hears_when_all_pods_are_ready_and_when_they_no_longer_are():
    given = {"startedAt": "2026-11-22T09:00:00Z", "admission": {"id": "3"}}
    plan = _plan(admitted(status=given), **RUNNING)
    assert [(said.admission, said.ready) for said in plan.events] == [("3", True)]
    told = admitted(status=plan.status)
    assert not _plan(told, **RUNNING).events
    one = {**RUNNING, "pods": (pod(0, "Running"),)}
    assert [said.ready for said in _plan(told, **one).events] == [False]


def test_a_resumed_job_waits_for_admission_again_and_shows_no_condition():
    suspended = [{"type": "Suspended", "status": "True", "reason": "Suspended", "lastTransitionTime": "x"}]
    plan = _plan(job(status={"conditions": suspended}), job=child(suspend=True))
    assert plan.status["conditions"] == [] and plan.status["admission"]["state"] == "Waiting"
    resumed = _plan(admitted(), **{**RUNNING, "job": child(suspend=True)})
    assert resumed.actions[0].obj["spec"]["suspend"] is False


def test_a_deleted_job_goes_when_its_last_pod_has_gone():
    leaving = admitted(metadata={"deletionTimestamp": "2026-11-22T10:00:00Z"})
    plan = _plan(leaving, **RUNNING)
    assert [a.resource.plural for a in plan.actions if isinstance(a, Remove)] == ["jobs", "services", "secrets"]
    assert not plan.done_finalizer
    assert not _plan(leaving, pods=(pod(0, "Running"),)).done_finalizer
    assert _plan(leaving).done_finalizer


def test_a_job_that_is_over_is_left_alone():
    over = [{"type": "Failed", "status": "True", "reason": "x", "lastTransitionTime": "x"}]
    assert _plan(admitted(status={"conditions": over})) == Plan()


def test_a_job_waits_a_moment_for_its_runtime_and_then_fails_by_name():
    assert _plan(job(), runtime=None).status is None
    created = (NOW - timedelta(seconds=11)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plan = _plan(job(metadata={"creationTimestamp": created}), runtime=None)
    condition = plan.status["conditions"][0]
    assert (condition["reason"], condition["message"]) == (
        "TrainingRuntimeNotFound",
        "there is no ClusterTrainingRuntime named 'torch-distributed'; there are python, torch",
    )


def test_what_the_cluster_will_not_have_is_tried_for_a_moment_and_then_fails_the_job():
    def refused(trainjob: dict[str, Any]) -> Plan | None:
        world = reconcile.World(trainjob, RUNTIME, Observed(), FRAMEWORKS, SITE, "token", NOW, True)
        return reconcile.refused(world, NotFound('namespaces "team" not found'))

    assert refused(admitted()) == Plan(requeue_after=reconcile.LOOK_AGAIN_S)
    created = (NOW - timedelta(seconds=11)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plan = refused(admitted(metadata={"creationTimestamp": created}))
    assert plan is not None and not plan.actions
    condition = plan.status["conditions"][0]
    assert (condition["type"], condition["reason"]) == ("Failed", "WorkloadsRefused")
    assert condition["message"] == 'namespaces "team" not found'
    assert _said(plan) == ["TrainJobFailed", "FinishWorkload"]
    assert refused(job(metadata={"deletionTimestamp": created})) is None


def test_a_changed_deadline_reaches_the_running_job():
    plan = _plan(admitted(spec={"activeDeadlineSeconds": 60}), **RUNNING)
    assert plan.actions[0].obj["spec"]["activeDeadlineSeconds"] == 60


GIVEN = {"name": "node", "count": 2, "nodeSelector": {"lifecycle": "spot"}, "tolerations": [{"key": "spot"}]}


def test_pods_go_to_the_machines_that_were_assigned():
    note = {"id": "3", "podSets": [GIVEN]}
    (made,) = [a.obj for a in _plan(admitted(status={"admission": note})).actions if a.obj["kind"] == "Job"]
    spec = made["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == {"lifecycle": "spot"} and spec["tolerations"] == [{"key": "spot"}]
    assert "schedulingGates" not in spec


def test_pods_of_several_places_wait_until_each_is_told_its_own():
    racks = {"topologyLevels": ["rack"], "topology": [{"values": ["r1"], "count": 1}, {"values": ["r2"], "count": 1}]}
    note = {"id": "3", "podSets": [{**GIVEN, **racks}]}
    (made,) = [a.obj for a in _plan(admitted(status={"admission": note})).actions if a.obj["kind"] == "Job"]
    assert made["spec"]["template"]["spec"]["schedulingGates"] == [{"name": "kueue.x-k8s.io/topology"}]


def test_a_job_that_is_resumed_on_other_machines_gets_other_pods():
    note = {"id": "3", "podSets": [GIVEN]}
    plan = _plan(admitted(status={"admission": note}), **{**RUNNING, "job": child(suspend=True)})
    assert [a.name for a in plan.actions if isinstance(a, Remove)] == ["digits-node-0"]


def test_a_launcher_that_is_no_node_counts_as_a_pod_of_its_own_and_goes_where_it_was_sent():
    of_nodes, with_launcher = (
        announce.pod_sets(job(), blueprint(job(), merged(RUNTIME, {"spec": {"mlPolicy": {"mpi": leads}}})))
        for leads in ({"runLauncherAsNode": True}, {})
    )
    assert [(one.name, one.count) for one in of_nodes] == [("node", 2)]
    assert [(one.name, one.count) for one in with_launcher] == [("node", 2), ("launcher", 1)]
    given = [{"name": "node", "count": 2}, {"name": "launcher", "count": 1, "nodeSelector": {"disk": "fast"}}]
    trainjob = admitted(status={"admission": {"id": "3", "podSets": given}})
    assert placed(trainjob, {"spec": {}}, "launcher") == {"spec": {"nodeSelector": {"disk": "fast"}}}
    assert placed(trainjob, {"spec": {}}, "node") == {"spec": {}}


def test_each_pod_behind_the_gate_is_told_the_place_of_its_rank():
    racks = {"topologyLevels": ["rack"], "topology": [{"values": ["r1"], "count": 1}, {"values": ["r2"], "count": 1}]}
    trainjob = admitted(status={"admission": {"id": "3", "podSets": [{**GIVEN, **racks}]}})
    waiting = [pod(1, "Pending"), pod(0, "Pending"), pod(0, "Running")]
    for each in waiting[:2]:
        each["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/topology"}]
    told = [patch["spec"] for _, patch in ungating.patches(trainjob, waiting)]
    assert told == [
        {"schedulingGates": None, "nodeSelector": {"rack": "r2"}},
        {"schedulingGates": None, "nodeSelector": {"rack": "r1"}},
    ]
    assert not list(ungating.patches(job(), waiting))
