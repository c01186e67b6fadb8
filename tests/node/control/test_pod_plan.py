"""The kubelet's decisions as a table of situations."""

from datetime import UTC, datetime, timedelta

import pytest

from services.node.domain.attempts import Attempt, Backoff, Exit, remembered, with_attempt
from services.node.domain.pod_status import pod_status
from services.node.domain.pods import Health, Kill, Seen, Start, plan_pod

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
BACKOFF = Backoff()


def pod(policy="Always", inits=(), mains=("main",), **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
        "spec": {
            "restartPolicy": policy,
            "initContainers": [dict(c) if isinstance(c, dict) else {"name": c} for c in inits],
            "containers": [{"name": c, "image": "python:3.11"} for c in mains],
            **spec,
        },
        "status": {},
    }


def ended(name, number=0, code=0, at=NOW, ran_s=1.0, reason=None):
    began = at - timedelta(seconds=ran_s)
    return Attempt(name, number, began, Exit(code, None, reason or ("Error" if code else "Completed"), "", began, at))


def killed(name, number, reason="Error"):
    began = NOW - timedelta(seconds=1)
    return Attempt(name, number, began, Exit(137, 9, reason, "", began, NOW))


def running(name, number=0):
    return Attempt(name, number, NOW)


def seen(*attempts, **more):
    known = {}
    for attempt in attempts:
        known = with_attempt(known, attempt)
    return Seen(known, **more)


def decide(a_pod, what, now=NOW):
    plan = plan_pod(a_pod, what, now, BACKOFF)
    return plan, pod_status(a_pod, what, plan, now)


def test_a_new_pod_starts_all_its_containers_at_once():
    plan, status = decide(pod(mains=("a", "b")), seen())
    assert plan.actions == (Start("a", 0), Start("b", 0))
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_init_containers_run_one_after_the_other_before_the_main_ones():
    a_pod = pod(inits=("one", "two"))
    assert decide(a_pod, seen())[0].actions == (Start("one", 0),)
    assert decide(a_pod, seen(running("one")))[0].actions == ()
    assert decide(a_pod, seen(ended("one")))[0].actions == (Start("two", 0),)
    plan, status = decide(a_pod, seen(ended("one"), ended("two")))
    assert plan.actions == (Start("main", 0),)
    assert next(c for c in status["conditions"] if c["type"] == "Initialized")["status"] == "True"


def test_a_failed_init_container_fails_a_pod_that_never_restarts():
    plan, status = decide(pod("Never", inits=("one",)), seen(ended("one", code=3)))
    assert plan.actions == ()
    assert status["phase"] == "Failed"
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_a_sidecar_starts_before_the_main_container_and_ends_after_it():
    a_pod = pod("Never", inits=({"name": "proxy", "restartPolicy": "Always"},))
    assert decide(a_pod, seen())[0].actions == (Start("proxy", 0),)
    assert decide(a_pod, seen(running("proxy")))[0].actions == (Start("main", 0),)
    plan, status = decide(a_pod, seen(running("proxy"), ended("main")))
    assert [type(a) for a in plan.actions] == [Kill]
    assert status["phase"] == "Running"
    plan, status = decide(a_pod, seen(ended("proxy", code=143), ended("main")))
    assert plan.over and status["phase"] == "Succeeded"


@pytest.mark.parametrize(
    ("policy", "code", "phase", "starts"),
    [
        ("Always", 0, "Running", True),
        ("Always", 1, "Running", True),
        ("OnFailure", 0, "Succeeded", False),
        ("OnFailure", 1, "Running", True),
        ("Never", 0, "Succeeded", False),
        ("Never", 1, "Failed", False),
    ],
)
def test_the_restart_policy_decides_what_an_exit_means(policy, code, phase, starts):
    plan, status = decide(pod(policy), seen(ended("main", code=code)))
    assert status["phase"] == phase
    assert bool(plan.actions) is starts


def test_the_first_restart_is_immediate_and_later_ones_back_off():
    again = decide(pod(), seen(ended("main", 0, 1)))[0]
    assert again.actions == (Start("main", 1),)
    plan, status = decide(pod(), seen(ended("main", 1, 1)))
    assert plan.actions == () and plan.wake_at == NOW + timedelta(seconds=10)
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    assert decide(pod(), seen(ended("main", 2, 1)))[0].wake_at == NOW + timedelta(seconds=20)
    assert decide(pod(), seen(ended("main", 20, 1)))[0].wake_at == NOW + timedelta(seconds=300)


def test_a_long_healthy_run_forgives_earlier_crashes():
    assert decide(pod(), seen(ended("main", 9, 1, ran_s=700)))[0].actions == (Start("main", 10),)


def _crash_after(waited_s, **how):
    """When a container restarts whose second life began `waited_s` after the end of its first."""
    first = ended("main", 3, code=1, at=NOW - timedelta(seconds=waited_s + 1))
    plan, _ = decide(pod(), seen(first, ended("main", 4, code=1, **how)))
    return (plan.wake_at - NOW).total_seconds() if plan.wake_at else 0.0


def test_each_crash_in_a_row_waits_twice_as_long_as_the_one_before():
    assert [_crash_after(waited) for waited in (0.1, 10.2, 20.1, 250)] == [10, 20, 40, 300]


def test_a_good_while_makes_the_next_crash_the_first():
    assert _crash_after(160, ran_s=200) == 0
    assert _crash_after(0.1) == 10


def test_a_back_off_ends_with_the_start_of_its_kubelet():
    began = Backoff(since=NOW - timedelta(seconds=5))
    crashed = ended("main", 8, code=1, at=NOW - timedelta(seconds=6))
    assert plan_pod(pod(), seen(crashed), NOW, began).actions == (Start("main", 9),)
    again = plan_pod(pod(), seen(crashed, ended("main", 9, code=1)), NOW, began)
    assert again.wake_at == NOW + timedelta(seconds=10), "counted from the first again"


@pytest.mark.parametrize("reason", ["NodeShutdown", "ContainerStatusUnknown"])
def test_what_ended_with_everything_here_waits_for_nothing_when_all_is_back(reason):
    before = killed("main", 3, reason)
    plan, _ = decide(pod(), seen(before, killed("main", 4, reason)))
    assert plan.actions == (Start("main", 5),)


def test_a_killed_program_is_back_within_seconds_however_often():
    at_once = [killed("main", 0), killed("main", 0, reason="ContainerStatusUnknown")]
    assert [decide(pod(), seen(a))[0].actions for a in at_once] == [(Start("main", 1),)] * 2
    waits = []
    for waited in (0.05, 0.25, 3, 60):
        before = ended("main", 3, code=1, at=NOW - timedelta(seconds=waited + 1))
        plan, _ = decide(pod(), seen(before, killed("main", 4)))
        waits.append((plan.wake_at - NOW).total_seconds())
    assert waits == [0.2, 0.4, 3.2, 5]


def test_running_out_of_memory_is_the_programs_own_fault():
    before = ended("main", 3, code=1, at=NOW - timedelta(seconds=1.1))
    plan, _ = decide(pod(), seen(before, killed("main", 4, reason="OOMKilled")))
    assert plan.wake_at == NOW + timedelta(seconds=10)


def test_a_pod_whose_container_was_lost_is_disrupted_and_one_that_failed_is_not():
    for reason, told in (("ContainerStatusUnknown", True), ("NodeShutdown", True), ("Error", False)):
        _, status = decide(pod("Never"), seen(killed("main", 0, reason=reason)))
        assert status["phase"] == "Failed"
        assert any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in status["conditions"]) is told


def test_one_of_two_containers_still_running_keeps_the_pod_running():
    status = decide(pod("Never", mains=("a", "b")), seen(ended("a"), running("b")))[1]
    assert status["phase"] == "Running"
    assert next(c for c in status["conditions"] if c["type"] == "Ready")["status"] == "False"


def test_deletion_stops_what_runs_and_then_the_pod_is_over():
    a_pod = pod()
    a_pod["metadata"] |= {"deletionTimestamp": "2026-11-22T10:00:00Z", "deletionGracePeriodSeconds": 5}
    plan = decide(a_pod, seen(running("main")))[0]
    assert plan.actions == (Kill("main", 0, 5.0, "Stopping container main"),) and not plan.over
    plan, status = decide(a_pod, seen(ended("main", code=143)))
    assert plan.over and plan.actions == () and status["phase"] == "Failed"


def test_the_active_deadline_fails_the_pod():
    a_pod = pod(activeDeadlineSeconds=60)
    a_pod["status"] = {"startTime": "2026-11-22T09:59:30Z"}
    assert decide(a_pod, seen(running("main")))[0].wake_at == NOW + timedelta(seconds=30)
    late = NOW + timedelta(seconds=31)
    assert decide(a_pod, seen(running("main")), late)[0].actions
    plan, status = decide(a_pod, seen(ended("main", code=137)), late)
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded") and plan.over


def test_a_pod_is_ready_only_when_its_probes_say_so():
    ready = lambda s: next(c for c in s["conditions"] if c["type"] == "Ready")["status"]  # noqa: E731
    assert ready(decide(pod(), seen(running("main"), health={"main": Health(True, False)}))[1]) == "False"
    assert ready(decide(pod(), seen(running("main"), health={"main": Health(True, True)}))[1]) == "True"


def test_a_finished_pod_keeps_its_phase():
    a_pod = pod("Never")
    a_pod["status"] = {"phase": "Succeeded"}
    assert decide(a_pod, seen(ended("main", code=1)))[1]["phase"] == "Succeeded"


def test_a_container_that_nobody_saw_end_is_not_run_again_under_the_same_number():
    status = {
        "containerStatuses": [
            {"name": "main", "restartCount": 2, "state": {"running": {"startedAt": "2026-11-22T09:00:00Z"}}}
        ]
    }
    attempts = remembered(status, [], NOW)
    assert attempts["main"][-1].exit.reason == "ContainerStatusUnknown"
    assert decide(pod("Never"), Seen(attempts))[1]["phase"] == "Failed"
    assert decide(pod(), Seen(attempts))[0].actions == (Start("main", 3),)
    alive = remembered(status, [running("main", 2)], NOW)
    assert alive["main"][-1].running


def test_an_exit_outlives_a_start_that_is_reported_late():
    known = with_attempt({}, ended("main"))
    assert with_attempt(known, running("main"))["main"][-1].exit
