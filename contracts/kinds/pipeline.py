"""Pipeline and PipelineVersion (pipelines.kubeflow.org/v2beta1), as KFP's own CRDs have them; what one field alone
decides is here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

GROUP, VERSION = "pipelines.kubeflow.org", "v2beta1"

Named = Annotated[StrictStr, Field(max_length=253)]
Words = Annotated[StrictStr, Field(max_length=65_535)]
Tags = Annotated[dict[Named, Named], Field(max_length=50)]


class Wire(BaseModel):
    """JSON names by alias."""

    model_config = ConfigDict(populate_by_name=True)


class PipelineSpec(Wire):
    display_name: Named | None = Field(default=None, alias="displayName", description="What people see; else its name.")
    description: Words | None = None
    tags: Tags | None = None


class Pipeline(Wire):
    api_version: Literal["pipelines.kubeflow.org/v2beta1"] = Field(
        default="pipelines.kubeflow.org/v2beta1", alias="apiVersion"
    )
    kind: Literal["Pipeline"] = "Pipeline"
    metadata: dict[str, Any]
    spec: PipelineSpec = PipelineSpec()


class PipelineVersionSpec(Wire):
    pipeline_name: Annotated[Named, Field(min_length=1)] = Field(
        alias="pipelineName", description="The Pipeline in this namespace whose version it is."
    )
    version_name: Annotated[Named, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")] | None = Field(
        default=None, alias="versionName", description="Unique in its pipeline; else the object's name."
    )
    display_name: Named | None = Field(default=None, alias="displayName", description="What people see; else its name.")
    description: Words | None = None
    code_source_url: Words | None = Field(default=None, alias="codeSourceURL")
    tags: Tags | None = None
    pipeline_spec: dict[str, Any] = Field(alias="pipelineSpec", description="The first document that kfp compiles.")
    platform_spec: dict[str, Any] | None = Field(
        default=None, alias="platformSpec", description="The second document that kfp compiles, if it wrote one."
    )
    pipeline_spec_uri: Words | None = Field(
        default=None, alias="pipelineSpecURI", description="Where it comes from, for people; nothing is fetched."
    )


class PipelineVersionStatus(Wire):
    conditions: list[dict[str, Any]] = []


class PipelineVersion(Wire):
    api_version: Literal["pipelines.kubeflow.org/v2beta1"] = Field(
        default="pipelines.kubeflow.org/v2beta1", alias="apiVersion"
    )
    kind: Literal["PipelineVersion"] = "PipelineVersion"
    metadata: dict[str, Any]
    spec: PipelineVersionSpec
    status: PipelineVersionStatus | None = None


KINDS = (Pipeline, PipelineVersion)
