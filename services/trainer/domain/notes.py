"""Core Events about a job, as `kubectl describe` shows them; whoever writes one twice writes it once."""

from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339


def note(
    job: dict[str, Any], reason: str, message: str, now: datetime, *, kind: str = "Normal", which: str = ""
) -> dict[str, Any]:
    """Its name is fixed by job, reason and `which`, so a retry writes no second one. `kind` is Normal or Warning."""
    meta, at = job["metadata"], rfc3339(now)
    about = {"apiVersion": job["apiVersion"], "kind": job["kind"]}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{meta['name']}.{meta['uid'][:8]}.{reason.lower()}{which and '.' + which}",
            "namespace": meta["namespace"],
        },
        "involvedObject": {**about, **{key: meta[key] for key in ("namespace", "name", "uid")}},
        "reason": reason,
        "message": message[:1024],
        "type": kind,
        "count": 1,
        "source": {"component": "millstream-trainer"},
        "firstTimestamp": at,
        "lastTimestamp": at,
    }
