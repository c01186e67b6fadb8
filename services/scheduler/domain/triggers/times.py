"""The times of a cron expression, and which of those that were missed are made up for; time comes as an argument.

Around the change of clocks it does what Debian's cron does: a job at a fixed hour runs once in the night whose hour
comes twice, and right after the gap in the night whose hour is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from libs.base.clock import span

ON_TIME = timedelta(seconds=10)
"""Later than this a time counts as missed, where nothing of what was missed is made up for."""
WINDOWS = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=400))
"""How far back is looked, step by step: a trigger by the second that slept for a year is not walked through."""


@dataclass(frozen=True)
class Due:
    """`fire`: the times to make up for now, in order. `given_up`: how many of the others were seen."""

    fire: tuple[datetime, ...]
    given_up: int
    latest: datetime | None


def problem(cron: str, zone: str) -> tuple[str, str] | None:
    """The field of the schedule that is wrong and why; None when both can be read."""
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        return "timeZone", f"{zone!r} is no time zone; write a name such as Europe/Berlin or Etc/UTC"
    try:
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return "cron", f"{cron!r} is no cron expression ({error}); write five fields such as '0 3 * * MON-FRI'"
    except StopIteration:
        return "cron", f"{cron!r} never comes in the next fifty years"
    return None


def after(schedule: Mapping[str, Any], moment: datetime) -> datetime | None:
    """The first time after `moment`, in UTC."""
    return next(_times(schedule, moment), None)


def due(spec: Mapping[str, Any], last: datetime, now: datetime) -> Due:
    """Which times after `last` and up to `now` are to be fired, as `catchUp` and the deadline say."""
    policy, deadline = spec.get("catchUp") or "Latest", spec.get("startingDeadlineSeconds")
    wanted = spec.get("catchUpLimit") or 10 if policy == "All" else 1
    found = _newest(spec["schedule"], last, now, wanted)
    patience = span(deadline) if deadline else ON_TIME if policy == "None" else None
    fresh = [moment for moment in found if patience is None or now - moment <= patience]
    fire = tuple(fresh[-wanted:])
    return Due(fire, len(found) - len(fire), found[-1] if found else None)


def _newest(schedule: Mapping[str, Any], last: datetime, now: datetime, wanted: int) -> list[datetime]:
    """At least the `wanted` newest times in (last, now], oldest first."""
    for window in WINDOWS:
        if now - window <= last:
            break
        found = _between(schedule, now - window, now)
        if len(found) > wanted:
            return found
    return _between(schedule, last, now)


def _between(schedule: Mapping[str, Any], last: datetime, now: datetime) -> list[datetime]:
    out: list[datetime] = []
    for moment in _times(schedule, last):
        if moment > now:
            break
        out.append(moment)
    return out


def _times(schedule: Mapping[str, Any], moment: datetime) -> Iterator[datetime]:
    start = moment.astimezone(ZoneInfo(schedule.get("timeZone") or "Etc/UTC"))
    for found in CronSim(schedule["cron"], start):
        if (there := found.astimezone(UTC)) > moment:
            yield there
