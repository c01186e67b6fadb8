"""Experiment (kubeflow.org/v1beta1) as Katib's clients send and read it; what takes several fields is the tuner's to
check. Numbers of a search space are text, as Katib has them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

GROUP, VERSION = "kubeflow.org", "v1beta1"

Text = Annotated[StrictStr, Field(min_length=1, max_length=253)]
Count = Annotated[StrictInt, Field(ge=1, le=100_000)]
Entry = Annotated[StrictStr, Field(max_length=4096)]
ParameterType = Literal["double", "int", "discrete", "categorical"]
Distribution = Literal["uniform", "logUniform", "normal", "logNormal"]


class Wire(BaseModel):
    """JSON names by alias."""

    model_config = ConfigDict(populate_by_name=True)


class Setting(Wire):
    name: Text
    value: StrictStr


class Algorithm(Wire):
    algorithm_name: Text = Field(alias="algorithmName", description="random, grid, sobol, tpe or multivariate-tpe")
    algorithm_settings: list[Setting] | None = Field(default=None, alias="algorithmSettings")


class EarlyStopping(Wire):
    algorithm_name: Text = Field(alias="algorithmName")
    algorithm_settings: list[Setting] | None = Field(default=None, alias="algorithmSettings")


class MetricStrategy(Wire):
    name: Text
    value: Literal["min", "max", "latest"]


class Objective(Wire):
    type: Literal["minimize", "maximize"]
    goal: StrictFloat | StrictInt | None = Field(
        default=None, description="The Experiment has succeeded once a trial is as good as this."
    )
    objective_metric_name: Text = Field(alias="objectiveMetricName")
    additional_metric_names: list[Text] | None = Field(default=None, alias="additionalMetricNames")
    metric_strategies: list[MetricStrategy] | None = Field(
        default=None, alias="metricStrategies", description="Which of a metric's values counts: min, max or latest."
    )


class FeasibleSpace(Wire):
    max: Entry | None = None
    min: Entry | None = None
    step: Entry | None = None
    choices: Annotated[list[Entry], Field(max_length=10_000)] | None = Field(default=None, alias="list")
    distribution: Distribution | None = None


class Parameter(Wire):
    name: Text
    parameter_type: ParameterType = Field(alias="parameterType")
    feasible_space: FeasibleSpace = Field(alias="feasibleSpace")


class TrialParameter(Wire):
    name: Text
    reference: Text = Field(description="The name of a parameter of the search space.")
    description: StrictStr | None = None


class TrialTemplate(Wire):
    """`successCondition` and `failureCondition` are kept for Katib's clients: the kinds that run here tell their end
    themselves."""

    retain: StrictBool | None = Field(default=None, description="Whether what a trial ran stays when it is over.")
    primary_pod_labels: dict[str, StrictStr] | None = Field(default=None, alias="primaryPodLabels")
    primary_container_name: Text = Field(
        alias="primaryContainerName", description="The container whose output has the metrics."
    )
    success_condition: StrictStr | None = Field(default=None, alias="successCondition")
    failure_condition: StrictStr | None = Field(default=None, alias="failureCondition")
    trial_parameters: list[TrialParameter] = Field(default_factory=list, alias="trialParameters")
    trial_spec: dict[str, Any] = Field(
        alias="trialSpec", description="A TrainJob or a batch/v1 Job with ${trialParameters.NAME} in its texts."
    )


class Collector(Wire):
    kind: Literal["StdOut"]


class MetricsFilter(Wire):
    metrics_format: list[Entry] | None = Field(default=None, alias="metricsFormat")


class MetricsSource(Wire):
    filter: MetricsFilter | None = None


class MetricsCollector(Wire):
    collector: Collector | None = None
    source: MetricsSource | None = None


class ExperimentSpec(Wire):
    parameters: Annotated[list[Parameter], Field(min_length=1, max_length=1000)]
    objective: Objective
    algorithm: Algorithm
    early_stopping: EarlyStopping | None = Field(default=None, alias="earlyStopping")
    trial_template: TrialTemplate = Field(alias="trialTemplate")
    parallel_trial_count: Count | None = Field(default=None, alias="parallelTrialCount")
    max_trial_count: Count | None = Field(default=None, alias="maxTrialCount")
    max_failed_trial_count: Annotated[StrictInt, Field(ge=0)] | None = Field(default=None, alias="maxFailedTrialCount")
    metrics_collector_spec: MetricsCollector | None = Field(default=None, alias="metricsCollectorSpec")
    resume_policy: Literal["Never", "LongRunning", "FromVolume"] | None = Field(default=None, alias="resumePolicy")


class Assignment(Wire):
    name: str
    value: str


class Metric(Wire):
    name: str
    latest: str
    min: str
    max: str


class Observation(Wire):
    metrics: list[Metric] = []


class Condition(Wire):
    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str = ""
    message: str = ""
    last_update_time: datetime | None = Field(default=None, alias="lastUpdateTime")
    last_transition_time: datetime | None = Field(default=None, alias="lastTransitionTime")


class OptimalTrial(Wire):
    best_trial_name: str = Field(default="", alias="bestTrialName")
    parameter_assignments: list[Assignment] = Field(default=[], alias="parameterAssignments")
    observation: Observation = Observation()


class ExperimentStatus(Wire):
    start_time: datetime | None = Field(default=None, alias="startTime")
    completion_time: datetime | None = Field(default=None, alias="completionTime")
    conditions: list[Condition] = []
    current_optimal_trial: OptimalTrial | None = Field(default=None, alias="currentOptimalTrial")
    pending_trial_list: list[str] | None = Field(default=None, alias="pendingTrialList")
    running_trial_list: list[str] | None = Field(default=None, alias="runningTrialList")
    succeeded_trial_list: list[str] | None = Field(default=None, alias="succeededTrialList")
    failed_trial_list: list[str] | None = Field(default=None, alias="failedTrialList")
    killed_trial_list: list[str] | None = Field(default=None, alias="killedTrialList")
    metrics_unavailable_trial_list: list[str] | None = Field(default=None, alias="metricsUnavailableTrialList")
    trials: int = 0
    trials_pending: int = Field(default=0, alias="trialsPending")
    trials_running: int = Field(default=0, alias="trialsRunning")
    trials_succeeded: int = Field(default=0, alias="trialsSucceeded")
    trials_failed: int = Field(default=0, alias="trialsFailed")
    trials_killed: int = Field(default=0, alias="trialsKilled")
    trial_metrics_unavailable: int = Field(default=0, alias="trialMetricsUnavailable")
    trials_made: int = Field(
        default=0, alias="trialsMade", description="Millstream's own: so many trials were ever numbered."
    )
    exhausted: bool | None = Field(
        default=None, description="Millstream's own: whether the algorithm has nothing more to suggest."
    )


class Experiment(Wire):
    api_version: Literal["kubeflow.org/v1beta1"] = Field(default="kubeflow.org/v1beta1", alias="apiVersion")
    kind: Literal["Experiment"] = "Experiment"
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: ExperimentSpec
    status: ExperimentStatus | None = None


KINDS = (Experiment,)
