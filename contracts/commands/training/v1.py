"""What anyone may ask of the trainer service, version 1: only optional fields are ever added here."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.messages import ApplyCommand, DeleteCommand

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
