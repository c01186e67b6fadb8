"""Trigger (millstream.dev/v1alpha1): a time or an event that makes a manifest; what one field alone decides is here."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from contracts.letters import TYPE_PATTERN

GROUP, VERSION = "millstream.dev", "v1alpha1"

Scalar = StrictStr | StrictInt | StrictBool | float


class Wire(BaseModel):
    """JSON names by alias."""

    model_config = ConfigDict(populate_by_name=True)


class Schedule(Wire):
    cron: Annotated[StrictStr, Field(min_length=9, max_length=256)] = Field(
        description="Five fields (minute, hour, day of month, month, day of week), or six with the second before them."
    )
    time_zone: Annotated[StrictStr, Field(min_length=1, max_length=64)] = Field(
        default="Etc/UTC", alias="timeZone", description="A name of the IANA data base, such as Europe/Berlin."
    )


class EventSource(Wire):
    type: Annotated[StrictStr, Field(max_length=128, pattern=TYPE_PATTERN)] = Field(
        description="The CloudEvents type, of this platform or of another system that publishes on its stream."
    )
    source: StrictStr | None = Field(default=None, description="The CloudEvents source; any if it is not given.")
    filter: dict[StrictStr, Scalar | list[Scalar]] = Field(
        default={},
        description="Paths into the event's data, such as model.name, and the value or values they must have.",
    )


class TriggerSpec(Wire):
    schedule: Schedule | None = None
    event: EventSource | None = None
    template: dict[str, Any] = Field(
        description="The manifest to apply; ${event.data.x} and the like stand for values."
    )
    suspend: StrictBool = False
    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = Field(default="Allow", alias="concurrencyPolicy")
    catch_up: Literal["None", "Latest", "All"] = Field(
        default="Latest", alias="catchUp", description="Which of the times that were missed are made up for."
    )
    catch_up_limit: Annotated[StrictInt, Field(ge=1, le=100)] = Field(default=10, alias="catchUpLimit")
    starting_deadline_seconds: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None, alias="startingDeadlineSeconds", description="A time that is missed by more is given up."
    )
    successful_history_limit: Annotated[StrictInt, Field(ge=0, le=100)] = Field(
        default=3, alias="successfulHistoryLimit"
    )
    failed_history_limit: Annotated[StrictInt, Field(ge=0, le=100)] = Field(default=1, alias="failedHistoryLimit")


class Firing(Wire):
    """One object that was made, `time` when it was fired, `key` for what: a scheduled time or an event."""

    name: str
    kind: str
    key: str
    time: datetime
    reason: str | None = None
    message: str | None = None


class TriggerStatus(Wire):
    observed_generation: int | None = Field(default=None, alias="observedGeneration")
    next_schedule_time: datetime | None = Field(default=None, alias="nextScheduleTime")
    last_schedule_time: datetime | None = Field(default=None, alias="lastScheduleTime")
    last_fired_time: datetime | None = Field(default=None, alias="lastFiredTime")
    missed: int = Field(default=0, description="Scheduled times that were given up.")
    skipped: int = Field(default=0, description="Events that came while another firing ran, which Forbid forbids.")
    active: list[Firing] = []
    succeeded: list[Firing] = []
    failed: list[Firing] = []


class Trigger(Wire):
    api_version: Literal["millstream.dev/v1alpha1"] = Field(alias="apiVersion")
    kind: Literal["Trigger"]
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: TriggerSpec
    status: TriggerStatus | None = None


KINDS = (Trigger,)
