"""Trial and Suggestion (kubeflow.org/v1beta1): what an Experiment becomes, as Katib's clients read it. The tuner alone
makes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from contracts.kinds.experiment import (
    Algorithm,
    Assignment,
    Condition,
    MetricsCollector,
    Objective,
    Observation,
    Wire,
)


class TrialSpec(Wire):
    objective: Objective
    parameter_assignments: list[Assignment] = Field(alias="parameterAssignments")
    run_spec: dict[str, Any] = Field(alias="runSpec", description="What the trial runs, its parameters filled in.")
    retain_run: bool | None = Field(default=None, alias="retainRun")
    metrics_collector: MetricsCollector = Field(alias="metricsCollector")
    primary_pod_labels: dict[str, str] | None = Field(default=None, alias="primaryPodLabels")
    primary_container_name: str = Field(alias="primaryContainerName")
    success_condition: str | None = Field(default=None, alias="successCondition")
    failure_condition: str | None = Field(default=None, alias="failureCondition")
    labels: dict[str, str] | None = None


class Run(Wire):
    """Millstream's own: what is known of the run's object, which another service or the cluster keeps."""

    state: Literal["Asked", "Accepted", "Succeeded", "Failed", "Rejected", "Deleted"]
    uid: str | None = None
    reason: str | None = None
    message: str | None = None
    removing: bool | None = None


class TrialStatus(Wire):
    start_time: datetime | None = Field(default=None, alias="startTime")
    completion_time: datetime | None = Field(default=None, alias="completionTime")
    conditions: list[Condition] = []
    observation: Observation | None = None
    run: Run | None = None


class Trial(Wire):
    api_version: Literal["kubeflow.org/v1beta1"] = Field(default="kubeflow.org/v1beta1", alias="apiVersion")
    kind: Literal["Trial"] = "Trial"
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: TrialSpec
    status: TrialStatus | None = None


class SuggestionSpec(Wire):
    algorithm: Algorithm
    requests: int = 0


class TrialAssignment(Wire):
    name: str
    parameter_assignments: list[Assignment] = Field(alias="parameterAssignments")


class SuggestionStatus(Wire):
    start_time: datetime | None = Field(default=None, alias="startTime")
    conditions: list[Condition] = []
    suggestion_count: int = Field(default=0, alias="suggestionCount")
    suggestions: list[TrialAssignment] = Field(
        default=[], description="The newest of them; all are in the Experiment's trials."
    )


class Suggestion(Wire):
    api_version: Literal["kubeflow.org/v1beta1"] = Field(default="kubeflow.org/v1beta1", alias="apiVersion")
    kind: Literal["Suggestion"] = "Suggestion"
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: SuggestionSpec
    status: SuggestionStatus | None = None


KINDS = (Trial, Suggestion)
