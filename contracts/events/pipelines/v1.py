"""What the pipelines service says about runs, their tasks and what they made, version 1: only optional fields are ever
added here.

`uid` is the id that KFP's API calls run_id, task_id and so on; `name` is what people see.
"""

from typing import ClassVar

from pydantic import AwareDatetime, Field

from contracts.messages import AppliedEvent, Event, Name, ObjectEvent, RejectedEvent, Uid, Value


class RunCreated(ObjectEvent):
    """A run was accepted. `spec` is the digest of the compiled pipeline."""

    type: ClassVar[str] = "pipelines.run.created.v1"
    pipeline: str = Field(default="", examples=["digits-training"])
    pipeline_id: str = ""
    version_id: str = ""
    experiment_id: str = ""
    recurring_run_id: str = ""
    spec: str = Field(default="", examples=["sha256:9f86d081884c7d65"])


class RunStarted(ObjectEvent):
    """Its first tasks are about to run."""

    type: ClassVar[str] = "pipelines.run.started.v1"


class RunSucceeded(ObjectEvent):
    """All that had to run did, and well."""

    type: ClassVar[str] = "pipelines.run.succeeded.v1"
    pipeline: str = Field(default="", examples=["digits-training"])
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class RunFailed(ObjectEvent):
    """The run is over without success; `message` is a sentence for people."""

    type: ClassVar[str] = "pipelines.run.failed.v1"
    pipeline: str = Field(default="", examples=["digits-training"])
    message: str = ""
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class RunCanceled(ObjectEvent):
    """The run was ended by request."""

    type: ClassVar[str] = "pipelines.run.canceled.v1"
    pipeline: str = Field(default="", examples=["digits-training"])


class RunTerminated(ObjectEvent):
    """Somebody asked for the end of the run; its steps are being stopped."""

    type: ClassVar[str] = "pipelines.run.terminated.v1"


class RunRetried(ObjectEvent):
    """A run that was over goes on from what had failed."""

    type: ClassVar[str] = "pipelines.run.retried.v1"


class RunArchived(ObjectEvent):
    """The run is kept, out of sight."""

    type: ClassVar[str] = "pipelines.run.archived.v1"


class RunUnarchived(ObjectEvent):
    """An archived run is back in sight."""

    type: ClassVar[str] = "pipelines.run.unarchived.v1"


class RunDeleted(ObjectEvent):
    """The run is gone. What it stored in the bucket stays."""

    type: ClassVar[str] = "pipelines.run.deleted.v1"


class TaskPlace(Value):
    """Which task of a run a fact is about: `path` is its place in the run, `attempt` counts from 1."""

    run: Uid
    path: str = Field(examples=["root/for-loop-1/3/train"])
    attempt: int = Field(default=1, ge=1)


class TaskStarted(TaskPlace, ObjectEvent):
    """An attempt of a step is about to run."""

    type: ClassVar[str] = "pipelines.task.started.v1"


class TaskPaused(TaskPlace, ObjectEvent):
    """The task waits for a person, who approves or rejects it."""

    type: ClassVar[str] = "pipelines.task.paused.v1"


class TaskSucceeded(TaskPlace, ObjectEvent):
    """The task is done. `cached_from` is the uid of the task whose outputs these are, where it did not run itself."""

    type: ClassVar[str] = "pipelines.task.succeeded.v1"
    cached_from: str = ""
    cache: str = Field(default="", examples=["miss: input rows changed (10 -> 20)"])


class TaskFailed(TaskPlace, ObjectEvent):
    """The task is over without success."""

    type: ClassVar[str] = "pipelines.task.failed.v1"
    message: str = ""


class TaskRetried(TaskPlace, ObjectEvent):
    """An attempt ended without success and another follows. `lost` says that it was no fault of the program."""

    type: ClassVar[str] = "pipelines.task.retried.v1"
    message: str = ""
    lost: bool = False


class TaskSkipped(TaskPlace, ObjectEvent):
    """The task does not run, for the one-word `reason`."""

    type: ClassVar[str] = "pipelines.task.skipped.v1"
    reason: str = Field(default="", examples=["ConditionFalse"])


class TaskCanceled(TaskPlace, ObjectEvent):
    """The task was stopped before its end, or never began, since the run was ended."""

    type: ClassVar[str] = "pipelines.task.canceled.v1"


class ArtifactRef(Value):
    """An artifact as a task read it; `uid` is empty where it is none of the platform's own."""

    name: Name
    uri: str = Field(min_length=1, examples=["s3://millstream/pipelines/team-a/run/train/1/model"])
    uid: str = ""
    digest: str = Field(default="", examples=["sha256:9f86d081884c7d65"])


class ArtifactCreated(Event):
    """A task wrote or imported an artifact, out of `inputs`. `kind` is its schema title."""

    type: ClassVar[str] = "pipelines.artifact.created.v1"
    uid: Uid
    name: Name
    kind: Name = Field(examples=["system.Model"])
    uri: str = Field(min_length=1, examples=["s3://millstream/pipelines/team-a/run/train/1/model"])
    digest: str = Field(default="", examples=["sha256:9f86d081884c7d65"])
    size: int = Field(default=0, ge=0)
    run: Uid
    task: Uid
    task_name: Name = Field(examples=["train"])
    inputs: tuple[ArtifactRef, ...] = ()


class ArtifactRecorded(ObjectEvent):
    """Somebody recorded an artifact that no step told of. `kind` is its schema title; `run` and `task` are empty where
    none of the platform's made it, `uri` where nothing is stored, as of a metric."""

    type: ClassVar[str] = "pipelines.artifact.recorded.v1"
    kind: Name = Field(examples=["system.Model"])
    uri: str = Field(default="", examples=["s3://elsewhere/model"])
    run: str = ""
    task: str = ""


class ArtifactLinked(ObjectEvent):
    """Somebody recorded that a task read the artifact (`way` is in) or gave it (out), under the name `key`."""

    type: ClassVar[str] = "pipelines.artifact.linked.v1"
    run: Uid
    task: Uid
    way: str = Field(examples=["in"])
    key: Name = Field(examples=["dataset"])


class ArtifactDeleted(ObjectEvent):
    """An artifact that somebody recorded of no run is no longer listed; what lies at its URI stays."""

    type: ClassVar[str] = "pipelines.artifact.deleted.v1"
    uri: str = Field(default="", examples=["s3://elsewhere/model"])


class ResultImported(Event):
    """What a step of another platform came to is kept here as well, for steps with the same `key`. `platform` and
    `run` say where it comes from, by the word of who brought it."""

    type: ClassVar[str] = "pipelines.result.imported.v1"
    key: str = Field(examples=["sha256:9f86d081884c7d65"])
    pipeline: str
    task: str
    platform: str = ""
    run: str = ""

    def about(self) -> str:
        return f"{self.namespace}/{self.task}"


class PipelineCreated(ObjectEvent):
    """A name under which versions are kept; `name` is unique in its namespace."""

    type: ClassVar[str] = "pipelines.pipeline.created.v1"


class PipelineUpdated(ObjectEvent):
    """What people read about it was changed."""

    type: ClassVar[str] = "pipelines.pipeline.updated.v1"


class PipelineDeleted(ObjectEvent):
    """It is gone with all its versions; runs of them stay."""

    type: ClassVar[str] = "pipelines.pipeline.deleted.v1"


class VersionOf(Value):
    """The pipeline that a fact about a version belongs to."""

    pipeline: Uid


class PipelineVersionCreated(VersionOf, ObjectEvent):
    """A version can be run. `spec` is the digest of the compiled pipeline."""

    type: ClassVar[str] = "pipelines.pipelineversion.created.v1"
    spec: str = Field(default="", examples=["sha256:9f86d081884c7d65"])


class PipelineVersionUpdated(VersionOf, ObjectEvent):
    """What people read about it was changed."""

    type: ClassVar[str] = "pipelines.pipelineversion.updated.v1"


class PipelineVersionDeleted(VersionOf, ObjectEvent):
    """It is gone; its runs stay."""

    type: ClassVar[str] = "pipelines.pipelineversion.deleted.v1"


class ExperimentCreated(ObjectEvent):
    """Runs can be grouped under this name."""

    type: ClassVar[str] = "pipelines.experiment.created.v1"


class ExperimentArchived(ObjectEvent):
    """It is kept, out of sight, and its recurring runs start nothing any more."""

    type: ClassVar[str] = "pipelines.experiment.archived.v1"


class ExperimentUnarchived(ObjectEvent):
    """An archived experiment takes runs again; what was disabled stays so."""

    type: ClassVar[str] = "pipelines.experiment.unarchived.v1"


class ExperimentDeleted(ObjectEvent):
    """It is gone; its runs stay."""

    type: ClassVar[str] = "pipelines.experiment.deleted.v1"


class RecurringRunCreated(ObjectEvent):
    """Runs are to be started by a schedule."""

    type: ClassVar[str] = "pipelines.recurringrun.created.v1"


class RecurringRunEnabled(ObjectEvent):
    """The schedule counts from now on."""

    type: ClassVar[str] = "pipelines.recurringrun.enabled.v1"


class RecurringRunDisabled(ObjectEvent):
    """The schedule starts nothing any more. `message` says why, where nobody asked for it."""

    type: ClassVar[str] = "pipelines.recurringrun.disabled.v1"
    message: str = ""


class RecurringRunDeleted(ObjectEvent):
    """It is gone; the runs that it started stay."""

    type: ClassVar[str] = "pipelines.recurringrun.deleted.v1"


class PipelineRunStarted(ObjectEvent):
    """A PipelineRun has become a run; `run_id` is KFP's name for it."""

    type: ClassVar[str] = "pipelines.pipelinerun.started.v1"
    run_id: Uid


class PipelineRunSucceeded(ObjectEvent):
    """The run of a PipelineRun is over, and well."""

    type: ClassVar[str] = "pipelines.pipelinerun.succeeded.v1"
    run_id: Uid


class PipelineRunFailed(ObjectEvent):
    """The PipelineRun is over without success. `reason` is one CamelCase word, `message` a sentence for people; without
    `run_id` no run was begun."""

    type: ClassVar[str] = "pipelines.pipelinerun.failed.v1"
    reason: str = Field(examples=["RunFailed"])
    message: str = ""
    run_id: Uid | None = None


class PipelineRunDeleted(ObjectEvent):
    """The object is gone. Also the answer to a delete command."""

    type: ClassVar[str] = "pipelines.pipelinerun.deleted.v1"


class PipelineRunApplied(AppliedEvent):
    """The answer to an apply command that was carried out."""

    type: ClassVar[str] = "pipelines.pipelinerun.applied.v1"


class PipelineRunRejected(RejectedEvent):
    """The answer to an apply or delete command that was refused."""

    type: ClassVar[str] = "pipelines.pipelinerun.rejected.v1"
