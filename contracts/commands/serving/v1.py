"""What anyone may ask of the serving service, version 1: only optional fields are ever added here."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.messages import ApplyCommand, DeleteCommand

INFERENCE_SERVICE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "digits"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "pytorch"}, "storageUri": "model-registry://digits/1"}}},
}


class ApplyInferenceService(ApplyCommand):
    """Create or change a InferenceService; `namespace` and the manifest's own must agree where both are given."""

    type: ClassVar[str] = "serving.inferenceservice.apply.v1"
    manifest: dict[str, Any] = Field(examples=[INFERENCE_SERVICE])


class DeleteInferenceService(DeleteCommand):
    """Delete a InferenceService."""

    type: ClassVar[str] = "serving.inferenceservice.delete.v1"
