"""Pods as their controllers see them: whose they are, and new ones from a template; pure."""

import copy
import hashlib
import json
from typing import Any

from services.node.domain import conditions
from services.node.domain.pods import FINISHED

Object = dict[str, Any]


def phase(pod: Object) -> str:
    """The pod's phase; a pod without status is Pending."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def deleting(obj: Object) -> bool:
    """Whether the object waits for its end."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return phase(pod) not in FINISHED and not deleting(pod)


def ready(pod: Object) -> bool:
    """Whether the pod may receive traffic."""
    return active(pod) and conditions.is_true(pod, "Ready")


def owner_reference(owner: Object) -> Object:
    """The controller reference that a child carries."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_uid(obj: Object) -> str | None:
    """The uid of the object's controller."""
    refs = obj["metadata"].get("ownerReferences") or []
    return next((str(ref["uid"]) for ref in refs if ref.get("controller")), None)


def pod_from(template: Object, owner: Object, name: str, *, labels: Object | None = None) -> Object:
    """A new pod named `name` with the template's spec, labels and annotations."""
    meta = copy.deepcopy(template.get("metadata") or {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **(labels or {})},
            "annotations": meta.get("annotations") or {},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": copy.deepcopy(template.get("spec") or {}),
    }


def template_hash(template: Object) -> str:
    """Ten letters that change when the template does."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    letters = "bcdfghjklmnpqrstvwxz2456789"
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    out = ""
    for _ in range(10):
        digest, at = divmod(digest, len(letters))
        out += letters[at]
    return out


def short_name(text: str, room: int) -> str:
    """`text` cut so that `room` more letters still fit into a DNS label."""
    return text[: 63 - room].rstrip("-.")
