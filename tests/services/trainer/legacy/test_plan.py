"""The Training Operator's jobs, step by step: what is made, restarted, ended and cleaned, and in what words."""

from typing import Any

import pytest

from contracts.commands.scheduling.v1 import FinishWorkload, ReportWorkload, SubmitWorkload
from contracts.events.training.v1 import LegacyJobFailed, LegacyJobStarted, LegacyJobSucceeded
from libs.base.errors import Forbidden, Invalid
from libs.resources.plan import Ensure, Plan, Remove
from services.trainer.domain.legacy.observed import Observed
from services.trainer.domain.merge import merged
from services.trainer.domain.state import is_set_aside
from services.trainer.reconcile.legacy import World, plan, refused
from tests.services.trainer.legacy.builders import NOW, Object, job, pods, running, world

TF = {"Chief": 1, "Worker": 2, "PS": 1}
PAIR = {"Master": 1, "Worker": 1}


def made(found: Plan, kind: str = "Pod") -> list[str]:
    return [a.obj["metadata"]["name"] for a in found.actions if isinstance(a, Ensure) and a.obj["kind"] == kind]


def removed(found: Plan, plural: str = "pods") -> list[str]:
    return [a.name for a in found.actions if isinstance(a, Remove) and a.resource.plural == plural]


def said(found: Plan) -> list[type]:
    return [type(event) for event in found.events]


def condition(found: Plan, kind: str) -> Object:
    assert found.status is not None
    return next((c for c in found.status["conditions"] if c["type"] == kind), {})


def types(found: Plan) -> list[str]:
    assert found.status is not None
    return [f"{c['type']}={c['status']}" for c in found.status["conditions"]]


def after(owner: Object, found: Plan) -> Object:
    return {**owner, "status": found.status}


def test_a_new_job_is_created_and_asks_for_each_of_its_roles() -> None:
    found = plan(world(job("TFJob", TF, metadata={"labels": {"kueue.x-k8s.io/queue-name": "team-queue"}})))
    assert types(found) == ["Created=True"]
    assert condition(found, "Created")["message"] == "TFJob digits is created."
    [ask] = found.events
    assert isinstance(ask, SubmitWorkload) and ask.queue == "team-queue" and ask.kind == "TFJob"
    assert [(one.name, one.count) for one in ask.pod_sets] == [("chief", 1), ("worker", 2), ("ps", 1)]
    assert all(one.requests == {"cpu": "1", "memory": "536870912"} for one in ask.pod_sets)


def test_a_job_that_waits_asks_again_only_when_it_is_time() -> None:
    waiting = job(status={"admission": {"state": "Queued", "reason": "place 2"}})
    assert said(plan(world(waiting, asked=True))) == []
    assert said(plan(world(waiting))) == [SubmitWorkload]


def test_an_admitted_job_gets_its_port_before_its_first_pod_and_then_services_before_pods() -> None:
    admitted = job(status={"admission": {"state": "Admitted", "id": "7"}})
    first = plan(world(admitted))
    assert first.actions == () and first.status is not None and first.status["port"] == 10042
    second = plan(world(after(admitted, first)))
    assert [a.obj["kind"] for a in second.actions] == ["Service", "Service", "Pod", "Pod"]
    assert made(second) == ["digits-master-0", "digits-worker-0"]


def test_a_running_job_says_so_and_reports_that_all_pods_are_ready() -> None:
    owner = running()
    found = plan(world(owner, pods(owner, {"master-0": "Running", "worker-0": "Running"})))
    assert types(found) == ["Created=True", "Running=True"]
    assert said(found) == [LegacyJobStarted, ReportWorkload]
    assert found.status is not None
    counts = {role: one["active"] for role, one in found.status["replicaStatuses"].items()}
    assert counts == {"Master": 1, "Worker": 1}
    selector = found.status["replicaStatuses"]["Worker"]["selector"]
    assert "training.kubeflow.org/replica-type=worker" in selector
    again = plan(world(after(owner, found), pods(owner, {"master-0": "Running", "worker-0": "Running"})))
    assert again.status == found.status and again.events == []


def test_a_pod_that_vanished_is_made_again() -> None:
    owner = running()
    assert made(plan(world(owner, pods(owner, {"master-0": "Running"})))) == ["digits-worker-0"]


ENDS: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, str], bool]] = [
    ("master done", "PyTorchJob", PAIR, {}, {"master-0": "Succeeded", "worker-0": "Running"}, True),
    ("master runs", "PyTorchJob", PAIR, {}, {"master-0": "Running", "worker-0": "Succeeded"}, False),
    ("one worker done", "PyTorchJob", {"Worker": 2}, {}, {"worker-0": "Succeeded", "worker-1": "Running"}, False),
    ("all workers done", "PyTorchJob", {"Worker": 2}, {}, {"worker-0": "Succeeded", "worker-1": "Succeeded"}, True),
    (
        "elastic: any worker", "PyTorchJob", {"Worker": 2}, {"elasticPolicy": {"maxRestarts": 1}},
        {"worker-0": "Running", "worker-1": "Succeeded"}, True,
    ),
    ("chief done", "TFJob", TF, {}, {"chief-0": "Succeeded", "worker-0": "Running", "ps-0": "Running"}, True),
    ("worker 0 done", "TFJob", {"Worker": 2, "PS": 1}, {}, {"worker-0": "Succeeded", "worker-1": "Running"}, True),
    ("worker 1 done", "TFJob", {"Worker": 2, "PS": 1}, {}, {"worker-0": "Running", "worker-1": "Succeeded"}, False),
    (
        "all workers asked for", "TFJob", {"Worker": 2}, {"successPolicy": "AllWorkers"},
        {"worker-0": "Succeeded", "worker-1": "Running"}, False,
    ),
    ("xgboost: master runs", "XGBoostJob", PAIR, {}, {"master-0": "Running", "worker-0": "Succeeded"}, False),
    (
        "launcher done", "MPIJob", {"Launcher": 1, "Worker": 1}, {},
        {"launcher-0": "Succeeded", "worker-0": "Running"}, True,
    ),
    ("jax: one of two", "JAXJob", {"Worker": 2}, {}, {"worker-0": "Succeeded", "worker-1": "Running"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "roles", "spec", "phases", "over"), ENDS, ids=[e[0] for e in ENDS])
def test_a_job_succeeds_when_those_who_decide_have(
    name: str, kind: str, roles: dict[str, Any], spec: dict[str, Any], phases: dict[str, str], over: bool
) -> None:
    owner = running(kind, roles, spec=spec)
    found = plan(world(owner, pods(owner, phases)))
    assert (LegacyJobSucceeded in said(found)) is over
    assert bool(condition(found, "Succeeded")) is over


def test_a_success_ends_the_running_condition_and_bears_its_time() -> None:
    owner = running(status={"conditions": [_true("Created"), _true("Running")]})
    found = plan(world(owner, pods(owner, {"master-0": "Succeeded", "worker-0": "Succeeded"})))
    assert types(found) == ["Created=True", "Running=False", "Succeeded=True"]
    assert condition(found, "Succeeded")["message"] == "PyTorchJob digits is successfully completed."
    assert found.status is not None and found.status["completionTime"] == "2026-11-22T10:00:00Z"


def _true(kind: str) -> Object:
    at = "2026-11-22T09:59:50Z"
    return {
        "type": kind,
        "status": "True",
        "reason": f"PyTorchJob{kind}",
        "message": "said",
        "lastTransitionTime": at,
        "lastUpdateTime": at,
    }


RESTARTS: list[tuple[str, str, int | None, str]] = [
    ("Never", "Failed", 1, "fails"),
    ("OnFailure", "Failed", 1, "again"),
    ("Always", "Failed", 1, "again"),
    ("ExitCode", "Failed", 1, "fails"),
    ("ExitCode", "Failed", 127, "fails"),
    ("ExitCode", "Failed", 130, "again"),
    ("ExitCode", "Failed", 137, "again"),
    ("ExitCode", "Failed", None, "again"),
]


@pytest.mark.parametrize(("policy", "phase", "code", "outcome"), RESTARTS)
def test_the_restart_policy_decides_about_a_failed_worker(
    policy: str, phase: str, code: int | None, outcome: str
) -> None:
    owner = running(roles={"Master": 1, "Worker": {"replicas": 1, "restartPolicy": policy}})
    codes = {} if code is None else {"worker_0": code}
    found = plan(world(owner, pods(owner, {"master-0": "Running", "worker-0": phase}, **codes)))
    assert (LegacyJobFailed in said(found)) is (outcome == "fails")
    restarting = condition(found, "Restarting")
    assert bool(restarting) is (outcome == "again")
    if restarting:
        told = "PyTorchJob digits is restarting because 1 Worker replica(s) failed."
        assert restarting["message"] == told and condition(found, "Running") == {}


def test_a_restart_is_counted_once_and_then_the_pod_goes_and_comes_again() -> None:
    owner = running(roles={"Master": 1, "Worker": {"replicas": 1, "restartPolicy": "ExitCode"}})
    seen = pods(owner, {"master-0": "Running", "worker-0": "Failed"}, worker_0=137)
    first = plan(world(owner, seen))
    assert removed(first) == [] and first.status is not None and first.status["restarts"] == 1
    counted = after(owner, first)
    second = plan(world(counted, seen))
    assert removed(second) == ["digits-worker-0"] and second.status is None
    third = plan(world(counted, seen[:1]))
    assert made(third) == ["digits-worker-0"]
    assert "Restarting=True" not in types(third), "the master still runs: the job does again"


def test_a_failure_names_the_pod_its_exit_code_and_its_last_words() -> None:
    owner = running(roles={"Master": {"replicas": 1, "restartPolicy": "Never"}})
    seen = pods(owner, {"master-0": "Failed"}, master_0=3)
    found = plan(
        World(
            job=owner,
            family=world(owner).family,
            observed=Observed(seen, tails={"digits-master-0": "no data"}),
            now=NOW,
        )
    )
    told = condition(found, "Failed")["message"]
    assert told.startswith("PyTorchJob digits is failed because 1 Master replica(s) failed.")
    assert "master-0 (pytorch) ended with exit code 3" in told and "no data" in told
    [event] = found.events
    assert isinstance(event, LegacyJobFailed) and event.reason == "ExitCode"


def test_a_dynamic_tfjob_goes_on_without_a_failed_worker() -> None:
    owner = running("TFJob", {"Chief": 1, "Worker": 2, "PS": 1}, spec={"enableDynamicWorker": True})
    phases = {"chief-0": "Running", "worker-0": "Running", "worker-1": "Failed", "ps-0": "Running"}
    assert said(plan(world(owner, pods(owner, phases, worker_1=1)))) == [LegacyJobStarted]


@pytest.mark.parametrize(("limit", "inside", "over"), [(0, 0, False), (0, 1, True), (3, 2, False), (3, 3, True)])
def test_backoff_limit_counts_the_restarts_of_containers(limit: int, inside: int, over: bool) -> None:
    owner = running(spec={"runPolicy": {"backoffLimit": limit}})
    seen = pods(owner, {"master-0": "Running", "worker-0": "Running"})
    seen[1]["status"]["containerStatuses"][0]["restartCount"] = inside
    found = plan(world(owner, seen))
    assert bool(condition(found, "Failed")) is over
    if over:
        assert "reached the specified backoff limit" in condition(found, "Failed")["message"]


def test_backoff_limit_counts_pods_that_were_made_anew() -> None:
    roles = {"Master": 1, "Worker": {"replicas": 1, "restartPolicy": "ExitCode"}}
    owner = running(roles=roles, spec={"runPolicy": {"backoffLimit": 2}}, status={"restarts": 2})
    seen = pods(owner, {"master-0": "Running", "worker-0": "Failed"}, worker_0=137)
    assert said(plan(world(owner, seen))) == [LegacyJobFailed]


def test_a_job_fails_at_its_deadline_and_looks_again_just_then() -> None:
    phases = {"master-0": "Running", "worker-0": "Running"}
    owner = running(spec={"runPolicy": {"activeDeadlineSeconds": 10}})
    found = plan(world(owner, pods(owner, phases)))
    assert "active longer than specified deadline" in condition(found, "Failed")["message"]
    later = running(spec={"runPolicy": {"activeDeadlineSeconds": 14}})
    assert plan(world(later, pods(later, phases))).requeue_after == 4.0


CLEAN: list[tuple[str, int, list[str], list[str]]] = [
    ("None", 60, [], []),
    ("Running", 1, [], []),
    ("Running", 60, ["digits-worker-0"], []),
    ("All", 1, ["digits-master-0", "digits-worker-0"], ["digits-master-0", "digits-worker-0"]),
]


@pytest.mark.parametrize(("policy", "ago", "gone", "services"), CLEAN)
def test_clean_pod_policy_says_which_pods_go_when_the_job_is_over(
    policy: str, ago: int, gone: list[str], services: list[str]
) -> None:
    ended = f"2026-11-22T09:{59 if ago <= 60 else 58}:{60 - ago:02d}Z" if ago < 60 else "2026-11-22T09:59:00Z"
    owner = running(
        spec={"runPolicy": {"cleanPodPolicy": policy}},
        status={"conditions": [_true("Created"), _true("Succeeded")], "completionTime": ended},
    )
    found = plan(world(owner, pods(owner, {"master-0": "Succeeded", "worker-0": "Running"})))
    assert removed(found) == gone and removed(found, "services") == services
    assert found.events == (), "its quota is not free while a pod runs"


def test_the_scheduler_is_told_once_that_nothing_of_a_finished_job_runs() -> None:
    owner = running(status={"conditions": [_true("Succeeded")], "completionTime": "2026-11-22T09:59:59Z"})
    found = plan(world(owner, pods(owner, {"master-0": "Succeeded", "worker-0": "Succeeded"})))
    assert said(found) == [FinishWorkload]
    assert said(plan(world(after(owner, found)))) == []


def test_counts_go_on_while_pods_of_a_finished_job_end_and_what_success_ends_has_succeeded() -> None:
    one = {"active": 1, "succeeded": 0, "failed": 0, "selector": "s"}
    owner = running(
        "TFJob",
        TF,
        status={
            "conditions": [_true("Succeeded")],
            "completionTime": "2026-11-22T09:59:59Z",
            "replicaStatuses": {"Chief": {**one, "active": 0, "succeeded": 1}, "Worker": one, "PS": one},
        },
    )
    first = plan(world(owner, pods(owner, {"chief-0": "Succeeded", "worker-0": "Succeeded", "ps-0": "Running"})))
    assert first.status is not None
    assert {k: (v["active"], v["succeeded"]) for k, v in first.status["replicaStatuses"].items()} == {
        "Chief": (0, 1),
        "Worker": (0, 1),
        "PS": (1, 0),
    }
    second = plan(world(after(owner, first), pods(owner, {"chief-0": "Succeeded", "worker-0": "Succeeded"})))
    assert second.status is not None
    assert [v["succeeded"] for v in second.status["replicaStatuses"].values()] == [1, 1, 1]


def test_suspension_removes_the_pods_first_and_tells_the_scheduler_when_the_last_has_gone() -> None:
    owner = running(spec={"runPolicy": {"suspend": True}}, status={"conditions": [_true("Created"), _true("Running")]})
    first = plan(world(owner, pods(owner, {"master-0": "Running", "worker-0": "Running"})))
    assert removed(first) == ["digits-master-0", "digits-worker-0"] and said(first) == []
    second = plan(world(owner))
    assert types(second) == ["Created=True", "Running=False", "Suspended=True"]
    [ask] = second.events
    assert isinstance(ask, SubmitWorkload) and ask.suspended and ask.after == "7"
    assert said(plan(world(after(owner, second)))) == []


def test_a_job_that_is_set_aside_says_why_it_rests_and_how_to_go_on() -> None:
    note = {"state": "Evicted", "id": "7", "reason": "Deactivated", "message": "its Workload was deactivated"}
    owner = running(spec={"runPolicy": {"suspend": True}}, status={"admission": note, "conditions": [_true("Created")]})
    found = plan(world(owner))
    told = condition(found, "Suspended")
    assert told["reason"] == "Deactivated"
    assert told["message"].startswith("its Workload was deactivated; resume it, or set spec.active")
    [ask] = found.events
    assert isinstance(ask, SubmitWorkload) and ask.suspended and ask.after == "7"
    rests = after(owner, found)
    assert is_set_aside(rests)
    again = plan(world(rests))
    assert said(again) == [] and condition(again, "Suspended") == told


def test_one_that_is_suspended_again_before_it_started_is_told_so() -> None:
    parked = job(status={"conditions": [_true("Created"), _true("Suspended")], "released": "7"})
    waits = after(parked, plan(world(parked)))
    found = plan(world(merged(waits, {"spec": {"runPolicy": {"suspend": True}}})))
    [ask] = found.events
    assert isinstance(ask, SubmitWorkload) and ask.suspended


def test_a_resumed_job_asks_again_and_starts_a_new_clock() -> None:
    parked = job(status={"conditions": [_true("Created"), _true("Suspended")], "released": "7", "port": 10042})
    [ask] = plan(world(parked)).events
    assert isinstance(ask, SubmitWorkload) and not ask.suspended
    admitted = merged(parked, {"status": {"admission": {"state": "Admitted", "id": "8"}}})
    found = plan(world(admitted))
    assert "Suspended=False" in types(found) and found.status is not None
    assert found.status["startTime"] == "2026-11-22T10:00:00Z"


def test_an_evicted_job_gives_its_pods_back_and_asks_again_when_they_are_gone() -> None:
    note = {"state": "Evicted", "id": "7", "reason": "Preempted", "message": "job x of team-b needs its quota"}
    owner = running(status={"admission": note, "conditions": [_true("Created"), _true("Running")]})
    first = plan(world(owner, pods(owner, {"master-0": "Running", "worker-0": "Running"})))
    assert removed(first) == ["digits-master-0", "digits-worker-0"]
    assert condition(first, "PodsReady")["reason"] == "Preempted"
    second = plan(world(owner))
    assert said(second) == [SubmitWorkload] and "Running=False" in types(second)
    assert second.status is not None and second.status["admission"]["state"] == "Waiting"


def test_a_deleted_job_goes_after_its_pods_and_services() -> None:
    owner = running(metadata={"deletionTimestamp": "2026-11-22T10:00:00Z"})
    first = plan(world(owner, pods(owner, {"master-0": "Running"})))
    assert removed(first) == ["digits-master-0"] and not first.done_finalizer
    assert plan(world(owner)).done_finalizer


def test_a_pod_of_somebody_else_with_its_name_is_told_of() -> None:
    owner = running()
    seen = World(job=owner, family=world(owner).family, observed=Observed(foreign=("digits-master-0",)), now=NOW)
    told = condition(plan(seen), "PodsReady")
    assert told["reason"] == "NameTaken" and "digits-master-0" in told["message"]


def test_a_refusal_by_quota_is_told_and_waited_out_and_an_invalid_pod_fails_the_job() -> None:
    owner = running(metadata={"creationTimestamp": "2026-11-22T09:00:00Z"})
    quota = refused(world(owner), Forbidden("pods is forbidden: exceeded quota: small"))
    assert quota is not None and condition(quota, "PodsReady")["reason"] == "QuotaExceeded"
    assert quota.requeue_after == 15.0
    bad = refused(world(owner), Invalid("spec.containers[0].image: bad"))
    assert bad is not None and said(bad) == [LegacyJobFailed]
