"""The demo's TrainJob, as a client would write it."""

from __future__ import annotations

from typing import Any

from millstream.demo.data import TRAIN

MODEL = "digits"


def train_job(name: str, namespace: str = "default", epochs: int = 8, serve_as: str = MODEL) -> dict[str, Any]:
    """Two nodes of the PyTorch runtime; the annotations ask for registration and for a rollout."""
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {
                "millstream.dev/model-name": MODEL,
                "millstream.dev/model-format": "pytorch",
                "millstream.dev/dataset-uri": TRAIN,
                "millstream.dev/serve-as": serve_as,
            },
        },
        "spec": {
            "runtimeRef": {"name": "torch-distributed"},
            "trainer": {
                "numNodes": 2,
                "command": ["torchrun", "-m", "millstream.demo.train", f"--data={TRAIN}", f"--epochs={epochs}"],
            },
        },
    }
