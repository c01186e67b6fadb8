"""Core v1 Events: what is told of an object, counted instead of repeated; pure."""

import hashlib
from datetime import datetime
from typing import Any

from libs.base.clock import rfc3339

Object = dict[str, Any]
COMPONENT = "millstream-node"
TTL_S = 3600


def new_event(about: Object, kind: str, reason: str, message: str, now: datetime, *, container: str = "") -> Object:
    """An Event whose name follows from its content, so that the same news finds the same Event."""
    meta = about["metadata"]
    ref = {
        "apiVersion": about.get("apiVersion", ""), "kind": about.get("kind", ""), "name": meta["name"],
        "namespace": meta.get("namespace", ""), "uid": meta.get("uid", ""),
        "resourceVersion": meta.get("resourceVersion", ""),
    }  # fmt: skip
    if container:
        ref["fieldPath"] = f"spec.containers{{{container}}}"
    key = hashlib.sha256("\n".join((ref["uid"], container, kind, reason, message)).encode()).hexdigest()[:16]
    stamp = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name'][:230]}.{key}", "namespace": meta.get("namespace") or "default"},
        "involvedObject": ref,
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "eventTime": None,
        "count": 1,
    }


def again(known: Object, new: Object) -> Object:
    """The known Event, told once more."""
    return {**known, "count": int(known.get("count") or 1) + 1, "lastTimestamp": new["lastTimestamp"]}
