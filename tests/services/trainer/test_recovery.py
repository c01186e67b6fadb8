"""Which failures a job survives, how often, and what it remembers of them; what hangs; what was worth its time."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.base.clock import rfc3339
from libs.resources.plan import Ensure, Plan, Remove
from libs.telemetry import metrics_text
from services.trainer.adapters import measures
from services.trainer.adapters.kinds import TRAINJOB
from services.trainer.domain import goodput, job_rules, progress, status
from services.trainer.domain.observed import Observed
from services.trainer.domain.tokens import ticket_offset
from services.trainer.plugins import FRAMEWORKS
from services.trainer.reconcile import trainjob as reconcile
from tests.services.trainer.builders import NOW, RUNTIME, SITE, admitted, child, job, pod

TORCHRUN = """\
Root Cause (first observed failure):
[0]:
  time      : 2026-11-22_09:58:00
  rank      : 1 (local_rank: 0)
  exitcode  : -9 (pid: 4711)
  traceback : Signal 9 (SIGKILL) received by PID 4711
"""
ECHO = (
    "RuntimeError: [gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.1.2.3]:4711 remote worker crashing"
)


def _child(uid: str = "first", condition: str | None = "Failed", **spec: Any) -> dict[str, Any]:
    made = child(condition, "BackoffLimitExceeded" if condition else "", suspend=False, completions=2, **spec)
    made["metadata"] |= {"uid": uid}
    return made


def _plan(trainjob: dict[str, Any], now: datetime = NOW, runtime: dict[str, Any] = RUNTIME, **seen: Any) -> Plan:
    observed = Observed(**{"service": True, "secret": True, **seen})
    return reconcile.plan(reconcile.World(trainjob, runtime, observed, FRAMEWORKS, SITE, "token", now))


def _ended(index: int, code: int, message: str = "", second: int = 0, **more: Any) -> dict[str, Any]:
    return pod(index, "Failed", exitCode=code, message=message, finishedAt=f"2026-11-22T09:58:{second:02}Z", **more)


def _limited(restarts: int, **more: Any) -> dict[str, Any]:
    return admitted(metadata={"annotations": {"millstream.dev/max-restarts": str(restarts)}}, **more)


def _verdict(plan: Plan) -> tuple[str, str]:
    assert plan.status is not None
    (told,) = plan.status["conditions"]
    return told["type"], told["reason"]


AGAIN = ("PodsReady", "Restarting")


@pytest.mark.parametrize(
    ("pods", "reason", "node"),
    [
        pytest.param((_ended(1, 137), _ended(0, 1, ECHO)), "Killed", "node-1", id="a node is killed"),
        pytest.param(
            (_ended(0, 1, ECHO), _ended(1, 1, TORCHRUN)), "Killed", "node-1", id="torchrun's worker is killed"
        ),
        pytest.param(
            (_ended(0, 1, "unheard-of"), _ended(1, 137, second=9)), "Killed", "node-1", id="an odd echo first"
        ),
        pytest.param((_ended(1, 139),), "Killed", "node-1", id="a crash in native code"),
        pytest.param((_ended(0, 1, ECHO),), "PeerLost", "node-0", id="the peer is gone without a trace"),
        pytest.param((), "PodLost", "node", id="all are gone without a trace"),
    ],
)
def test_what_was_done_to_a_node_is_made_good(pods: tuple[dict[str, Any], ...], reason: str, node: str):
    plan = _plan(admitted(), job=_child(), pods=pods)
    assert plan.status is not None and _verdict(plan) == AGAIN
    assert plan.status["recoveries"] == [{"time": rfc3339(NOW), "reason": reason, "node": node, "restart": 1}]
    (said,) = plan.events
    assert (type(said).__name__, said.reason, said.node, said.restarts) == ("TrainJobRestarted", reason, node, 1)
    (note,) = [action.obj for action in plan.actions if isinstance(action, Ensure)]
    assert note["reason"] == "Restarting" and note["message"].endswith("all 2 nodes begin again, restart 1")


STOPPED = _ended(1, 137, second=12)
STOPPED["metadata"]["deletionTimestamp"] = "2026-11-22T09:58:02Z"


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        pytest.param((_ended(0, 1, "ValueError: no data"),), "ExitCode", id="an exception"),
        pytest.param((_ended(0, 1, "ValueError: no data"), STOPPED), "ExitCode", id="its peer was stopped for it"),
        pytest.param((_ended(0, 137, reason="OOMKilled"),), "OOMKilled", id="too much memory"),
    ],
)
def test_what_a_program_did_to_itself_fails_the_job_unless_its_owner_says_how_often_it_may_try(
    pods: tuple[dict[str, Any], ...], reason: str
):
    assert _verdict(_plan(admitted(), job=_child(), pods=pods)) == ("Failed", reason)
    assert _verdict(_plan(_limited(1), job=_child(), pods=pods)) == AGAIN
    spent = _plan(_limited(1, status={"restarts": 1}), job=_child(), pods=pods)
    assert _verdict(spent) == ("Failed", reason)
    assert "after 1 restarts the job is given up" in spent.status["conditions"][0]["message"]
    elastic = {**RUNTIME, "spec": {**RUNTIME["spec"], "mlPolicy": {"torch": {"elasticPolicy": {"maxRestarts": 2}}}}}
    assert _verdict(_plan(admitted(status={"restarts": 1}), runtime=elastic, job=_child(), pods=pods)) == AGAIN


def test_a_deadline_is_final_whatever_the_owner_allows():
    late = child("Failed", "DeadlineExceeded", suspend=False)
    assert _verdict(_plan(_limited(9), job=late, pods=(_ended(0, 143),))) == ("Failed", "DeadlineExceeded")


def test_a_job_that_gets_on_is_never_given_up_and_one_that_does_not_soon_is():
    trainjob, pods = admitted(), (_ended(1, 137),)
    for attempt, step in enumerate((20, 40, 60, 80, 80, 80)):
        trainjob["status"]["checkpoint"] = {"step": step}
        plan = _plan(trainjob, job=_child(f"attempt-{attempt}"), pods=pods)
        assert _verdict(plan) == AGAIN
        trainjob = {**trainjob, "status": plan.status}
    assert trainjob["status"]["restarts"] == 6
    assert [entry["step"] for entry in trainjob["status"]["recoveries"]] == [20, 40, 60, 80, 80, 80]
    assert _verdict(_plan(trainjob, job=_child("last"), pods=pods)) == ("Failed", "Killed")


def test_restarts_in_vain_come_slower_and_slower():
    def again(times: int, after_s: float) -> Plan:
        entries = [{"time": rfc3339(NOW), "reason": "Killed", "restart": n} for n in range(times)]
        known = {"restarts": times, "restartedFrom": "first", "recoveries": entries}
        return _plan(_limited(99, status=known), now=NOW + timedelta(seconds=after_s))

    assert [len(again(times, 0).actions) for times in (1, 2, 3)] == [1, 0, 0]
    assert [again(times, 0).requeue_after for times in (2, 3, 4, 40)] == [1.0, 2.0, 4.0, 60.0]
    assert len(again(3, 2).actions) == 1


def test_a_preempted_job_remembers_it_and_goes_on_from_its_checkpoint():
    told = {"state": "Evicted", "id": "1", "reason": "Preempted", "message": "by another", "generation": 1}
    evicted = admitted(status={"admission": told, "startedAt": "2026-11-22T09:00:00Z", "checkpoint": {"step": 40}})
    plan = _plan(evicted)
    assert plan.status is not None
    assert plan.status["recoveries"] == [{"time": rfc3339(NOW), "reason": "Preempted", "step": 40}]
    assert "restarts" not in plan.status and plan.status["checkpoint"] == {"step": 40}


def test_a_pod_that_an_elastic_job_makes_again_is_remembered_once():
    seen = {"job": _child(condition=None, backoffLimit=3), "pods": (pod(0, "Running"), _ended(1, 137))}
    plan = _plan(admitted(), **seen)
    assert plan.status is not None
    (entry,) = plan.status["recoveries"]
    assert (entry["reason"], entry["node"], entry["pod"]) == ("NodeReplaced", "node-1", "digits-node-0-1-abcde")
    assert _plan({**admitted(), "status": plan.status}, **seen).status == plan.status


HANGS = {"millstream.dev/hang-timeout": "60"}


def _running(index: int, since: str = "2026-11-22T09:50:00Z") -> dict[str, Any]:
    made = pod(index, "Running")
    made["status"]["containerStatuses"] = [{"name": "node", "state": {"running": {"startedAt": since}}}]
    return made


RUN = {"job": _child(condition=None), "pods": (_running(0), _running(1))}


def test_a_job_that_tells_nothing_for_too_long_begins_again():
    quiet = {"startedAt": "2026-11-22T09:50:00Z", "reportedAt": "2026-11-22T09:59:30Z", "steps": 7}
    plan = _plan(admitted(status=quiet, metadata={"annotations": HANGS}), **RUN)
    assert plan.requeue_after == 30 and not plan.events
    late = _plan(admitted(status=quiet, metadata={"annotations": HANGS}), now=NOW + timedelta(seconds=30), **RUN)
    assert _verdict(late) == AGAIN
    assert late.status["conditions"][0]["message"].startswith("nothing was reported for 60 s after step 7; ")
    assert late.status["recoveries"][0]["reason"] == "Hung"


def test_a_job_that_hangs_again_and_again_is_stopped():
    never = {**HANGS, "millstream.dev/max-restarts": "0"}
    quiet = {"startedAt": "2026-11-22T09:50:00Z"}
    plan = _plan(admitted(status=quiet, metadata={"annotations": never}), **RUN)
    assert _verdict(plan) == ("Failed", "Hung")
    assert "digits-node-0" in [action.name for action in plan.actions if isinstance(action, Remove)]


def test_nobody_is_taken_for_hung_who_named_no_time_or_has_just_begun():
    old = {"startedAt": "2026-11-22T09:00:00Z", "reportedAt": "2026-11-22T09:01:00Z"}
    assert _plan(admitted(status=old), **RUN).requeue_after is None
    fresh = {"job": _child(condition=None), "pods": (_running(0), _running(1, "2026-11-22T09:59:50Z"))}
    assert _plan(admitted(status=old, metadata={"annotations": HANGS}), **fresh).requeue_after == 290


def _at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_goodput_is_the_part_of_the_time_whose_steps_were_kept():
    work = goodput.started({}, _at(0))
    assert goodput.goodput(work, _at(5)) is None, "no step yet"
    for step in range(0, 101, 10):  # ten seconds of start, then ten steps a second
        work = goodput.stepped(work, step, _at(10 + step / 10))
    assert goodput.goodput(work, _at(20)) == 0.5
    work = goodput.interrupted(work)
    assert goodput.goodput(work, _at(20), checkpoint_step=80) == 0.4
    work = goodput.stepped(work, 80, _at(30))  # ten seconds to come back
    work = goodput.stepped(work, 180, _at(40))
    assert (work["redoneSteps"], work["usefulSeconds"]) == (20, 8.0)
    assert goodput.goodput(work, _at(40)) == 0.45


def test_a_program_that_began_again_by_itself_is_noticed_by_its_steps():
    work = goodput.stepped(goodput.stepped(goodput.started({}, _at(0)), 0, _at(0)), 10, _at(10))
    work = goodput.stepped(goodput.stepped(work, 5, _at(10)), 10, _at(15))
    assert (work["redoneSteps"], goodput.goodput(work, _at(15))) == (5, 0.6667)


def test_a_suspension_costs_no_goodput_but_a_queue_does():
    work = goodput.stepped(goodput.stepped(goodput.started({}, _at(0)), 0, _at(0)), 10, _at(10))
    rested = goodput.started(goodput.resting(work, _at(10)), _at(110))
    assert goodput.goodput(goodput.resting(work, _at(10)), _at(60), 10) == 1.0
    assert goodput.goodput(goodput.stepped(rested, 10, _at(110)), _at(110)) == 1.0
    assert goodput.goodput(goodput.stepped(goodput.interrupted(work), 10, _at(110)), _at(110)) == 0.0909


def test_reported_steps_and_checkpoints_are_kept_in_the_status():
    def told(before: dict[str, Any], seconds: float, **more: Any) -> dict[str, Any]:
        return progress.reported(before, progress.Report.model_validate({"trainerStatus": {}, **more}), _at(seconds))

    first = told({"work": goodput.started({}, _at(0))}, 0, step=0)
    after = told(first, 8, step=80, checkpoint={"step": 60, "uri": "s3://b/step-60.json"})
    assert (after["steps"], after["goodput"], after["reportedAt"]) == (80, 1.0, "2026-11-22T10:00:08.000000Z")
    assert after["checkpoint"] == {"step": 60, "uri": "s3://b/step-60.json", "time": "2026-11-22T10:00:08Z"}
    assert told(after, 9)["steps"] == 80, "a report of something else keeps them"
    done = {"metadata": {}, "status": told(after, 16, step=80)}
    why = reconcile.Outcome(True, "JobsCompleted", "done")
    assert status.finished(done, Observed(), 2, why, _at(32))["goodput"] == 0.5


def test_the_wide_table_tells_steps_restarts_and_goodput():
    wide = [column for column in TRAINJOB.columns if column.priority]
    told = admitted(status={"steps": 80, "restarts": 2, "goodput": 0.873})
    shown = {column.name: column.value(told, NOW) for column in wide if callable(column.value)}
    assert shown == {"Steps": "80", "Goodput": "87%"} and [column.name for column in wide][1] == "Restarts"
    assert {column.value(admitted(), NOW) for column in wide if callable(column.value)} == {""}


def test_restarts_are_counted_by_cause_and_goodput_at_the_end():
    plan = _plan(admitted(), job=_child(), pods=(_ended(1, 137),))
    over = _plan(admitted(status={"work": _worked()}), job=child("Complete", suspend=False))
    for each in (plan, plan, over):
        measures.count(each.events, each.status or {})
    told = metrics_text()
    assert 'millstream_job_restarts_total{reason="Killed"} 2.0' in told
    assert 'millstream_job_goodput_ratio_bucket{le="0.5"} 1.0' in told


def _worked() -> dict[str, Any]:
    """Half a minute of steps within the last minute."""
    work = goodput.stepped(goodput.started({}, _at(-60)), 0, _at(-30))
    return goodput.stepped(work, 100, _at(0))


ELASTIC = {"annotations": {"millstream.dev/min-nodes": "1", "millstream.dev/max-nodes": "4"}}


def _granted(count: int, **more: Any) -> dict[str, Any]:
    note = {"state": "Admitted", "generation": 1, "id": "1", "podSets": [{"name": "node", "count": count}], **more}
    return {"admission": note, "startedAt": "2026-11-22T09:00:00Z"}


def _sizes(plan: Plan) -> list[tuple[int, int]]:
    jobs = [a.obj["spec"] for a in plan.actions if isinstance(a, Ensure) and a.obj["kind"] == "Job"]
    return [(spec["completions"], spec["parallelism"]) for spec in jobs]


def test_an_elastic_job_may_start_with_fewer_nodes_than_it_asks_for():
    (asked,) = _plan(job(metadata=ELASTIC, spec={"trainer": {"numNodes": 4}})).events
    assert (asked.pod_sets[0].count, asked.pod_sets[0].min_count) == (4, 1)
    plan = _plan(admitted(metadata=ELASTIC, spec={"trainer": {"numNodes": 4}}, status=_granted(2)))
    (made,) = [a.obj for a in plan.actions if isinstance(a, Ensure) and a.obj["kind"] == "Job"]
    (node,) = made["spec"]["template"]["spec"]["containers"]
    assert _sizes(plan) == [(2, 2)] and {"name": "PET_NNODES", "value": "2"} in node["env"]
    (fixed,) = _plan(job()).events
    assert fixed.pod_sets[0].min_count is None


PLAIN = {**RUNTIME, "spec": {**RUNTIME["spec"], "mlPolicy": {"numNodes": 2}}}


def _resized(nodes: int, granted: int, runtime: dict[str, Any] = RUNTIME, spares: int = 0, **noted: Any) -> Plan:
    trainjob = admitted(
        metadata=ELASTIC, spec={"trainer": {"numNodes": nodes}}, status=_granted(granted, ready=True, **noted)
    )
    running = _child(condition=None, backoffLimit=spares, parallelism=2)
    return _plan(trainjob, runtime=runtime, job=running, pods=(_running(0), _running(1)))


def test_a_running_elastic_job_shrinks_at_once_and_grows_when_it_is_granted_more():
    assert (_resized(2, 2).status or {}).get("recoveries") is None and not _resized(2, 2).events
    for plan in (_resized(1, 2), _resized(3, 3)):
        assert plan.status is not None and _verdict(plan) == ("PodsReady", "Resizing")
        assert (plan.status["restartedFrom"], plan.status.get("restarts")) == ("first", None)
        assert plan.status["recoveries"] == [{"time": rfc3339(NOW), "reason": "Resized"}]
    more = _resized(3, 2)
    assert _sizes(more) == [] and {"node": 3} in [event.counts for event in more.events]
    assert _resized(3, 2, counts={"node": 3}).events == [], "said once"


def test_pods_of_independent_programs_come_and_go_one_by_one():
    alone = _plan(admitted(metadata=ELASTIC, status=_granted(2)), runtime=PLAIN)
    (made,) = [a.obj for a in alone.actions if isinstance(a, Ensure) and a.obj["kind"] == "Job"]
    assert made["spec"]["backoffLimit"] == 3
    fewer = _resized(1, 2, PLAIN, spares=3)
    assert _sizes(fewer) == [(1, 1)] and [event.counts for event in fewer.events] == [{"node": 1}]
    assert _sizes(_resized(3, 3, PLAIN, spares=3)) == [(3, 3)]


def test_the_number_of_nodes_of_a_running_job_changes_only_within_its_bounds():
    def causes(nodes: int, **meta: Any) -> list[tuple[str, str]]:
        old = admitted(metadata=meta, spec={"trainer": {"numNodes": 2}})
        new = admitted(metadata=meta, spec={"trainer": {"numNodes": nodes}})
        return [(cause.field, cause.message) for cause in job_rules.job_causes(new, old)]

    assert causes(3, **ELASTIC) == []
    assert "must lie between 1 and 4" in causes(5, **ELASTIC)[0][1]
    assert "immutable" in causes(3)[0][1]
    (wrong,) = causes(2, annotations={"millstream.dev/min-nodes": "many"})
    assert wrong == ("metadata.annotations[millstream.dev/min-nodes]", "'many' must be a whole number from 1")
    (crossed,) = causes(2, annotations={"millstream.dev/min-nodes": "3"})
    assert crossed[1].startswith("3 must not exceed 2, the most nodes")


def _taken(port: int) -> dict[str, Any]:
    said = f"DistNetworkError: failed to listen. port: {port}, code: -98, name: EADDRINUSE, message: address in use"
    made = _ended(0, 1, said)
    made["spec"]["containers"][0]["ports"] = [{"name": "torch", "containerPort": 20042}]
    return made


def test_a_rendezvous_port_that_somebody_holds_is_made_good_by_another_one_and_a_programs_own_is_not():
    assert _verdict(_plan(admitted(), job=_child(), pods=(_taken(20042),))) == AGAIN
    assert _verdict(_plan(admitted(), job=_child(), pods=(_taken(8080),))) == ("Failed", "PortTaken")


def test_the_next_attempt_and_another_installation_on_the_machine_meet_elsewhere():
    def port(version: str, key: bytes) -> str:
        world = reconcile.World(
            admitted(metadata={"resourceVersion": version}), RUNTIME, Observed(), FRAMEWORKS, SITE, "token", NOW,
            first_ticket=ticket_offset(key),
        )  # fmt: skip
        (made,) = [a.obj for a in reconcile.plan(world).actions if isinstance(a, Ensure) and a.obj["kind"] == "Job"]
        env = made["spec"]["template"]["spec"]["containers"][0]["env"]
        return str(next(entry["value"] for entry in env if entry["name"] == "PET_MASTER_PORT"))

    ports = [port("42", b"home a"), port("43", b"home a"), port("42", b"home b")]
    assert len(set(ports)) == 3 and all(20000 <= int(found) < 30000 for found in ports)
