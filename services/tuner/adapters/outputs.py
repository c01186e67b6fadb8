"""Reads what a trial's program printed and keeps its metrics, not its lines.

A filter of the user's own is tried in a process beside this one, and given up after some seconds: a pattern can be made
to take for ever, and Python has no way to stop one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

from libs.base.errors import BadRequest, NotFound
from libs.cluster import POD, Cluster
from services.tuner.domain import metrics, objective
from services.tuner.domain.trials import kind_of

Object = dict[str, Any]
OWN_FILTER_S = 20.0
OWN_FILTER_CHARS_MAX = 16 * 1024 * 1024
"""Of the lines that name a metric: so much of them is looked at with a filter of the user's own."""


class FilterFailed(Exception):
    """The user's own filter did not come to an end in time, or to a bad one."""


async def observation(trial: Object, cluster: Cluster) -> Object:
    """The metrics that the first pod's main container printed; none where there is no pod any more."""
    spec = trial["spec"]
    names = objective.names(spec["objective"])
    reader = metrics.Reader(names)
    pod = await _pod(trial, cluster)
    if pod is None:
        return metrics.observation({}, names)
    lines = _lines(pod, spec["primaryContainerName"], cluster)
    if formats := _formats(spec):
        return await _by_own_filter([line async for line in _wanted(lines, reader)], names, formats)
    async for line in lines:
        reader.take(line)
    return metrics.observation(reader.figures, names)


async def _pod(trial: Object, cluster: Cluster) -> Object | None:
    """Of several, as after one was lost, the newest that ended well."""
    kind, meta = kind_of(trial), trial["metadata"]
    selector = kind.selector(meta["name"], trial["spec"].get("primaryPodLabels"))
    pods = await cluster.list(POD, meta["namespace"], labels=selector)
    marked = ([pod for pod in pods if pod["metadata"]["labels"].get(key) == value] for key, value in kind.first)
    first = next(filter(None, marked), pods)
    good = [pod for pod in first if (pod.get("status") or {}).get("phase") == "Succeeded"] or first
    return max(good, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""), default=None)


async def _lines(pod: Object, container: str, cluster: Cluster) -> AsyncIterator[str]:
    meta = pod["metadata"]
    lines = cluster.logs(meta["namespace"], meta["name"], container=container, line_bytes_max=metrics.LINE_CHARS_MAX)
    try:
        async for line in lines:
            yield line
    except (NotFound, BadRequest):
        return  # the pod is gone, or never had such a container: there is nothing to read


async def _wanted(lines: AsyncIterator[str], reader: metrics.Reader) -> AsyncIterator[str]:
    held = 0
    async for line in lines:
        if reader.wants(line) and (held := held + len(line)) <= OWN_FILTER_CHARS_MAX:
            yield line


def _formats(spec: Object) -> Sequence[str]:
    return ((spec["metricsCollector"].get("source") or {}).get("filter") or {}).get("metricsFormat") or []


async def _by_own_filter(lines: Sequence[str], names: Sequence[str], formats: Sequence[str]) -> Object:
    """Raises FilterFailed."""
    asked = json.dumps({"lines": lines, "names": names, "formats": formats}).encode()
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.tuner.adapters.filtering", stdin=pipe, stdout=pipe
    )
    try:
        async with asyncio.timeout(OWN_FILTER_S):
            told, _ = await program.communicate(asked)
    except TimeoutError as error:
        raise FilterFailed(f"metricsFormat took more than {OWN_FILTER_S:.0f} s over {len(lines)} lines") from error
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    if program.returncode:
        raise FilterFailed("metricsFormat could not be applied to the output")
    found: Object = json.loads(told)
    return found
