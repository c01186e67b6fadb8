"""`millstream pipeline logs RUN TASK -f`: what steps print, line by line, until they have ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from millstream.cli.pipelineprelude import folded
from millstream.cli.pipelineshow import API, Record
from millstream.cli.show import out
from millstream.errors import ClientError, NotThere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millstream.client import Client

LOOK_EVERY_S = 0.5
OVER = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")


def follow(client: Client, run_id: str, word: str, *, whole: bool = True) -> None:
    """One step after the other in the order in which they begin; returns when all that are meant have ended.
    `whole`: with what kfp's executor prints before them."""
    from millstream.pipelines import runs

    told: set[str] = set()
    while True:
        goes_on = runs.get(client, run_id).get("state") not in runs.OVER
        tasks = runs.records(client, run_id)
        chosen = _meant(tasks, word, goes_on)
        begun = [one for one in chosen if one["uid"] not in told and (one["started_at"] or one["cached_from"])]
        for one in sorted(begun, key=lambda task: str(task["started_at"])):
            told.add(one["uid"])
            _tell(client, run_id, one, many=len(chosen) > 1 or not word, whole=whole)
        if not begun and (not goes_on or (word and chosen and all(one["state"] in OVER for one in chosen))):
            return
        if not begun:
            time.sleep(LOOK_EVERY_S)


def _meant(tasks: list[Record], word: str, goes_on: bool) -> list[Record]:
    """A step that has not begun may not be known yet: only of a run that is over it is said that there is none."""
    from millstream.cli.pipelineresults import steps

    try:
        return steps(tasks, word)
    except ClientError:
        if goes_on:
            return []
        raise


def _tell(client: Client, run_id: str, task: Record, *, many: bool, whole: bool) -> None:
    """All attempts of one step. What was printed is not printed again when the connection has to be made anew."""
    from millstream.cli.pipelineresults import short

    attempt, seen = 0, 0
    while True:
        if attempt != task["attempt"]:
            attempt, seen = task["attempt"], 0
            if many or attempt > 1:
                out.print(f"[bold]{escape(short(task))}[/]{f' (attempt {attempt})' if attempt > 1 else ''}")
        lines = enumerate(_lines(client, run_id, task))
        for number, line in lines if whole else folded(lines):
            if number >= seen:
                print(line.rstrip("\n"), flush=True)
                seen = number + 1
        if task["state"] in OVER:
            return
        task = _again(client, run_id, task)
        if task["state"] not in OVER:
            time.sleep(LOOK_EVERY_S)


def _lines(client: Client, run_id: str, task: Record) -> Iterator[str]:
    path = f"{API}/runs/{run_id}/tasks/{task['uid']}/log"
    with client.http.stream("GET", path, params={"follow": "true"}, timeout=None) as answer:
        if answer.status_code == 200:
            yield from answer.iter_lines()
        elif answer.status_code not in (404, 503):
            raise ClientError(answer.read().decode(errors="replace"), answer.status_code)


def _again(client: Client, run_id: str, task: Record) -> dict[str, Any]:
    from millstream.pipelines import runs

    found = next((one for one in runs.records(client, run_id) if one["uid"] == task["uid"]), None)
    if found is None:
        raise NotThere(f"the run {run_id} has no task {task['path']} any more", 404)
    return found
