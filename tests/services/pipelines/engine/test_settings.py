"""Names in the kubernetes document that come from inputs and outputs reach the tasks that need them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.pipelines.adapters.spec import canonical, pipeline_of
from services.pipelines.domain.ir.model import FromInput, FromTask
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.ir.reading import read

GOLDEN = Path(__file__).parents[1] / "golden" / "kfp_2.17.0" / "kubernetes_late.yaml"


def test_a_task_is_given_what_its_kubernetes_document_takes_from_elsewhere_and_waits_for_it() -> None:
    spec, platform = yaml.safe_load_all(GOLDEN.read_text())
    dag = pipeline_of(json.dumps({"pipeline_spec": spec, "platform_spec": platform})).root.dag
    tasks = dag.tasks if dag else {}
    given = {name: source.source for name, source in tasks["work-2"].parameters.items() if name != "text"}
    assert given == {
        "pipelinechannel--secret": FromInput("secret"),
        "pipelinechannel--colour": FromInput("colour"),
        "pipelinechannel--work-Output": FromTask("work", "Output"),
    }
    assert tasks["work-3"].parameters["pipelinechannel--spot"].source == FromInput("spot")
    assert tasks["work-3"].upstream == ("selector",)
    assert set(tasks["work"].parameters) == {"text"}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"secretAsEnv": "keys"}, "secretAsEnv: a list is wanted, not 'keys'"),
        ({"secretAsEnv": [{"secretName": 3}]}, "secretAsEnv[0].secretName: a text is wanted, not 3"),
        ({"configMapAsEnv": [{"keyToEnv": [{"envVar": "A"}]}]}, "configMapAsEnv[0].keyToEnv[0].configMapKey: missing"),
        ({"pvcMount": [{"constant": "c"}]}, "pvcMount[0].mountPath: missing"),
        ({"securityContext": {"runAsUser": "root"}}, "securityContext.runAsUser: a whole number is wanted, not 'root'"),
        ({"nodeSelector": {"labels": {"a": 1}}}, "nodeSelector.labels: texts by name is wanted, not {'a': 1.0}"),
        ({"hostPath": "/"}, "hostPath: no such field is known here"),
        ({"emptyDirMounts": [None]}, "emptyDirMounts[0]: null is no member of it"),
    ],
)
def test_a_kubernetes_document_of_another_shape_is_refused_with_its_field(document: Any, told: str) -> None:
    spec, platform = yaml.load_all(GOLDEN.read_text(), yaml.CSafeLoader)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executor = next(iter(executors))
    executors[executor] = document
    with pytest.raises(SpecError, match=re.escape(told)):
        read(*canonical({"pipeline_spec": spec, "platform_spec": platform}))
