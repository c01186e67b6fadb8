"""What anyone may ask of the tuner, version 1: only optional fields are ever added here."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.messages import ApplyCommand, DeleteCommand

EXPERIMENT = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "metadata": {"name": "rates"},
    "spec": {
        "objective": {"type": "maximize", "objectiveMetricName": "accuracy"},
        "algorithm": {"algorithmName": "tpe"},
        "maxTrialCount": 12,
        "parallelTrialCount": 2,
        "parameters": [
            {
                "name": "lr",
                "parameterType": "double",
                "feasibleSpace": {"min": "0.001", "max": "0.1", "distribution": "logUniform"},
            }
        ],
        "trialTemplate": {
            "primaryContainerName": "node",
            "trialParameters": [{"name": "lr", "reference": "lr"}],
            "trialSpec": {
                "apiVersion": "trainer.kubeflow.org/v1alpha1",
                "kind": "TrainJob",
                "spec": {
                    "runtimeRef": {"name": "torch-distributed"},
                    "trainer": {"command": ["python", "train.py", "--lr=${trialParameters.lr}"]},
                },
            },
        },
    },
}


class ApplyExperiment(ApplyCommand):
    """Begin an Experiment or change its budget; `namespace` and the manifest's own must agree where both are given."""

    type: ClassVar[str] = "tuning.experiment.apply.v1"
    manifest: dict[str, Any] = Field(examples=[EXPERIMENT])


class DeleteExperiment(DeleteCommand):
    """Delete an Experiment with its trials and what they run."""

    type: ClassVar[str] = "tuning.experiment.delete.v1"
