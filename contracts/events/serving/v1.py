"""What serving says about its InferenceServices, version 1: only optional fields are ever added here."""

from typing import ClassVar

from contracts.messages import AppliedEvent, ObjectEvent, RejectedEvent


class InferenceServiceCreated(ObjectEvent):
    """A service was accepted; nothing answers yet."""

    type: ClassVar[str] = "serving.inferenceservice.created.v1"


class InferenceServiceReady(ObjectEvent):
    """`revision` of the service answers predictions at `url` with the model of `model_uri`, as the user named it, whose
    files were fetched from `fetched_uri`."""

    type: ClassVar[str] = "serving.inferenceservice.ready.v1"
    url: str
    revision: str
    model_uri: str
    fetched_uri: str = ""


class InferenceServiceFailed(ObjectEvent):
    """The service cannot become ready by itself. `reason` is one CamelCase word, `message` a sentence for people."""

    type: ClassVar[str] = "serving.inferenceservice.failed.v1"
    reason: str
    message: str = ""


class InferenceServiceDeleted(ObjectEvent):
    """The service and all its workloads are gone. Also the answer to a delete command."""

    type: ClassVar[str] = "serving.inferenceservice.deleted.v1"


class InferenceServiceApplied(AppliedEvent):
    """The answer to an apply command that was carried out."""

    type: ClassVar[str] = "serving.inferenceservice.applied.v1"


class InferenceServiceRejected(RejectedEvent):
    """The answer to an apply or delete command that was refused."""

    type: ClassVar[str] = "serving.inferenceservice.rejected.v1"
