"""The Job controller's decisions as a table of situations."""

from datetime import UTC, datetime, timedelta

import pytest

from services.node.domain.attempts import Backoff
from services.node.domain.indexes import format_indexes, parse_indexes
from services.node.domain.job_pods import TRACKING, job_pod
from services.node.domain.jobs import plan_job

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NAMES = ["aaaaa", "bbbbb", "ccccc", "ddddd"]


def job(status=None, **spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6, **spec, "template": template},
        "status": status or {},
    }


def child(a_job, phase, index=None, code=0, counted=False, deleting=False, suffix="zzzzz"):
    made = job_pod(a_job, index, suffix)
    ended = {"exitCode": code, "finishedAt": "2026-11-22T10:00:00Z"}
    made["status"] = {
        "phase": phase,
        "containerStatuses": [{"name": "c", "restartCount": 0, "state": {"terminated": ended}}],
    }
    if phase in ("Running", "Pending"):
        made["status"]["containerStatuses"][0]["state"] = {"running": {}}
    if counted:
        made["metadata"]["finalizers"].remove(TRACKING)
    if deleting:
        made["metadata"]["deletionTimestamp"] = "2026-11-22T10:00:00Z"
    return made


def plan(a_job, *pods, now=NOW):
    return plan_job(a_job, pods, now, NAMES, Backoff(10, 360))


def true(status):
    return [c["type"] for c in status.get("conditions", []) if c["status"] == "True"]


def test_a_finished_pod_is_counted_with_the_release_of_its_finalizer_and_never_again():
    a_job = job(completions=2)
    first = plan(a_job, child(a_job, "Succeeded"))
    assert first.status["succeeded"] == 1 and first.release == ("j-zzzzz",)
    again = plan(job(first.status, completions=2), child(a_job, "Succeeded", counted=True))
    assert again.status["succeeded"] == 1 and again.release == ()


def test_no_more_pods_are_made_than_completions_are_missing():
    a_job = job({"succeeded": 3}, completions=4, parallelism=3)
    assert len(plan(a_job).create) == 1
    assert len(plan(job(completions=None, parallelism=3)).create) == 3


def test_a_pod_that_is_still_ending_keeps_its_place():
    a_job = job(completions=2, parallelism=2, completionMode="Indexed")
    found = plan(a_job, child(a_job, "Running", 0, deleting=True))
    assert [p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in found.create] == ["1"]
    assert found.status["terminating"] == 1


def test_an_index_that_ran_twice_counts_once():
    a_job = job({"succeeded": 1, "completedIndexes": "0"}, completions=2, completionMode="Indexed")
    found = plan(a_job, child(a_job, "Succeeded", 0))
    assert found.status["succeeded"] == 1 and found.status["completedIndexes"] == "0"


def test_beyond_the_backoff_limit_the_job_first_stops_its_pods_and_then_fails():
    a_job = job(completions=2, parallelism=2, backoffLimit=0)
    first = plan(a_job, child(a_job, "Failed"), child(a_job, "Running", suffix="yyyyy"))
    assert true(first.status) == ["FailureTarget"] and first.delete == ("j-yyyyy",)
    last = plan(job(first.status, completions=2, backoffLimit=0), child(a_job, "Failed", counted=True))
    assert true(last.status) == ["FailureTarget", "Failed"]
    assert last.status["conditions"][-1]["reason"] == "BackoffLimitExceeded"


def test_the_second_failure_waits_before_the_next_try():
    a_job = job({"failed": 1})
    found = plan(a_job, child(a_job, "Failed"))
    assert found.create == () and found.wake_at == NOW + timedelta(seconds=10)
    assert plan(job(found.status), child(a_job, "Failed", counted=True), now=found.wake_at).create


@pytest.mark.parametrize(
    ("action", "conditions", "failed"),
    [("FailJob", ["FailureTarget", "Failed"], 1), ("Ignore", [], 0), ("Count", [], 1)],
)
def test_a_failure_policy_decides_by_exit_code(action, conditions, failed):
    rule = {"action": action, "onExitCodes": {"operator": "In", "values": [42]}}
    a_job = job(podFailurePolicy={"rules": [rule]})
    found = plan(a_job, child(a_job, "Failed", code=42))
    assert true(found.status) == conditions and found.status.get("failed", 0) == failed


def test_an_index_may_fail_alone_and_the_job_fails_when_all_others_are_done():
    a_job = job(completions=2, parallelism=2, completionMode="Indexed", backoffLimit=99, backoffLimitPerIndex=0)
    found = plan(a_job, child(a_job, "Failed", 0), child(a_job, "Succeeded", 1, suffix="yyyyy"))
    assert (found.status["failedIndexes"], found.status["completedIndexes"]) == ("0", "1")
    assert found.status["conditions"][-1]["reason"] == "FailedIndexes"


def test_a_job_is_removed_when_its_time_to_live_is_over():
    done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-22T10:00:00Z"}
    a_job = job({"succeeded": 1, "conditions": [done]}, ttlSecondsAfterFinished=60)
    assert plan(a_job).wake_at == NOW + timedelta(seconds=60) and not plan(a_job).expire
    assert plan(a_job, now=NOW + timedelta(seconds=60)).expire


def test_suspension_ends_pods_uncounted_and_resumption_starts_the_clock_anew():
    a_job = job({"startTime": "2026-11-22T09:00:00Z"}, suspend=True)
    held = plan(a_job, child(a_job, "Running"))
    assert held.drop == held.delete == ("j-zzzzz",) and "startTime" not in held.status
    later = NOW + timedelta(minutes=5)
    back = plan(job(held.status), now=later)
    assert back.status["startTime"] == "2026-11-22T10:05:00Z" and len(back.create) == 1
    assert back.status["conditions"][0]["reason"] == "JobResumed"


@pytest.mark.parametrize("text", ["", "0", "0-2", "0,2-4,7"])
def test_indexes_read_back_as_they_were_written(text):
    assert format_indexes(parse_indexes(text)) == text
