"""Names in the kubernetes document that come from inputs and outputs reach the tasks that need them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from services.pipelines.adapters.spec import pipeline_of
from services.pipelines.domain.ir.model import FromInput, FromTask

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
