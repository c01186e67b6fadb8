"""The logs of a training job: of all its nodes, told apart by the node's name, also of those that are long gone."""

from __future__ import annotations

import heapq
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from millstream.archive import Job, JobPod
from millstream.cli.show import err
from millstream.client import conditions_of
from millstream.errors import ClientError

LOOK_EVERY_S = 1.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* ")


@dataclass(frozen=True)
class LogChoice:
    """Which nodes and attempts; an attempt counts from 0, negative from the last."""

    rank: int | None = None
    attempt: int | None = None
    all_attempts: bool = False
    timestamps: bool = False
    params: Mapping[str, str] = field(default_factory=dict)

    def of(self, pods: Sequence[JobPod]) -> list[JobPod]:
        """Raises ClientError naming what there is."""
        if not pods:
            return []
        attempts = sorted({pod.attempt for pod in pods})
        chosen = attempts if self.all_attempts else [_attempt(attempts, self.attempt)]
        found = [pod for pod in pods if pod.attempt in chosen and self.rank in (None, pod.rank)]
        if not found:
            there = ", ".join(str(rank) for rank in sorted({pod.rank for pod in pods}))
            raise ClientError(f"no node has the rank {self.rank}; there are {there}")
        return found


def since_time(text: str) -> str:
    """`90s`, `5m`, `2h`, `1d` ago, or an RFC 3339 time, as the API wants it. Raises ClientError."""
    found = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if found:
        ago = timedelta(seconds=int(found[1]) * _UNITS[found[2]])
        return (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ClientError(f"--since {text!r}: say 90s, 5m, 2h, 1d or a time such as 2026-11-22T10:00:00Z") from None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_job_logs(job: Job, choice: LogChoice, follow: bool) -> None:
    """Print `node-<rank> | line` for every chosen pod, in order of time; with follow until the job is over."""
    pods = choice.of(job.pods())
    if not pods and job.live() is None and job.story() is None:
        raise ClientError(f"there is no {job.plural}/{job.name} in {job.namespace}, and nothing is kept of one")
    if follow:
        return _follow(job, choice)
    if not pods:
        look = f"millstream describe {job.plural} {job.name} -n {job.namespace}"
        raise ClientError(f"{job.plural}/{job.name} has had no pods in {job.namespace} yet; see `{look}`")
    printed = False
    for pod, line in in_order(job, pods, choice.params):
        print(f"{_title(pod, choice)}{line if choice.timestamps else bare(line)}")
        printed = True
    if not printed:
        err.print(f"nothing was printed; `millstream describe {job.plural} {job.name} -n {job.namespace}` tells more")


def in_order(job: Job, pods: Sequence[JobPod], params: Mapping[str, str]) -> Iterator[tuple[JobPod, str]]:
    """The lines of several pods by the times that they begin with; one without takes that of the line before."""

    def told(place: int, pod: JobPod) -> Iterator[tuple[str, int, int, JobPod, str]]:
        last = ""
        for number, line in enumerate(_lines(job, pod, params)):
            last = line.split(" ", 1)[0] if _STAMP.match(line) else last
            yield last, place, number, pod, line

    streams = [told(place, pod) for place, pod in enumerate(pods)]
    for _, _, _, pod, line in heapq.merge(*streams, key=lambda entry: entry[:3]):
        yield pod, line


def bare(line: str) -> str:
    """The line without its time."""
    return line.split(" ", 1)[1] if _STAMP.match(line) else line


def _attempt(attempts: Sequence[int], wished: int | None) -> int:
    if wished is None:
        return attempts[-1]
    if wished < 0 and len(attempts) >= -wished:
        return attempts[wished]
    if wished == -2:
        raise ClientError(f"the job has had no attempt before the last, {attempts[-1]}")
    if wished not in attempts:
        there = ", ".join(map(str, attempts))
        raise ClientError(f"the job has no attempt {wished}; there {'is' if len(attempts) == 1 else 'are'} {there}")
    return wished


def _lines(job: Job, pod: JobPod, params: Mapping[str, str], *, follow: bool = False) -> Iterator[str]:
    try:
        yield from job.lines(pod, follow, **{"timestamps": "true", **params})
    except ClientError as error:
        yield f"({error})"


def _title(pod: JobPod, choice: LogChoice) -> str:
    return f"{pod.title}{f' (attempt {pod.attempt})' if choice.all_attempts else ''} | "


def _follow(job: Job, choice: LogChoice) -> None:
    """Every node at once, and the next attempt's when the job begins again."""
    seen: set[str] = set()
    readers: list[threading.Thread] = []
    while True:
        is_over = _is_over(job)
        fresh = [pod for pod in choice.of(job.pods()) if pod.uid not in seen]
        seen |= {pod.uid for pod in fresh}
        for pod in fresh:
            readers.append(threading.Thread(target=_print_pod, args=(job, pod, choice), daemon=True))
            readers[-1].start()
        readers = [reader for reader in readers if reader.is_alive()]
        if is_over and not readers:
            return
        time.sleep(LOOK_EVERY_S)


def _print_pod(job: Job, pod: JobPod, choice: LogChoice) -> None:
    for line in _lines(job, pod, choice.params, follow=True):
        print(f"{_title(pod, choice)}{line if choice.timestamps else bare(line)}", flush=True)


def _is_over(job: Job) -> bool:
    live = job.live()
    if live is None:
        return True
    return any(
        conditions_of(live).get(kind, {}).get("status") == "True" for kind in ("Complete", "Failed", "Succeeded")
    )
