"""The story of one run, from its events: what was said when, and how long each step took."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.table import Table

Letter = dict[str, Any]
WIDTH = 24


def of_run(letters: list[Letter], job_uid: str, first: str) -> list[Letter]:
    """The letters about the job, its model and its service: one chain of causes, or one uid."""
    chains = {letter.get("correlationid") for letter in letters if is_about(letter, job_uid)} - {None}
    chains |= {first}
    return [letter for letter in letters if letter.get("correlationid") in chains or is_about(letter, job_uid)]


def is_about(letter: Letter, job_uid: str) -> bool:
    """Whether a letter's data names the job."""
    return job_uid in (letter["data"].get("uid"), letter["data"].get("job_uid"))


def draw(letters: list[Letter], title: str) -> Table:
    """A table with one bar a step: offset from the first event, the time since the one before, who said what."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, width in (("AT", 9), ("STEP", 9), ("", WIDTH), ("EVENT", 34), ("SAID BY", 9)):
        table.add_column(name, justify="right" if name in ("AT", "STEP") else "left", min_width=width, overflow="fold")
    times = [datetime.fromisoformat(letter["time"]) for letter in letters]
    if not times:
        return table
    start, total = times[0], max((times[-1] - times[0]).total_seconds(), 1e-6)
    before = start
    for letter, at in zip(letters, times, strict=True):
        offset, step = (at - start).total_seconds(), (at - before).total_seconds()
        length = max(1, round(WIDTH * step / total))
        left = min(round(WIDTH * (offset - step) / total), WIDTH - length)
        said_by = letter["source"].split("/")[-1]
        table.add_row(f"{offset:.3f} s", f"+{step:.3f} s", " " * left + "━" * length, letter["type"], said_by)
        before = at
    return table
