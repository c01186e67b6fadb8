"""What could not be put to the scheduler is refused where it is written: such a job would stand still for ever."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from contracts import demand, queueing

LIMIT, SLICE = "kueue.x-k8s.io/max-exec-time-seconds", "kueue.x-k8s.io/podset-slice-size"


@pytest.mark.parametrize("value", ["abc", "0", "9" * 30])
def test_a_time_that_is_none_is_refused(value: str):
    job = {"metadata": {"labels": {LIMIT: value}}}
    assert list(demand.of_object(job)) == [
        (f"metadata.labels[{LIMIT}]", f"{value!r} must be a whole number of seconds, at least 1")
    ]


def test_a_priority_that_is_none_is_refused():
    ((field, _),) = demand.of_object({"metadata": {"annotations": {"millstream.dev/priority": "urgent"}}})
    assert field == "metadata.annotations[millstream.dev/priority]"


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ({"metadata": {"annotations": {SLICE: "two"}}}, f"t.metadata.annotations[{SLICE}]"),
        ({"spec": {"overhead": {"cpu": "-1"}}}, "t.spec.overhead.cpu"),
        (
            {"spec": {"containers": [{}, {"resources": {"requests": {"cpu": "-4"}}}]}},
            "t.spec.containers[1].resources.requests.cpu",
        ),
        (
            {"spec": {"initContainers": [{"resources": {"limits": {"memory": "1e99"}}}]}},
            "t.spec.initContainers[0].resources.limits.memory",
        ),
    ],
    ids=["slices", "overhead", "less than nothing", "beyond everything"],
)
def test_a_template_that_could_not_be_counted_is_refused(template: Any, field: str):
    assert [where for where, _ in demand.of_template(template, "t")] == [field]


@pytest.mark.parametrize("odd", [None, 3, [], {"spec": None}, {"spec": {"containers": [None, {"resources": 1}]}}])
def test_what_has_another_shape_is_for_others_to_refuse(odd: Any):
    assert list(demand.of_template(odd, "t")) == []


def test_every_kind_of_job_and_runtime_asks():
    from services.trainer.domain.job_rules import job_causes
    from services.trainer.domain.runtime_rules import runtime_causes
    from services.trainer.plugins.torch import Torch
    from tests.services.trainer.builders import job, runtime

    wrong = job()
    wrong["metadata"] = {**wrong["metadata"], "labels": {LIMIT: "abc"}}
    assert [cause.field for cause in job_causes(wrong, None)] == [f"metadata.labels[{LIMIT}]"]
    told = runtime_causes(runtime(resources={"limits": {"cpu": "-4"}}), (Torch(),))
    assert [cause.field.rpartition(".")[2] for cause in told] == ["cpu"]


ODD = (None, 3, "x", [], {}, [None], {"a": None})


def _replaced(obj: Any, at: tuple[Any, ...], odd: Any) -> Any:
    out = deepcopy(obj)
    place = out
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = odd
    return out


def _places(obj: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, inner in obj.items() if isinstance(obj, dict) else enumerate(obj) if isinstance(obj, list) else ():
        yield (*at, key)
        yield from _places(inner, (*at, key))


def test_whatever_stands_anywhere_in_a_runtime_or_a_patch_is_refused_or_can_be_run():
    """Null and all sorts of values in every place: an answer, never an error; what is taken becomes a blueprint."""
    from services.trainer.domain.blueprint import blueprint
    from services.trainer.domain.job_rules import job_causes
    from services.trainer.domain.runtime_rules import runtime_causes
    from services.trainer.plugins.torch import Torch
    from tests.services.trainer.builders import RUNTIME, job, runtime

    shipped = runtime(resources={"limits": {"cpu": "1"}}, env=[{"name": "A", "value": "b"}])
    taken = 0
    for at in _places(shipped["spec"], ("spec",)):
        for odd in ODD:
            wish = _replaced(shipped, at, odd)
            if not runtime_causes(wish, (Torch(),)):
                assert queueing.pod_set("node", 1, blueprint(job(), wish).pod), (at, odd)
                taken += 1
    body = {"template": shipped["spec"]["template"]}
    del body["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]["image"]
    patched = job(spec={"runtimePatches": [{"manager": "a/b", "trainingRuntimeSpec": body}]})
    for at in _places(body, ("spec", "runtimePatches", 0, "trainingRuntimeSpec")):
        for odd in ODD:
            wish = _replaced(patched, at, odd)
            if not job_causes(wish, None):
                assert queueing.pod_set("node", 1, blueprint(wish, RUNTIME).pod), (at, odd)
                taken += 1
    assert taken > 10
