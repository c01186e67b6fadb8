"""What a recurring run's parameters may say of the run that is started: KFP's [[ScheduledTime]] and its like; pure.

Times are in UTC, as KFP writes them: `[[ScheduledTime.2006-01-02]]` has a layout of Go's, which is how its reference
moment would be written; `{{$.scheduledTime.strftime('%Y-%m-%d')}}` says the same. What is none of these stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PLAIN = "%Y%m%d%H%M%S"
_MACRO = re.compile(r"\[\[(ScheduledTime|CurrentTime|Index|RunUUID)(?:\.(.*?))?\]\]")
_STRFTIME = re.compile(r"\{\{\$\.(scheduledTime|currentTime)\.strftime\('(.*?)'\)\}\}")
_LAYOUT = {
    "2006": "%Y", "06": "%y", "January": "%B", "Jan": "%b", "01": "%m", "Monday": "%A", "Mon": "%a", "02": "%d",
    "002": "%j", "15": "%H", "03": "%I", "04": "%M", "05": "%S", "PM": "%p", "MST": "UTC", "Z07:00": "Z", "Z0700": "Z",
    "-07:00": "+00:00", "-0700": "+0000", "-07": "+00",
}  # fmt: skip
_WORDS = re.compile("|".join(sorted(map(re.escape, _LAYOUT), key=len, reverse=True)))


@dataclass(frozen=True)
class Moment:
    """`scheduled` is what the run is for, `now` when it is started, `index` its number among the schedule's runs, from
    one."""

    scheduled: datetime
    now: datetime
    index: int
    run_id: str


def expanded(value: Any, moment: Moment) -> Any:
    """The value with all macros in its texts replaced, however deep they lie."""
    if isinstance(value, str):
        return _STRFTIME.sub(lambda found: _strftime(found, moment), _MACRO.sub(lambda f: _macro(f, moment), value))
    if isinstance(value, Mapping):
        return {name: expanded(each, moment) for name, each in value.items()}
    return [expanded(each, moment) for each in value] if isinstance(value, list) else value


def _macro(found: re.Match[str], moment: Moment) -> str:
    name, layout = found[1], found[2]
    if name == "Index":
        return str(moment.index)
    if name == "RunUUID":
        return moment.run_id
    at = moment.scheduled if name == "ScheduledTime" else moment.now
    if layout is None:
        return at.strftime(PLAIN)
    return _WORDS.sub(lambda word: at.strftime(_LAYOUT[word[0]]), layout)


def _strftime(found: re.Match[str], moment: Moment) -> str:
    at = moment.scheduled if found[1] == "scheduledTime" else moment.now
    return at.strftime(found[2])
