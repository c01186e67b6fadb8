"""How runs of pipelines and their tasks look in a terminal, as they go on and when they are over."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from millstream.cli.show import BAD, BUSY, GOOD, out, plain_table

if TYPE_CHECKING:
    from millstream.pipelines.runs import Line

COLOURS = {"SUCCEEDED": GOOD, "FAILED": BAD, "CANCELED": BAD, "RUNNING": BUSY, "CANCELING": BUSY, "PAUSED": BUSY}
VALUE_MAX = 1000
LOGS = "executor-logs"
API = "/pipelines/v1"
"""Of all that KFP's API has no calls for."""

Record = dict[str, Any]


def follow(client: Any, run_id: str) -> None:
    """A line for every change of a task; on a terminal and in a log alike."""
    try:
        last = _followed(client, run_id)
    except KeyboardInterrupt:
        words = f"the run goes on: `millstream pipeline show {run_id}`, `millstream pipeline stop {run_id}`"
        out.print(f"\n{words}", markup=False)
        raise
    out.print(f"{state(last)} after {took(last)}")
    print_outputs(client, last)
    print_error(last)
    if last.get("state") != "SUCCEEDED":
        _point_at_logs(last)
        sys.exit(1)


def _followed(client: Any, run_id: str) -> Record:
    """How it ended."""
    from millstream.pipelines import runs

    told: dict[str, str] = {}
    last: Record = {}
    for last in runs.follow(client, run_id):
        for line in (one for one in runs.tree(last) if not one.is_group):
            task, word = line.task, str(line.task.get("state") or "PENDING")
            why = error(task) if word == "PENDING" else ""
            if (word != "PENDING" or why) and told.get(task["task_id"]) != word + why:
                told[task["task_id"]] = word + why
                out.print(f"  {state(task)} {escape(line.path)}  {escape(why) or took(task)}".rstrip())
                if word == "PAUSED":
                    _ask(client, run_id, [line])
    return last


def _point_at_logs(run: Record) -> None:
    """What to type next: the log of the first step that failed after it had begun."""
    from millstream.pipelines import runs

    steps = [one for one in runs.tree(run) if not one.is_group and one.task.get("state") == "FAILED"]
    if path := next((one.path for one in steps if took(one.task)), None):
        words = ["millstream", "pipeline", "logs", str(run["run_id"]), path]
        out.print(f"its log: {shlex.join(words)}", markup=False)


def print_tasks(run: dict[str, Any]) -> None:
    from millstream.pipelines import runs

    lines = list(runs.tree(run))
    told = {error(one.task) for one in lines if not one.is_group}
    rows = [
        [
            "  " * one.depth + escape(one.task["display_name"]),
            state(one.task),
            took(one.task),
            escape(_why(one, told)),
        ]
        for one in lines
    ]
    if rows:
        out.print(plain_table(["TASK", "STATE", "TOOK", "WHY"], rows))


def _why(line: Line, told: set[str]) -> str:
    """Its error; of a group only what none of its steps says: it would name the step and repeat it."""
    message = error(line.task)
    return "" if line.is_group and message.partition(" failed: ")[2] in told - {""} else message


def print_questions(client: Any, run: Record) -> None:
    """What its tasks ask a person, and how to answer."""
    from millstream.pipelines import runs

    if paused := [one for one in runs.tree(run) if one.task.get("state") == "PAUSED"]:
        _ask(client, run["run_id"], paused)


def _ask(client: Any, run_id: str, paused: Sequence[Line]) -> None:
    from millstream.pipelines import runs

    asked = {one["uid"]: one["inputs"]["parameters"].get("question") for one in runs.records(client, run_id)}
    for line in paused:
        words = shlex.join(["millstream", "pipeline", "approve", run_id, line.path])
        question = asked.get(line.task["task_id"]) or "waits for a person"
        out.print(f"{line.path}: {question}\n    `{words}`, or reject", markup=False)


def print_outputs(client: Any, run: Record) -> None:
    """What the pipeline itself gave."""
    from millstream.pipelines import runs

    if run.get("state") == "SUCCEEDED":
        print_values(runs.recorded(client, run["run_id"])["outputs"], "outputs")


def print_values(given: Record, title: str) -> None:
    """Parameters with their values, artifacts with their places."""
    lines = [f"{name} = {_cut(json.dumps(value, ensure_ascii=False))}" for name, value in given["parameters"].items()]
    made = {name: many for name, many in given["artifacts"].items() if name != LOGS}
    lines += [f"{name}: {each['uri']}{_figures(each)}" for name, many in made.items() for each in many]
    if lines:
        out.print("\n  ".join([title, *lines]), markup=False)


def _figures(artifact: Record) -> str:
    """What it says of itself in a word or a number: a Metrics artifact's metrics, a Dataset's rows."""
    plain = {name: value for name, value in artifact["metadata"].items() if not isinstance(value, (dict, list))}
    told = ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in plain.items())
    return _cut(f"  ({told})") if told else ""


def print_error(run: dict[str, Any]) -> None:
    if message := error(run):
        out.print(message, style=BAD, markup=False)


def error(one: Mapping[str, Any]) -> str:
    return str((one.get("error") or {}).get("message") or "")


def state(one: Mapping[str, Any]) -> str:
    word = str(one.get("state") or "PENDING")
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/]" if colour else word


def age(one: Mapping[str, Any], now: datetime) -> str:
    """How long ago it was made, in one figure: the table has to fit beside a run's id."""
    at = _time(one.get("created_at"))
    if at is None:
        return ""
    seconds = max(0, int((now - at).total_seconds()))
    units = (("d", 86_400), ("h", 3_600), ("m", 60))
    return next((f"{seconds // size}{unit}" for unit, size in units if seconds >= 2 * size), f"{seconds}s")


def took(one: Mapping[str, Any]) -> str:
    """The time of a run or a task; of a step whose outputs came from the cache that word."""
    begin = _time(one.get("start_time") or one.get("created_at"))
    end = _time(one.get("end_time") or one.get("finished_at"))
    if begin and begin == end and LOGS in (one.get("outputs") or {}):
        return "cached"
    return f"{(end - begin).total_seconds():.1f} s" if begin and end else ""


def _time(text: str | None) -> datetime | None:
    """KFP's times of nothing are zero, not absent."""
    found = datetime.fromisoformat(text) if text else None
    return found if found and found.year > 1970 else None


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]} ... ({len(text)} characters)"
