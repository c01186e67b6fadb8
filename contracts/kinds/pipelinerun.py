"""PipelineRun (millstream.dev/v1alpha1): a run of a pipeline as an object, so that kubectl, a trigger or the command of
another system can start it; what one field alone decides is here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

GROUP, VERSION = "millstream.dev", "v1alpha1"

Text = Annotated[StrictStr, Field(min_length=1, max_length=253)]


class Wire(BaseModel):
    """JSON names by alias."""

    model_config = ConfigDict(populate_by_name=True)


class PipelineRef(Wire):
    """A pipeline that was uploaded; without a version its newest when the run begins."""

    name: Text = Field(description="The pipeline's name in this namespace.")
    version: Text | None = Field(default=None, description="The version's name.")


class PipelineRunSpec(Wire):
    pipeline_ref: PipelineRef | None = Field(default=None, alias="pipelineRef")
    pipeline_spec: dict[str, Any] | None = Field(
        default=None, alias="pipelineSpec", description="A pipeline as kfp compiles it, instead of pipelineRef."
    )
    platform_spec: dict[str, Any] | None = Field(
        default=None, alias="platformSpec", description="The second document that kfp compiles, if it wrote one."
    )
    parameters: dict[StrictStr, Any] = {}
    experiment: Text = "Default"
    display_name: Text | None = Field(default=None, alias="displayName")
    service_account_name: Text | None = Field(default=None, alias="serviceAccountName")
    pipeline_root: Text | None = Field(default=None, alias="pipelineRoot")
    timeout_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(default=None, alias="timeoutSeconds")
    exit_timeout_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None,
        alias="exitTimeoutSeconds",
        description="How long exit tasks may take when the run is stopped, or its time is up.",
    )
    fail_fast: StrictBool | None = Field(
        default=None,
        alias="failFast",
        description="After a failure nothing more is begun but what must always run; without, all that still can.",
    )
    caching: StrictBool | None = Field(
        default=None, description="Whether outputs are reused; each task's own say if left out."
    )

    @model_validator(mode="after")
    def _one_pipeline(self) -> Self:
        if (self.pipeline_ref is None) == (self.pipeline_spec is None):
            raise ValueError("give either pipelineRef or pipelineSpec")
        if self.platform_spec is not None and self.pipeline_spec is None:
            raise ValueError("platformSpec goes with pipelineSpec")
        return self


class PipelineRunStatus(Wire):
    observed_generation: int | None = Field(default=None, alias="observedGeneration")
    run_id: str | None = Field(default=None, alias="runId")
    state: str | None = None
    start_time: datetime | None = Field(default=None, alias="startTime")
    completion_time: datetime | None = Field(default=None, alias="completionTime")
    conditions: list[dict[str, Any]] = []


class PipelineRun(Wire):
    api_version: Literal["millstream.dev/v1alpha1"] = Field(default="millstream.dev/v1alpha1", alias="apiVersion")
    kind: Literal["PipelineRun"] = "PipelineRun"
    metadata: dict[str, Any]
    spec: PipelineRunSpec
    status: PipelineRunStatus | None = None


KINDS = (PipelineRun,)
