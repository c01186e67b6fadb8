"""What anyone may ask of the trainer service, version 1: only optional fields are ever added here."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.messages import ApplyCommand, DeleteCommand, Name

TRAINJOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "digits", "annotations": {"millstream.dev/model-name": "digits"}},
    "spec": {
        "runtimeRef": {"name": "torch-distributed"},
        "trainer": {
            "numNodes": 2,
            "command": ["torchrun", "train.py"],
            "resourcesPerNode": {"requests": {"cpu": "1", "memory": "1Gi"}},
        },
    },
}


class ApplyTrainJob(ApplyCommand):
    """Create or change a TrainJob; `namespace` and the manifest's own must agree where both are given."""

    type: ClassVar[str] = "training.trainjob.apply.v1"
    manifest: dict[str, Any] = Field(examples=[TRAINJOB])


class DeleteTrainJob(DeleteCommand):
    """Delete a TrainJob."""

    type: ClassVar[str] = "training.trainjob.delete.v1"


PYTORCHJOB = {
    "apiVersion": "kubeflow.org/v1",
    "kind": "PyTorchJob",
    "metadata": {"name": "digits"},
    "spec": {
        "pytorchReplicaSpecs": {
            "Master": {
                "template": {
                    "spec": {
                        "containers": [{"name": "pytorch", "image": "pytorch/pytorch", "command": ["python", "t.py"]}]
                    }
                }
            }
        }
    },
}


class ApplyLegacyJob(ApplyCommand):
    """Create or change a job of one of the Training Operator's kinds (kubeflow.org/v1); the manifest names its kind."""

    type: ClassVar[str] = "training.legacyjob.apply.v1"
    manifest: dict[str, Any] = Field(examples=[PYTORCHJOB])


class DeleteLegacyJob(DeleteCommand):
    """Delete a job of the Training Operator's kind `kind`."""

    type: ClassVar[str] = "training.legacyjob.delete.v1"
    kind: Name = Field(examples=["PyTorchJob"])
