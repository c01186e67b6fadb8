"""What anyone may ask of the serving service, version 1: only optional fields are ever added here."""

from typing import ClassVar

from contracts.messages import ApplyCommand, DeleteCommand


class ApplyInferenceService(ApplyCommand):
    """Create or change a InferenceService; `namespace` and the manifest's own must agree where both are given."""

    type: ClassVar[str] = "serving.inferenceservice.apply.v1"


class DeleteInferenceService(DeleteCommand):
    """Delete a InferenceService."""

    type: ClassVar[str] = "serving.inferenceservice.delete.v1"
