"""What anyone may ask of the pipelines service, version 1: only optional fields are ever added here."""

from typing import Any, ClassVar

from pydantic import Field

from contracts.messages import ApplyCommand, DeleteCommand

PIPELINE_RUN = {
    "apiVersion": "millstream.dev/v1alpha1",
    "kind": "PipelineRun",
    "metadata": {"name": "nightly"},
    "spec": {"pipelineRef": {"name": "digits"}, "parameters": {"epochs": 3}},
}


class ApplyPipelineRun(ApplyCommand):
    """Start a run of a pipeline, once for each name; `namespace` and the manifest's own must be the same."""

    type: ClassVar[str] = "pipelines.pipelinerun.apply.v1"
    manifest: dict[str, Any] = Field(examples=[PIPELINE_RUN])


class DeletePipelineRun(DeleteCommand):
    """Delete a PipelineRun; its run is stopped if it goes on."""

    type: ClassVar[str] = "pipelines.pipelinerun.delete.v1"
