"""Which fields of a manifest, of whatever kind, let the pods made from it use more than is their own; pure.

A broad look by the names of fields: for who makes manifests of others' kinds, and cannot know each of their fields.
"""

from collections.abc import Iterator, Mapping
from typing import Any

FIELDS = frozenset({
    "configMapKeyRef", "configMapRef", "envFrom", "hostIPC", "hostNetwork", "hostPID", "hostPort", "imagePullSecrets",
    "podTemplateOverrides", "resourceClaims", "runtimePatches", "secretKeyRef", "secretRef", "securityContext",
    "serviceAccount", "serviceAccountName", "volumes",
})  # fmt: skip
CLAIM = "pvc:"


def reaching(value: Any, where: str) -> Iterator[str]:
    """The paths of such fields that say something, in what lies at `where`."""
    if isinstance(value, Mapping):
        for key, found in value.items():
            if key in FIELDS and found:
                yield f"{where}.{key}"
            else:
                yield from reaching(found, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, found in enumerate(value):
            yield from reaching(found, f"{where}[{index}]")
    elif where.endswith(("Uri", "URI", "uri")) and isinstance(value, str) and value.strip().lower().startswith(CLAIM):
        yield where
