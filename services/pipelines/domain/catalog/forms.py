"""What clients send to KFP's REST API, field by field; unknown fields are ignored, as its own server ignores them.

Names are those of the API in snake_case; camelCase, which protobuf's JSON also allows, is understood.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr
from pydantic.alias_generators import to_camel

NAME_MAX = 253
TEXT_MAX = 65_535


def _storable(text: str) -> str:
    """PostgreSQL cannot keep NUL in text, nor anybody half of a character."""
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain half of a character (a lone surrogate)") from None
    return text


Text = Annotated[StrictStr, Field(max_length=TEXT_MAX), AfterValidator(_storable)]
Name = Annotated[StrictStr, Field(max_length=NAME_MAX), AfterValidator(_storable)]
Tags = Annotated[dict[Name, Name], Field(max_length=50)]


class Form(BaseModel):
    """An explicit null means "not given"."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Url(Form):
    pipeline_url: Text | None = None


class PipelineForm(Form):
    display_name: Name | None = None
    name: Name | None = None
    description: Text | None = None
    namespace: Name | None = None
    tags: Tags | None = None


class VersionForm(Form):
    display_name: Name | None = None
    name: Name | None = None
    description: Text | None = None
    pipeline_spec: Any = None
    package_url: Url | None = None
    code_source_url: Text | None = None
    tags: Tags | None = None


class PipelineAndVersionForm(Form):
    pipeline: PipelineForm
    pipeline_version: VersionForm


class ExperimentForm(Form):
    display_name: Name | None = None
    description: Text | None = None
    namespace: Name | None = None


class Reference(Form):
    pipeline_id: Name | None = None
    pipeline_version_id: Name | None = None


class Strict(Form):
    """Unknown fields are refused, as KFP refuses them here."""

    model_config = ConfigDict(extra="forbid")


class MLflowInput(Strict):
    """KFP's `experiment_id` is refused: the server is asked with the platform's key, and a number would reach into the
    experiments of any namespace. A name is below the run's own."""

    experiment_name: Name | None = None
    disabled: StrictBool | None = None


class PluginsInput(Strict):
    """What a run tells each of KFP's plugins."""

    mlflow: MLflowInput | None = None


class RuntimeConfig(Form):
    """KFP's are the first two, and `plugins_input` is one of its runs' own; its servers ignore the others. `queue` and
    `priority_class`: the LocalQueue in which those steps wait that name none themselves."""

    parameters: dict[str, Any] | None = None
    pipeline_root: Text | None = None
    queue: Name | None = None
    priority_class: Name | None = None
    caching: StrictBool | None = None
    fail_fast: StrictBool | None = None
    timeout_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    exit_timeout_seconds: Annotated[StrictInt, Field(ge=1)] | None = None
    plugins_input: PluginsInput | None = None


class Source(Form):
    """Which pipeline: a version that was uploaded, or the whole of it."""

    pipeline_version_id: Name | None = None
    pipeline_version_reference: Reference | None = None
    pipeline_spec: Any = None


class RunForm(Source):
    experiment_id: Name | None = None
    display_name: Name | None = None
    description: Text | None = None
    runtime_config: RuntimeConfig | None = None
    service_account: Name | None = None
    plugins_input: PluginsInput | None = None

    @property
    def config(self) -> RuntimeConfig:
        config = self.runtime_config or RuntimeConfig()
        return config.model_copy(update={"plugins_input": self.plugins_input}) if self.plugins_input else config


class ForkForm(Source):
    """Without a pipeline the fork is of the same one; `steps` are named as `train` or `for-loop-1/3/train`."""

    display_name: Name | None = None
    description: Text | None = None
    runtime_config: RuntimeConfig | None = None
    steps: Annotated[list[Text], Field(max_length=1000)] | None = None
    only: StrictBool | None = None
    dry_run: StrictBool | None = None


class DecisionForm(Form):
    comment: Text | None = None


class CronSchedule(Form):
    cron: Text | None = None
    start_time: Text | None = None
    end_time: Text | None = None


class PeriodicSchedule(Form):
    interval_second: StrictStr | int | None = None
    start_time: Text | None = None
    end_time: Text | None = None


class Trigger(Form):
    cron_schedule: CronSchedule | None = None
    periodic_schedule: PeriodicSchedule | None = None


class RecurringRunForm(RunForm):
    trigger: Trigger | None = None
    max_concurrency: StrictStr | int | None = None
    mode: StrictStr | int | None = None
    no_catchup: StrictBool | None = None
    namespace: Name | None = None


class ArtifactForm(Form):
    name: Name | None = None
    description: Text | None = None
    type: StrictStr | StrictInt | None = None
    uri: Text | None = None
    metadata: dict[Text, Any] | None = None
    number_value: float | None = None
    namespace: Name | None = None


class NewArtifactForm(Form):
    """Without a run it is of nobody's making here; without a task it is the run's alone."""

    artifact: ArtifactForm
    run_id: Name | None = None
    task_id: Name | None = None
    producer_key: Name | None = None
    type: StrictStr | StrictInt | None = None


class NewArtifactsForm(Form):
    artifacts: Annotated[list[NewArtifactForm], Field(min_length=1, max_length=1000)]


class LinkForm(Form):
    artifact_id: Name
    run_id: Name | None = None
    task_id: Name
    type: StrictStr | StrictInt | None = None
    key: Name | None = None


class NewLinkForm(Form):
    artifact_task: LinkForm


class NewLinksForm(Form):
    artifact_tasks: Annotated[list[LinkForm], Field(min_length=1, max_length=1000)]
