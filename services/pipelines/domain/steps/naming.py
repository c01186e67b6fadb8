"""Names of a step's pod and labels: what a cluster allows, recognisable, and the same at every call."""

import re
from hashlib import sha256

_OTHER = re.compile(r"[^a-z0-9-]+")


def pod_name(run_id: str, task: str, path: str, attempt: int) -> str:
    """At most 63 characters, for it is the pod's host name too; unique by the run, the task's path and the attempt."""
    place = sha256(f"{run_id}/{path}".encode()).hexdigest()[:10]
    words = _OTHER.sub("-", task.lower()).strip("-")[:30].strip("-") or "step"
    return f"{words}-{_OTHER.sub('', run_id.lower())[:8].strip('-') or 'run'}-{place}-{attempt}"


def label_value(text: str) -> str:
    """The text as a label may hold it, or as much of it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("-._")
