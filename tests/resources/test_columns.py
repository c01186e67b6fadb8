"""Printer columns find their values by JSONPath, also under label keys that contain dots."""

from __future__ import annotations

from typing import Any

import pytest

from libs.resources.jsonpath import compiled

OBJECT = {
    "metadata": {"labels": {"trainer.kubeflow.org/framework": "torch"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}], "replicas": [1, 2, 3]},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (r".metadata.labels.trainer\.kubeflow\.org/framework", "torch"),
        (".metadata.labels['trainer.kubeflow.org/framework']", "torch"),
        ('.status.conditions[?(@.type=="Ready")].status', "True"),
        (".status.conditions[?(@.type=='Gone')].status", None),
        (".status.replicas[-1:]", 3),
        (".nothing.at.all", None),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: Any) -> None:
    assert compiled(path)(OBJECT) == value


def test_a_path_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot read the JSONPath"):
        compiled(".status[*].name")
