"""What anyone may ask of the trainer service, version 1: only optional fields are ever added here."""

from typing import ClassVar

from contracts.messages import ApplyCommand, DeleteCommand


class ApplyTrainJob(ApplyCommand):
    """Create or change a TrainJob; `namespace` and the manifest's own must agree where both are given."""

    type: ClassVar[str] = "training.trainjob.apply.v1"


class DeleteTrainJob(DeleteCommand):
    """Delete a TrainJob."""

    type: ClassVar[str] = "training.trainjob.delete.v1"
