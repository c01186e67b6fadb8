"""`pods/log`: text/plain, as `kubectl logs` and the SDKs read it.

A pod that came from a backup has no folder here: its log is not found, so that whoever asks turns to the archive.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from libs.base.clock import Clock, parse_rfc3339, span
from libs.base.errors import BadRequest, NotFound
from services.node.api.loglines import LogWish, read_log

Object = dict[str, Any]
KATIBS_COLLECTOR = "metrics-logger-and-collector"
"""Katib's clients ask for the output of this container, which it puts beside a trial's program and which repeats what
that prints. Here nothing is put beside it: the program's own output is meant."""
LogPath = Callable[[str, str, int], Path]


class PodLogs:
    """Answers for one pod; `current` gives the pod as it is now (None when gone), for the end of a follow."""

    def __init__(self, log_path: LogPath, current: Callable[[str, str], Object | None], clock: Clock) -> None:
        self._log_path, self._current, self._clock = log_path, current, clock

    async def answer(self, request: Request, pod: Object) -> Response:
        asked = request.query_params
        name = _container(pod, asked.get("container"))
        status = _status(pod, name)
        number = int(status.get("restartCount") or 0) if status else 0
        previous = _flag(asked, "previous")
        if previous and (number == 0 or not (status or {}).get("lastState")):
            raise BadRequest(f'previous terminated container "{name}" in pod "{pod["metadata"]["name"]}" not found')
        if not previous and not _began(status):
            if not (_flag(asked, "follow") or number):
                raise BadRequest(_not_yet(pod, name, status))
            number = max(0, number)
        attempt = number - 1 if previous else number
        path = self._log_path(pod["metadata"]["uid"], name, attempt)
        if _is_over(status) and not path.parents[2].exists():
            raise NotFound(f'pod "{pod["metadata"]["name"]}" left no log here: it ended before this home was restored')
        wish = self._wish(asked, previous)
        lines = read_log(path, wish, lambda: self._ended(pod, name, attempt), self._clock.sleep)
        return StreamingResponse(lines, media_type="text/plain; charset=utf-8")

    def _wish(self, asked: Mapping[str, str], previous: bool) -> LogWish:
        since = _count(asked, "sinceSeconds")
        begin: datetime | None = self._clock.now() - span(since) if since is not None else None
        if asked.get("sinceTime"):
            try:
                begin = parse_rfc3339(asked["sinceTime"])
            except ValueError as error:
                raise BadRequest(f"sinceTime: {error}") from error
        return LogWish(
            _flag(asked, "follow") and not previous, _count(asked, "tailLines"), begin, _flag(asked, "timestamps"),
            _count(asked, "limitBytes"),
        )  # fmt: skip

    def _ended(self, pod: Object, name: str, attempt: int) -> bool:
        now = self._current(pod["metadata"]["namespace"], pod["metadata"]["name"])
        if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]:
            return True
        status = _status(now, name)
        if status is None:
            return False
        later = int(status["restartCount"]) > attempt
        return later or "terminated" in (status.get("state") or {}) or bool((status.get("lastState") or {}) and later)


def _container(pod: Object, asked: str | None) -> str:
    spec = pod["spec"]
    every = [c["name"] for c in [*(spec.get("initContainers") or []), *spec["containers"]]]
    name = pod["metadata"]["name"]
    if asked and not (asked == KATIBS_COLLECTOR and asked not in every):
        if asked not in every:
            raise BadRequest(f"container {asked} is not valid for pod {name}")
        return asked
    default = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if default in every:
        return str(default)
    if len(spec["containers"]) > 1:
        told = " ".join(c["name"] for c in spec["containers"])
        raise BadRequest(f"a container name must be specified for pod {name}, choose one of: [{told}]")
    return str(spec["containers"][0]["name"])


def _status(pod: Object, name: str) -> Object | None:
    status = pod.get("status") or {}
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return next((one for one in every if one["name"] == name), None)


def _began(status: Object | None) -> bool:
    state = (status or {}).get("state") or {}
    return "running" in state or "terminated" in state or bool((status or {}).get("lastState"))


def _is_over(status: Object | None) -> bool:
    return "terminated" in ((status or {}).get("state") or {})


def _not_yet(pod: Object, name: str, status: Object | None) -> str:
    why = (((status or {}).get("state") or {}).get("waiting") or {}).get("reason") or "ContainerCreating"
    return f'container "{name}" in pod "{pod["metadata"]["name"]}" is waiting to start: {why}'


def _flag(asked: Mapping[str, str], name: str) -> bool:
    return asked.get(name, "").lower() in ("true", "1")


def _count(asked: Mapping[str, str], name: str) -> int | None:
    text = asked.get(name)
    if text is None or text == "":
        return None
    if not text.lstrip("-").isdigit():
        raise BadRequest(f"{name}: {text!r} is not a whole number")
    if name == "tailLines" and int(text) < 0:
        return None
    return max(0, int(text))
