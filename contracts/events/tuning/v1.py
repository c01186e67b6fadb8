"""What the tuner says about its Experiments and their trials, version 1: only optional fields are ever added here."""

from typing import ClassVar, Literal

from pydantic import Field

from contracts.messages import AppliedEvent, Name, Number, ObjectEvent, RejectedEvent, Value

ASSIGNMENTS = {"lr": "0.01", "optimizer": "adam"}
METRICS = {"accuracy": 0.97, "loss": 0.11}


class Target(Value):
    """What an Experiment looks for: the metric, and whether more or less of it is better."""

    metric: Name = Field(examples=["accuracy"])
    type: Literal["minimize", "maximize"]


class TrialResult(Value):
    """A trial with what it tried (text, as it was filled in) and what came of it, by the metrics' strategies."""

    name: Name
    assignments: dict[str, str] = Field(examples=[ASSIGNMENTS])
    metrics: dict[str, Number] = Field(default={}, examples=[METRICS])


class TuningExperimentCreated(ObjectEvent):
    """An Experiment was accepted."""

    type: ClassVar[str] = "tuning.experiment.created.v1"
    algorithm: str = Field(examples=["tpe"])
    target: Target
    trials_max: int | None = None
    labels: dict[str, str] = {}


class TuningExperimentSucceeded(ObjectEvent):
    """The goal is reached, the budget is spent or the space is searched. `best` is None where no trial has the metric.
    Said again of one whose budget was raised afterwards."""

    type: ClassVar[str] = "tuning.experiment.succeeded.v1"
    reason: str = Field(examples=["ExperimentMaxTrialsReached"])
    message: str = ""
    target: Target
    best: TrialResult | None = None
    trials: int = 0


class TuningExperimentFailed(ObjectEvent):
    """Too many trials failed. `reason` is one CamelCase word, `message` a sentence for people."""

    type: ClassVar[str] = "tuning.experiment.failed.v1"
    reason: str
    message: str = ""


class TuningExperimentRestarted(ObjectEvent):
    """One that had spent its budget got more of it and goes on."""

    type: ClassVar[str] = "tuning.experiment.restarted.v1"


class TuningExperimentDeleted(ObjectEvent):
    """The Experiment, its trials and what they ran are gone. Also the answer to a delete command."""

    type: ClassVar[str] = "tuning.experiment.deleted.v1"


class TuningExperimentApplied(AppliedEvent):
    """The answer to an apply command that was carried out."""

    type: ClassVar[str] = "tuning.experiment.applied.v1"


class TuningExperimentRejected(RejectedEvent):
    """The answer to an apply or delete command that was refused."""

    type: ClassVar[str] = "tuning.experiment.rejected.v1"


class OfTrial(Value):
    """What every event of a trial says of it."""

    experiment: Name = Field(examples=["rates"])
    run_kind: Name = Field(examples=["TrainJob"])
    """The kind of what the trial runs; it has the trial's name."""
    assignments: dict[str, str] = Field(default={}, examples=[ASSIGNMENTS])


class TrialCreated(OfTrial, ObjectEvent):
    """The algorithm suggested these values; what tries them is about to run."""

    type: ClassVar[str] = "tuning.trial.created.v1"


class TrialSucceeded(OfTrial, ObjectEvent):
    """What the trial ran ended well and told the objective's metric."""

    type: ClassVar[str] = "tuning.trial.succeeded.v1"
    target: Target
    objective: Number = Field(examples=[0.97])
    metrics: dict[str, Number] = Field(default={}, examples=[METRICS])


class TrialFailed(OfTrial, ObjectEvent):
    """What the trial ran failed, or (reason MetricsUnavailable) ended without telling the objective's metric."""

    type: ClassVar[str] = "tuning.trial.failed.v1"
    reason: str
    message: str = ""


class TrialStopped(OfTrial, ObjectEvent):
    """The Experiment was over before the trial was, so that it was stopped."""

    type: ClassVar[str] = "tuning.trial.stopped.v1"
