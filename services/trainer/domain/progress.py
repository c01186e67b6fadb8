"""What a running job may report about itself, and how a report changes its status."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, StrictInt, StrictStr

from libs.base.clock import rfc3339, rfc3339_micro
from services.trainer.domain import goodput

METRICS_MAX = 256
ENVIRONMENT_MAX = 32


class Metric(BaseModel):
    name: Annotated[StrictStr, Field(min_length=1, max_length=256)]
    value: Annotated[StrictStr, Field(max_length=256)]


class Progress(BaseModel):
    """Upstream's TrainerStatus with bounds. `progressPercentage` 0..100."""

    lastUpdatedTime: AwareDatetime | None = None
    progressPercentage: Annotated[StrictInt, Field(ge=0, le=100)] | None = None
    estimatedRemainingSeconds: Annotated[StrictInt, Field(ge=0)] | None = None
    metrics: Annotated[list[Metric], Field(max_length=METRICS_MAX)] | None = None


class Checkpoint(BaseModel):
    """The newest checkpoint: the number of steps in it, and the manifest's URI."""

    step: Annotated[StrictInt, Field(ge=0)]
    uri: Annotated[StrictStr, Field(max_length=2048)] = ""
    time: AwareDatetime | None = None


class Report(BaseModel):
    """The body that `update_trainjob_status` of the Kubeflow SDK posts; all but `trainerStatus` is Millstream's own.

    `step` is how many steps are done.
    """

    trainerStatus: Progress
    environment: (
        Annotated[dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=ENVIRONMENT_MAX)] | None
    ) = None
    step: Annotated[StrictInt, Field(ge=0)] | None = None
    checkpoint: Checkpoint | None = None


def reported(status: dict[str, Any], report: Report, now: datetime) -> dict[str, Any]:
    """The status with the report in it; unchanged when a later one was there before. What is left out stays."""
    at = (report.trainerStatus.lastUpdatedTime or now).astimezone(UTC)
    before = status.get("trainerStatus") or {}
    last = before.get("lastUpdatedTime")
    if last and datetime.fromisoformat(last) > at:
        return status
    told = report.trainerStatus.model_dump(mode="json", exclude_none=True, exclude={"lastUpdatedTime"})
    after = {**status, "trainerStatus": {**before, **told, "lastUpdatedTime": rfc3339_micro(at)}}
    if report.environment:
        after["environment"] = {**(status.get("environment") or {}), **report.environment}
    return {**after, **_steps(after, report, now), "reportedAt": rfc3339_micro(now)}


def _steps(status: dict[str, Any], report: Report, now: datetime) -> dict[str, Any]:
    """Steps done, the newest checkpoint, and what both mean for the goodput."""
    told: dict[str, Any] = {}
    if report.checkpoint is not None:
        at = rfc3339(report.checkpoint.time or now)
        told["checkpoint"] = {"step": report.checkpoint.step, "uri": report.checkpoint.uri, "time": at}
    if report.step is None:
        return told
    work = goodput.stepped(goodput.started(status.get("work") or {}, now), report.step, now)
    told |= {"steps": report.step, "work": work}
    share = goodput.goodput(work, now)
    return told | ({"goodput": share} if share is not None else {})
