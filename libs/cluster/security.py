"""Security contexts for the pods that the platform makes; pure. Source: Pod Security Standards, level `restricted`.

The platform's own programs keep all of it. Users' containers get what costs no program anything; what their authors set
themselves stays, and whether root is refused is for their namespace to say.
"""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

USER = 65532
"""The account of the platform's images: `nonroot`, as the distroless images have it."""
ENFORCE = "pod-security.kubernetes.io/enforce"
_SECCOMP = {"type": "RuntimeDefault"}
_NO_PRIVILEGES: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def platform_container() -> Object:
    """The securityContext of a container that runs the platform's own program and writes to its volumes alone."""
    return {
        **_NO_PRIVILEGES,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "readOnlyRootFilesystem": True,
        "seccompProfile": _SECCOMP,
    }


def platform_pod() -> Object:
    """The securityContext of a pod of such containers; volumes are the group's, so that a claim can be read."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": _SECCOMP,
    }


def with_defaults(pod: Mapping[str, Any], *, restricted: bool) -> Object:
    """A user's pod spec with what `restricted` asks for, as far as the user set nothing of the kind.

    `restricted` tells that the namespace enforces it: then a container that would be root is told not to be.
    """
    spec, own = dict(pod), dict(pod.get("securityContext") or {})
    own.setdefault("seccompProfile", _SECCOMP)
    if restricted:
        own.setdefault("runAsNonRoot", True)
    spec["securityContext"] = own
    for part in ("initContainers", "containers"):
        if spec.get(part):
            spec[part] = [_container(each) for each in spec[part]]
    return spec


def enforces_restricted(namespace: Mapping[str, Any] | None) -> bool:
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    return bool(labels.get(ENFORCE) == "restricted")


def _container(container: Mapping[str, Any]) -> Object:
    """One that asks for privileges or capabilities knows what it does; half of it would break it."""
    own = dict(container.get("securityContext") or {})
    if own.get("privileged") or own.get("capabilities") or own.get("allowPrivilegeEscalation") is not None:
        return dict(container)
    return {**container, "securityContext": {**_NO_PRIVILEGES, **own}}
