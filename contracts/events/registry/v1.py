"""What the registry says about models, version 1: only optional fields are ever added here."""

from typing import ClassVar

from pydantic import Field

from contracts.messages import Event, FormatName, Name, Number, Uid


class ModelVersionCreated(Event):
    """A model version can be resolved as `model-registry://<model>/<version>`. `uri` is where its artifact lies."""

    type: ClassVar[str] = "registry.modelversion.created.v1"
    model: Name
    version: Name
    model_id: Uid
    version_id: Uid
    uri: str = Field(min_length=1)
    format: FormatName
    job_uid: Uid | None = None
    serve_as: str | None = None
    metrics: dict[str, Number] = Field(default={}, examples=[{"accuracy": 0.97}])

    def about(self) -> str:
        return f"{self.namespace}/{self.model}/{self.version}".strip("/")
