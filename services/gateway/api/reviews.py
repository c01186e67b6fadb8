"""Who am I, may I: the two reviews that `kubectl auth` asks for; what a service allows it decides itself."""

from __future__ import annotations

import json
from typing import Any

from libs.base.errors import BadRequest
from libs.service.identity import User

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
CAN_I = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
PROTOBUF_MAGIC = b"k8s\x00"
"""kubectl sends these two as protobuf, whatever we accept; nothing in them changes our answer, so it is not decoded."""


def review(path: str, body: bytes, user: User) -> dict[str, Any]:
    """The review as it was asked, with its status. Raises BadRequest for what is neither JSON nor protobuf."""
    asked = {} if body.startswith(PROTOBUF_MAGIC) else _json(body)
    if path == WHOAMI:
        return {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "SelfSubjectReview",
            "metadata": {"creationTimestamp": None},
            "status": {"userInfo": {"username": user.name, "groups": list(user.groups)}},
        }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {"creationTimestamp": None},
        "spec": asked.get("spec") or {},
        "status": {"allowed": True, "reason": "authenticated; each service has the last word on its own kinds"},
    }


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is neither JSON nor protobuf: {error}") from error
    if not isinstance(found, dict):
        raise BadRequest("the body must be a JSON object")
    return found
