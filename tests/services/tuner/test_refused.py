"""Bad Experiments are refused on write, before anything runs: the answer names the field, the value and the remedy."""

from collections.abc import AsyncIterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.tuner.adapters.kinds import experiment_kind
from services.tuner.plugins import ALGORITHMS
from tests.services.tuner.paper import PaperCluster
from tests.services.tuner.rig import API, EXPERIMENT, TRAINJOB, Rig, as_told, experiment, started, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
Object = dict[str, Any]
LR = "spec.parameters[0].feasibleSpace"
TEMPLATE = "spec.trialTemplate"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with started(Path(tmp_path_factory.mktemp("tuner")), PaperCluster(as_told)) as rig:
        yield rig


def space(kind: str = "double", **space: Any) -> Object:
    return {"parameters": [{"name": "lr", "parameterType": kind, "feasibleSpace": space}]}


def run(spec: Object, container: str = "main", **parameters: Any) -> Object:
    template = deepcopy(EXPERIMENT["spec"]["trialTemplate"])
    return {"trialTemplate": {**template, "trialSpec": spec, "primaryContainerName": container, **parameters}}


JOB = EXPERIMENT["spec"]["trialTemplate"]["trialSpec"]
OTHER = {**JOB, "spec": {"template": {"spec": {"restartPolicy": "Always", "containers": [{"name": "main"}]}}}}
BAD: dict[str, tuple[Object, str, str]] = {
    "an unknown algorithm": (
        {"algorithm": {"algorithmName": "magic"}},
        "spec.algorithm.algorithmName",
        "'magic' is not known; choose random, grid, sobol, tpe, multivariate-tpe",
    ),
    "an unknown setting": (
        {"algorithm": {"algorithmName": "tpe", "algorithmSettings": [{"name": "luck", "value": "1"}]}},
        "spec.algorithm.algorithmSettings[0].name",
        "'luck' is no setting of tpe; known: random_state",
    ),
    "a setting that is no number": (
        {"algorithm": {"algorithmName": "tpe", "algorithmSettings": [{"name": "random_state", "value": "x"}]}},
        "spec.algorithm.algorithmSettings[0].value",
        "'x' must be a whole number",
    ),
    "min above max": (space(min="0.2", max="0.1"), f"{LR}.min", "0.2 must not exceed max, which is 0.1"),
    "no number": (space(min="low", max="1"), f"{LR}.min", "'low' is no number"),
    "not a number": (space(min="nan", max="1"), f"{LR}.min", "'nan' is no number"),
    "a fraction for an int": (space("int", min="1", max="2.5"), f"{LR}.max", "'2.5' is no whole number"),
    "no max": (space(min="1"), f"{LR}.max", "is required with parameterType double"),
    "a log of zero": (
        space(min="0", max="1", distribution="logUniform"),
        f"{LR}.min",
        "0 must be greater than 0 with distribution logUniform",
    ),
    "a step of nothing": (space(min="0", max="1", step="0"), f"{LR}.step", "0 must be greater than 0"),
    "an unknown distribution": (space(min="0", max="1", distribution="zipf"), f"{LR}.distribution", "uniform"),
    "a list for a range": (space(min="0", max="1", list=["1"]), f"{LR}.list", "use min and max"),
    "no list": (space("categorical"), f"{LR}.list", "name the values"),
    "a word in a discrete list": (space("discrete", list=["1", "two"]), f"{LR}.list[1]", "parameterType categorical"),
    "a value twice": (space("categorical", list=["a", "a"]), f"{LR}.list[1]", "'a' is there already"),
    "a grid over all numbers": (
        {"algorithm": {"algorithmName": "grid"}},
        f"{LR}.step",
        "is required by grid for a parameter of type double",
    ),
    "no parameter": ({"parameters": []}, "spec.parameters", "at least 1"),
    "a parameter that is not there": (
        run(JOB, trialParameters=[{"name": "rate", "reference": "speed"}]),
        f"{TEMPLATE}.trialParameters[0].reference",
        "'speed' is no parameter; there are lr",
    ),
    "a placeholder of nothing": (
        run(JOB, trialParameters=[]),
        f"{TEMPLATE}.trialSpec.spec.template.spec.containers[0].args[0]",
        "${trialParameters.rate} is not among trialParameters; add it there",
    ),
    "a parameter that is not used": (
        run(JOB, trialParameters=[{"name": n, "reference": "lr"} for n in ("rate", "speed")]),
        f"{TEMPLATE}.trialParameters[1].name",
        "${trialParameters.speed} is nowhere in trialSpec",
    ),
    "a kind that cannot run": (
        run({"apiVersion": "v1", "kind": "Pod", "spec": {}}),
        f"{TEMPLATE}.trialSpec.kind",
        "Pod (v1) cannot be run; use TrainJob (trainer.kubeflow.org/v1alpha1), Job (batch/v1)",
    ),
    "a container that is not there": (
        run(JOB, "training"),
        f"{TEMPLATE}.trialSpec.spec.template.spec.containers",
        "there is no 'training', which primaryContainerName names; there are 'main'",
    ),
    "a container that no TrainJob has": (
        run(TRAINJOB, "main"),
        f"{TEMPLATE}.trialSpec",
        "primaryContainerName to node",
    ),
    "a Job that restarts for ever": (
        run(OTHER, trialParameters=[]),
        f"{TEMPLATE}.trialSpec.spec.template.spec.restartPolicy",
        "'Always' must be Never or OnFailure",
    ),
    "a TrainJob without a runtime": (
        run({**TRAINJOB, "spec": {"trainer": TRAINJOB["spec"]["trainer"]}}, "node"),
        f"{TEMPLATE}.trialSpec.spec.runtimeRef",
        "Field required",
    ),
    "a collector that is not here": (
        {"metricsCollectorSpec": {"collector": {"kind": "Prometheus"}}},
        "spec.metricsCollectorSpec.collector.kind",
        "StdOut",
    ),
    "a filter that is no expression": (
        {"metricsCollectorSpec": {"source": {"filter": {"metricsFormat": ["(a"]}}}},
        "spec.metricsCollectorSpec.source.filter.metricsFormat[0]",
        "'(a' is no regular expression",
    ),
    "a filter without groups": (
        {"metricsCollectorSpec": {"source": {"filter": {"metricsFormat": ["a=.*"]}}}},
        "spec.metricsCollectorSpec.source.filter.metricsFormat[0]",
        "must have two groups",
    ),
    "an early stop": ({"earlyStopping": {"algorithmName": "medianstop"}}, "spec.earlyStopping", "leave it out"),
    "more at a time than at all": ({"parallelTrialCount": 9}, "spec.parallelTrialCount", "9 must not exceed"),
    "no trial at all": ({"maxTrialCount": 0}, "spec.maxTrialCount", "greater than or equal to 1"),
    "no direction": ({"objective": {"objectiveMetricName": "a"}}, "spec.objective.type", "required"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_work_is_refused(rig: Rig, case: str) -> None:
    change, field, words = BAD[case]
    answer = await rig.http.post(f"{API}/experiments", json={**EXPERIMENT, "spec": {**EXPERIMENT["spec"], **change}})
    assert answer.status_code == 422, answer.text
    causes = {cause["field"]: cause["message"] for cause in answer.json()["details"]["causes"]}
    assert field in causes, causes
    assert words.lower() in causes[field].lower()


async def test_a_name_that_its_trials_could_not_bear_is_refused(rig: Rig) -> None:
    long = experiment()
    long["metadata"]["name"] = "a" * 41
    answer = await rig.http.post(f"{API}/experiments", json=long)
    assert answer.status_code == 422 and "at most 40 lower-case letters" in answer.json()["message"]


async def test_what_it_searches_cannot_change_and_its_budget_can(tmp_path: Path) -> None:
    async with started(tmp_path, PaperCluster(lambda job: "")) as rig:
        await rig.create(experiment())
        await until(rig.trials)
        answer = await rig.patch({"spec": {"algorithm": {"algorithmName": "tpe"}}})
        assert answer.status_code == 422 and "spec.algorithm" in answer.text
        assert "only maxTrialCount, maxFailedTrialCount, parallelTrialCount may change" in answer.text
        answer = await rig.patch({"spec": {"maxTrialCount": 5, "parallelTrialCount": 3}})
        assert answer.status_code == 200, answer.text

        async def three() -> bool:
            return len(await rig.trials()) == 3

        await until(three)


async def test_one_that_shall_never_resume_does_not(rig: Rig) -> None:
    never = experiment(resumePolicy="Never")
    await rig.create(never)
    await until(rig.is_over)
    answer = await rig.patch({"spec": {"maxTrialCount": 9}})
    assert answer.status_code == 422 and "spec.resumePolicy" in answer.text


async def test_people_make_no_trials_and_change_none(rig: Rig) -> None:
    await until(rig.is_over)
    [trial, *_] = await rig.trials()
    url, merge = f"{API}/trials/{trial['metadata']['name']}", {"content-type": "application/merge-patch+json"}
    answer = await rig.http.patch(url, json={"spec": {"primaryContainerName": "other"}}, headers=merge)
    assert answer.status_code == 422 and "it follows from the Experiment" in answer.text
    own = {**trial, "metadata": {"name": "own", "namespace": "team"}}
    answer = await rig.http.post(f"{API}/trials", json=own)
    assert answer.status_code == 403 and "create an Experiment" in answer.text


async def test_katibs_client_puts_a_list_into_distribution_and_is_understood(rig: Rig) -> None:
    odd = experiment()
    odd["metadata"]["name"] = "odd"
    odd["spec"]["parameters"] = [
        {"name": "lr", "parameterType": "categorical", "feasibleSpace": {"distribution": ["0.1", "0.2"]}},
        {"name": "n", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "5"}},
    ]
    stored = (await rig.create(odd)).json()["spec"]
    assert stored["parameters"][0]["feasibleSpace"] == {"list": ["0.1", "0.2"]}
    assert stored["parameters"][1]["feasibleSpace"]["distribution"] == "uniform"
    assert stored["metricsCollectorSpec"] == {"collector": {"kind": "StdOut"}}
    assert stored["objective"]["metricStrategies"] == [{"name": "accuracy", "value": "max"}]


async def test_whoever_writes_one_must_be_allowed_to_make_what_its_trials_run() -> None:
    kind = experiment_kind(ALGORITHMS)
    plain = {(right.verb, right.plural) for right in kind.rights(experiment(TRAINJOB), None)}
    assert plain == {("create", "trainjobs")}
    reaching = experiment(JOB)
    pod = reaching["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "s", "secret": {"secretName": "theirs"}}]
    asked = {(right.verb, right.plural, right.because) for right in kind.rights(reaching, None)}
    assert asked == {
        ("create", "jobs", f"{TEMPLATE}.trialSpec"),
        ("create", "pods", f"{TEMPLATE}.trialSpec.spec.template.spec.volumes"),
    }
    assert not kind.rights(reaching, reaching)


async def test_a_value_cannot_bring_what_its_writer_was_not_asked_for(rig: Rig) -> None:
    """`pvc:` in a URI mounts a volume of the namespace."""
    sly = experiment(
        {
            **TRAINJOB,
            "spec": {**TRAINJOB["spec"], "initializer": {"dataset": {"storageUri": "p${trialParameters.rate}"}}},
        }
    )
    sly["metadata"]["name"] = "sly"
    sly["spec"]["parameters"] = [
        {"name": "lr", "parameterType": "categorical", "feasibleSpace": {"list": ["vc:theirs"]}}
    ]
    await rig.create(sly)

    async def refused() -> bool:
        found = await rig.trials("millstream.dev/experiment=sly")
        return bool(found) and "storageUri: reaches beyond the pods" in str(found[0].get("status"))

    await until(refused)
