"""An Experiment from its creation to its end: trials run, their figures are read, the best is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.commands.training.v1 import ApplyLegacyJob, ApplyTrainJob
from contracts.events.training.v1 import (
    LegacyJobApplied,
    LegacyJobSucceeded,
    TrainJobApplied,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobRejected,
    TrainJobSucceeded,
)
from libs.base.errors import Unavailable
from tests.services.tuner.paper import PaperCluster
from tests.services.tuner.rig import API, PYTORCHJOB, TRAINJOB, Rig, as_told, experiment, started, until

Object = dict[str, Any]
EXPERIMENT, TRIAL = "katib.kubeflow.org/experiment", "katib.kubeflow.org/trial"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with started(tmp_path, PaperCluster(as_told)) as rig:
        yield rig


def about(name: str, uid: str = "run-1") -> Object:
    return {"namespace": "team", "name": name, "uid": uid}


async def asked_for(rig: Rig, count: int) -> list[str]:
    """The names of the TrainJobs that were asked for, once there are so many."""

    async def enough() -> list[str]:
        names = list(dict.fromkeys(await rig.said_of(ApplyTrainJob.type)))
        return names if len(names) >= count else []

    return await until(enough)


async def accept(rig: Rig, name: str) -> None:
    await rig.hear(TrainJobApplied(**about(name), resource_version="1", command_id="c"))


async def succeed(rig: Rig, name: str, output: str) -> None:
    labels = {"jobset.sigs.k8s.io/jobset-name": name, "batch.kubernetes.io/job-completion-index": "0"}
    rig.cluster.prints(name, labels, output)
    await rig.hear(TrainJobSucceeded(**about(name)))


async def test_trials_run_as_jobs_until_the_budget_is_spent_and_the_best_is_told(rig: Rig) -> None:
    await rig.create(experiment())
    await until(rig.is_over)
    found, trials = await rig.experiment(), await rig.trials(f"{EXPERIMENT}=rates")
    rates = [float(trial["spec"]["parameterAssignments"][0]["value"]) for trial in trials]
    best = found["status"]["currentOptimalTrial"]
    assert len(trials) == found["status"]["trialsSucceeded"] == 4
    assert float(best["parameterAssignments"][0]["value"]) == max(rates)
    told = best["observation"]["metrics"]
    assert told == [{"name": "accuracy", **dict.fromkeys(("latest", "min", "max"), str(max(rates) * 10))}]
    ends = {c["type"]: (c["status"], c["reason"]) for c in found["status"]["conditions"]}
    assert ends["Succeeded"] == ("True", "ExperimentMaxTrialsReached")
    assert ends["Running"][0] == "False"
    said = [(type, data) for type, data in await rig.said() if type == "tuning.experiment.succeeded.v1"]
    assert len(said) == 1 and said[0][1]["best"]["metrics"] == {"accuracy": max(rates) * 10}
    suggestion = (await rig.http.get(f"{API}/suggestions/rates")).json()
    assert suggestion["spec"]["requests"] == suggestion["status"]["suggestionCount"] == 4


async def test_a_run_that_is_not_retained_goes_and_one_that_is_stays(rig: Rig) -> None:
    await rig.create(experiment())
    await until(rig.is_over)

    async def none_left() -> bool:
        return not [key for key in rig.cluster.objects if key[0] == "jobs"]

    await until(none_left)
    assert len(await rig.trials()) == 4
    retained = experiment()
    retained["metadata"]["name"] = "kept"
    retained["spec"]["trialTemplate"]["retain"] = True
    await rig.create(retained)
    await until(lambda: _over(rig, "kept"))
    assert len([key for key in rig.cluster.objects if key[0] == "jobs"]) == 4


async def _over(rig: Rig, name: str) -> Any:
    return (await rig.http.get(f"{API}/experiments/{name}")).json().get("status", {}).get("completionTime")


async def test_trainjobs_are_asked_for_by_command_and_shown_to_clients_once_they_are_there(rig: Rig) -> None:
    """Kubeflow's client asks for the TrainJob of each trial that it finds: one missing breaks its whole answer."""
    await rig.create(experiment(TRAINJOB, maxTrialCount=2))
    names = await asked_for(rig, 2)
    assert await rig.trials(f"{EXPERIMENT}=rates") == []
    [manifest] = [data["manifest"] for _, data in await rig.said() if data.get("manifest")][:1]
    assert manifest["metadata"]["labels"] == {EXPERIMENT: "rates", TRIAL: names[0]}
    assert manifest["spec"]["trainer"]["command"][1].startswith("0.")
    for name in names:
        await accept(rig, name)
    assert len(await until(lambda: rig.trials(f"{EXPERIMENT}=rates"))) >= 1
    await succeed(rig, names[0], "accuracy = 0.5\naccuracy = 0.7\nloss=1")
    await succeed(rig, names[1], "accuracy = 0.6")
    await until(rig.is_over)
    best = (await rig.experiment())["status"]["currentOptimalTrial"]
    assert best["bestTrialName"] == names[0]
    assert best["observation"]["metrics"] == [{"name": "accuracy", "latest": "0.7", "min": "0.5", "max": "0.7"}]
    await until(lambda: rig.said_of("training.trainjob.delete.v1"))


async def test_of_several_pods_the_masters_output_counts(rig: Rig) -> None:
    await rig.create(experiment(PYTORCHJOB, maxTrialCount=1, parallelTrialCount=1))
    [name] = await until(lambda: rig.said_of(ApplyLegacyJob.type))
    for role, output in (("master", "accuracy=0.9"), ("worker", "accuracy=0.1")):
        own = {"training.kubeflow.org/job-role": role} if role == "master" else {}
        labels = {TRIAL: name, "training.kubeflow.org/replica-index": "0", **own}
        rig.cluster.prints(f"{name}-{role}", labels, output)
    kind = {"kind": "PyTorchJob"}
    await rig.hear(LegacyJobSucceeded(**{**about(name), "kind": "TFJob"}))
    assert not await rig.is_over(), "that was another job of this name"
    await rig.hear(LegacyJobApplied(**about(name), resource_version="1", command_id="c"))
    await rig.hear(LegacyJobSucceeded(**about(name), **kind))
    await until(rig.is_over)
    assert (await rig.experiment())["status"]["currentOptimalTrial"]["observation"]["metrics"][0]["max"] == "0.9"


async def test_a_job_that_fails_or_says_nothing_is_a_failed_trial_that_tells_why(rig: Rig) -> None:
    await rig.create(experiment(TRAINJOB, maxTrialCount=3, parallelTrialCount=3))
    first, second, third = await asked_for(rig, 3)
    for name in (first, second, third):
        await accept(rig, name)
    await rig.hear(TrainJobFailed(**about(first), reason="OOMKilled", message="it took too much"))
    await succeed(rig, second, "nothing to see")
    await succeed(rig, third, "accuracy=0.9")
    await until(rig.is_over)
    status = (await rig.experiment())["status"]
    assert (status["trialsFailed"], status["trialMetricsUnavailable"], status["trialsSucceeded"]) == (1, 1, 1)
    told = {trial["metadata"]["name"]: trial["status"]["conditions"][-1] for trial in await rig.trials()}
    assert (told[first]["type"], told[first]["reason"]) == ("Failed", "OOMKilled")
    assert told[second]["type"] == "MetricsUnavailable"
    assert "print a line such as accuracy=0.9" in told[second]["message"]


async def test_what_the_trainer_refuses_ends_the_experiment_with_its_words(rig: Rig) -> None:
    await rig.create(experiment(TRAINJOB, maxTrialCount=20))
    name = (await asked_for(rig, 2))[0]
    refusal = {"reason": "Invalid", "message": "spec.runtimeRef.name: there is no such runtime"}
    await rig.hear(TrainJobRejected(namespace="team", name=name, command_id="c", status=refusal))
    await until(rig.is_over)
    told = (await rig.experiment())["status"]["conditions"][-1]
    assert told["type"] == "Failed" and "there is no such runtime" in told["message"]
    assert len(await rig.trials()) <= 3


async def test_a_goal_that_is_reached_ends_it_and_stops_what_still_runs(rig: Rig) -> None:
    goal = {"type": "maximize", "objectiveMetricName": "accuracy", "goal": 0.8}
    await rig.create(experiment(TRAINJOB, maxTrialCount=9, objective=goal))
    first, second = await asked_for(rig, 2)
    for name in (first, second):
        await accept(rig, name)
    await succeed(rig, first, "accuracy=0.85")
    await until(rig.is_over)
    ends = {c["type"]: c["reason"] for c in (await rig.experiment())["status"]["conditions"]}
    assert ends["Succeeded"] == "ExperimentGoalReached"
    await until(lambda: _killed(rig, second))
    assert second in await until(lambda: rig.said_of("training.trainjob.delete.v1"))
    assert await rig.said_of("tuning.trial.stopped.v1") == [second]


async def _killed(rig: Rig, name: str) -> bool:
    return name in ((await rig.experiment())["status"].get("killedTrialList") or [])


async def test_deleting_it_takes_its_trials_and_their_jobs_along(rig: Rig) -> None:
    await rig.create(experiment(TRAINJOB))
    names = await asked_for(rig, 2)
    for name in names:
        await accept(rig, name)
    await rig.http.delete(f"{API}/experiments/rates")

    async def all_told() -> bool:
        return sorted(set(await rig.said_of("training.trainjob.delete.v1"))) == sorted(names)

    await until(all_told)
    assert (await rig.experiment())["metadata"]["deletionTimestamp"], "its jobs still run"
    for name in names:
        await rig.hear(TrainJobDeleted(**about(name)))

    async def gone() -> bool:
        return (await rig.http.get(f"{API}/experiments/rates")).status_code == 404 and not await rig.trials()

    await until(gone)
    assert await rig.said_of("tuning.experiment.deleted.v1") == ["rates"]


async def test_one_that_is_deleted_just_when_its_job_has_ended_goes_too(rig: Rig) -> None:
    async def no_answer(step: str) -> None:
        raise Unavailable("the log cannot be read now")

    await rig.create(experiment(TRAINJOB, maxTrialCount=1, parallelTrialCount=1))
    [name] = await asked_for(rig, 1)
    await accept(rig, name)
    rig.cluster.step = no_answer
    await succeed(rig, name, "accuracy=1")
    await rig.http.delete(f"{API}/experiments/rates")
    await until(lambda: rig.said_of("training.trainjob.delete.v1"))
    await rig.hear(TrainJobDeleted(**about(name)))

    async def gone() -> bool:
        return (await rig.http.get(f"{API}/experiments/rates")).status_code == 404

    await until(gone)


async def test_more_budget_lets_it_go_on_and_a_patch_of_the_whole_object_is_taken(rig: Rig) -> None:
    """KatibClient sends all that it read, status and resourceVersion included, while the status moves."""
    read = (await rig.create(experiment())).json()
    await until(rig.is_over)
    whole = await rig.experiment()
    for generation, code in ((0, 409), (read["metadata"]["generation"], 200)):
        past = {**whole["metadata"], "resourceVersion": read["metadata"]["resourceVersion"], "generation": generation}
        assert (await rig.patch({**whole, "metadata": past})).status_code == code
    whole["spec"]["maxTrialCount"] = 6
    answer = await rig.patch(whole)
    assert answer.status_code == 200, answer.text

    async def six() -> bool:
        return (await rig.experiment())["status"].get("trialsSucceeded") == 6 and await rig.is_over()

    await until(six)
    assert await rig.said_of("tuning.experiment.restarted.v1") == ["rates"]
    assert len(await rig.said_of("tuning.experiment.succeeded.v1")) == 2
    types = [type for type, _ in await rig.said()]
    assert types.count("tuning.trial.succeeded.v1") == types.count("tuning.trial.created.v1") == 6


async def test_too_many_failures_end_it(tmp_path: Path) -> None:
    async with started(tmp_path, PaperCluster(lambda job: None)) as rig:
        await rig.create(experiment(maxTrialCount=20, maxFailedTrialCount=2))
        await until(rig.is_over)
        status = (await rig.experiment())["status"]
        assert 3 <= status["trialsFailed"] <= 4
        assert "it failed" in status["conditions"][-1]["message"]
        assert len(await rig.said_of("tuning.experiment.failed.v1")) == 1


async def test_a_namesake_that_comes_after_it_gets_trials_of_its_own(rig: Rig) -> None:
    await rig.create(experiment())
    await until(rig.is_over)
    before = {trial["metadata"]["name"] for trial in await rig.trials()}
    await rig.http.delete(f"{API}/experiments/rates")

    async def gone() -> bool:
        return (await rig.http.get(f"{API}/experiments/rates")).status_code == 404

    await until(gone)
    await rig.create(experiment())
    await until(rig.is_over)
    assert not before & {trial["metadata"]["name"] for trial in await rig.trials()}


async def test_a_filter_of_the_users_own_is_applied_and_one_that_never_ends_is_given_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.tuner.adapters.outputs.OWN_FILTER_S", 2.0)
    rig.cluster.fate = lambda job: '{"metric": "accuracy", "value": 0.5}\naccuracy ' + "a" * 64
    collector = {"source": {"filter": {"metricsFormat": [r'"metric": "(\w+)", "value": ([\d.]+)']}}}
    await rig.create(experiment(maxTrialCount=1, parallelTrialCount=1, metricsCollectorSpec=collector))
    await until(rig.is_over)
    assert (await rig.experiment())["status"]["trialsSucceeded"] == 1
    slow = experiment(maxTrialCount=1, parallelTrialCount=1)
    slow["metadata"]["name"] = "slow"
    slow["spec"]["metricsCollectorSpec"] = {"source": {"filter": {"metricsFormat": [r"(accuracy) ((a+)+)b"]}}}
    await rig.create(slow)
    await until(lambda: _over(rig, "slow"))
    assert "metricsFormat took more than 2 s" in (await rig.http.get(f"{API}/experiments/slow")).text
