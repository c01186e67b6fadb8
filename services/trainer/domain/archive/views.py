"""A job's archive in one answer, for people and programs that want the whole story."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.trainer.domain.archive import pods as domain

Object = dict[str, Any]


def job_view(pods: Sequence[Object], gone: Mapping[str, str | None], logs: Mapping[str, list[Object]]) -> list[Object]:
    """Every pod that the job ever had, by attempt, role and rank."""
    attempts = domain.attempts(pods)
    out = [_pod(pod, attempts, gone, logs) for pod in pods]
    return sorted(out, key=lambda pod: (pod["attempt"], pod["role"], pod["rank"]))


def _pod(
    pod: Object, attempts: Mapping[str, int], gone: Mapping[str, str | None], logs: Mapping[str, list[Object]]
) -> Object:
    meta, status = pod["metadata"], pod.get("status") or {}
    end = domain.ended(pod)
    return {
        "name": meta["name"],
        "uid": meta["uid"],
        "role": domain.role(pod),
        "rank": domain.rank(pod),
        "attempt": attempts[meta["uid"]],
        "containers": [container["name"] for container in (pod.get("spec") or {}).get("containers") or []],
        "phase": status.get("phase"),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "createdAt": meta.get("creationTimestamp"),
        "goneAt": gone.get(meta["uid"]),
        "reason": status.get("reason") or end.get("reason"),
        "message": status.get("message") or end.get("message"),
        "exitCode": end.get("exitCode"),
        "startedAt": end.get("startedAt") or status.get("startTime"),
        "finishedAt": end.get("finishedAt"),
        "logs": logs.get(meta["uid"], []),
    }
