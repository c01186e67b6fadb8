"""When a recurring run starts its runs: KFP's triggers read, and their moments; time comes as an argument.

Cron expressions are those of robfig/cron v1, which KFP uses: six fields, seconds first, in UTC unless they begin with
`TZ=Europe/Berlin`; or a word such as `@daily` or `@every 1h30m`. All moments are milliseconds since the epoch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from libs.base.clock import parse_rfc3339
from services.pipelines.domain.catalog.forms import CronSchedule, PeriodicSchedule, Trigger
from services.pipelines.domain.catalog.items import Object
from services.pipelines.domain.ir.problems import Problem, SpecError

EVERY = "@every "
_DURATION, _SECONDS = re.compile(r"(\d{1,9})([hms])"), {"h": 3600, "m": 60, "s": 1}
INTERVAL_MAX_S = 366 * 86_400
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Of a start or an end: the next moment after it must be one that a calendar has."""
_WORDS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}


@dataclass(frozen=True)
class Schedule:
    """By `cron`, or every `interval_ms` counted from the start; from `start_ms` to `end_ms` where they are given."""

    cron: str = ""
    interval_ms: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    zone: tzinfo = UTC

    def first(self, created: int) -> int | None:
        """What lies between a start in the past and now was missed, and is caught up with as all that is missed."""
        return self.after(created if self.start_ms is None else min(created, self.start_ms - 1), created)

    def after(self, moment: int, created: int) -> int | None:
        """The first moment later than `moment`, None when there is none before the end."""
        found = self._by_cron(moment) if self.cron else self._by_interval(moment, created)
        return None if found is None or (self.end_ms is not None and found > self.end_ms) else found

    def latest(self, since: int, now: int, created: int) -> int:
        """The last moment up to `now`, if it is later than `since`, which is one of them."""
        bound = now if self.end_ms is None else min(now, self.end_ms)
        if self.cron:
            back = next(CronSim(self.cron, _at(bound - bound % 1000 + 1000, self.zone), reverse=True), None)
            found = since if back is None else _ms(back)
        else:
            base = self._base(created)
            found = base + (bound - base) // self.interval_ms * self.interval_ms
        return max(found, since)

    def _by_cron(self, moment: int) -> int | None:
        # A moment at the start itself counts.
        begin = moment if self.start_ms is None else max(moment, self.start_ms - 1)
        found = next(CronSim(self.cron, _at(begin, self.zone)), None)
        return None if found is None else _ms(found)

    def _by_interval(self, moment: int, created: int) -> int:
        base = self._base(created)
        return base + (max(0, moment - base) // self.interval_ms + 1) * self.interval_ms

    def _base(self, created: int) -> int:
        return created if self.start_ms is None else self.start_ms


def schedule(trigger: Trigger | None) -> Schedule:
    """Raises SpecError naming the field that is wrong."""
    trigger = trigger or Trigger()
    if (trigger.cron_schedule is None) == (trigger.periodic_schedule is None):
        raise _wrong("", "send one of cron_schedule and periodic_schedule")
    if trigger.cron_schedule is not None:
        return _cron(trigger.cron_schedule)
    assert trigger.periodic_schedule is not None
    return _periodic(trigger.periodic_schedule)


def shown(trigger: Trigger) -> Object:
    """The trigger as it is kept and told: what was given, in the API's types."""
    told = trigger.model_dump(exclude_none=True)
    if "periodic_schedule" in told:
        told["periodic_schedule"]["interval_second"] = str(told["periodic_schedule"]["interval_second"])
    return told


def _cron(sent: CronSchedule) -> Schedule:
    cron, zone = _zoned((sent.cron or "").strip())
    if cron.startswith(EVERY):
        return Schedule("", _every(cron), *_span(sent, "cron_schedule"))
    fields = _WORDS.get(cron, cron).replace("?", "*").split()
    if len(fields) != 6:
        told = f"{cron!r} has {len(fields)} fields: write six, seconds first, such as '0 30 9 * * MON-FRI'"
        raise _wrong("cron_schedule.cron", told)
    try:
        next(CronSim(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        told = f"{cron!r} cannot be read ({error}): write six fields, seconds first, such as '0 30 9 * * MON-FRI'"
        raise _wrong("cron_schedule.cron", told) from None
    except StopIteration:
        raise _wrong("cron_schedule.cron", f"{cron!r} never comes in the next fifty years") from None
    return Schedule(" ".join(fields), 0, *_span(sent, "cron_schedule"), zone)


def _zoned(cron: str) -> tuple[str, tzinfo]:
    """The expression without its time zone, and that."""
    first, _, rest = cron.partition(" ")
    name = first.removeprefix("CRON_").removeprefix("TZ=")
    if name == first:
        return cron, UTC
    try:
        return rest.strip(), ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        told = f"{cron!r}: there is no time zone {name!r}; write one such as Europe/Berlin"
        raise _wrong("cron_schedule.cron", told) from None


def _every(cron: str) -> int:
    """Milliseconds between the runs of `@every 1h30m`."""
    text = cron.removeprefix(EVERY).strip()
    parts = _DURATION.findall(text)
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 1 <= seconds <= INTERVAL_MAX_S:
        raise _wrong("cron_schedule.cron", f"{cron!r} is not '@every' with a duration of a second or more, as in 1h30m")
    return seconds * 1000


def _periodic(sent: PeriodicSchedule) -> Schedule:
    text = str(sent.interval_second or "")
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    if not 1 <= seconds <= INTERVAL_MAX_S:
        told = f"{sent.interval_second!r} is not a number of seconds from 1 to {INTERVAL_MAX_S}"
        raise _wrong("periodic_schedule.interval_second", told)
    return Schedule("", seconds * 1000, *_span(sent, "periodic_schedule"))


def _span(sent: CronSchedule | PeriodicSchedule, where: str) -> tuple[int | None, int | None]:
    start, end = _time(sent.start_time, f"{where}.start_time"), _time(sent.end_time, f"{where}.end_time")
    if start is not None and end is not None and end <= start:
        raise _wrong(f"{where}.end_time", f"{sent.end_time!r} is not later than start_time")
    return start, end


def _time(text: str | None, where: str) -> int | None:
    if not text:
        return None
    try:
        found = parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise _wrong(where, f"{text!r} is not a time such as 2026-01-31T09:30:00Z: {error}") from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise _wrong(where, f"{text!r} is not in the years {FIRST_YEAR} to {LAST_YEAR}")
    return _ms(found)


def _wrong(field: str, told: str) -> SpecError:
    return SpecError([Problem(f"trigger.{field}".rstrip("."), told)])


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _at(ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ms / 1000, zone)
