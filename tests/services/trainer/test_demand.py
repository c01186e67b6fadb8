"""What could not be put to the scheduler is refused where it is written: such a job would stand still for ever."""

from typing import Any

import pytest

from contracts import demand

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
