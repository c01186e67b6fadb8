"""A container's environment and command from its spec and the objects it refers to; pure, raises ConfigError."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.node.domain.expand import expand
from services.node.domain.fields import pod_field, resource_field
from services.node.domain.secrets import secret_bytes

Object = dict[str, Any]


class ConfigError(Exception):
    """The container cannot be made yet; the message is what `kubectl describe` shows."""


@dataclass(frozen=True)
class Sources:
    """The ConfigMaps and Secrets of the pod's namespace by name, as far as the pod refers to them."""

    configmaps: Mapping[str, Object] = field(default_factory=dict)
    secrets: Mapping[str, Object] = field(default_factory=dict)

    def data(self, kind: str, name: str, *, optional: bool, namespace: str) -> dict[str, str] | None:
        found = (self.configmaps if kind == "configmap" else self.secrets).get(name)
        if found is None:
            if optional:
                return None
            raise ConfigError(f'{kind} "{name}" not found in namespace "{namespace}"')
        if kind == "configmap":
            return dict(found.get("data") or {})
        return {key: value.decode(errors="replace") for key, value in secret_bytes(found).items()}


def environment(pod: Object, container: Object, sources: Sources, allocatable: Mapping[str, float]) -> dict[str, str]:
    """`envFrom` first, then `env` in order; each value may refer to those before it."""
    namespace = pod["metadata"].get("namespace", "")
    values: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        values.update(_env_from(source, sources, namespace))
    for entry in container.get("env") or []:
        value = _value(pod, container, entry, values, sources, allocatable)
        if value is not None:
            values[entry["name"]] = value
    return values


def command_line(container: Object, env: Mapping[str, str]) -> tuple[str, ...]:
    """`command` then `args`, with `$(NAME)` expanded."""
    return tuple(expand(str(word), env) for word in [*(container.get("command") or []), *(container.get("args") or [])])


def references(pod_spec: Object) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that a pod's environment and volumes refer to."""
    maps: set[str] = set()
    secrets: set[str] = set()
    for container in [*(pod_spec.get("initContainers") or []), *(pod_spec.get("containers") or [])]:
        for ref in _env_refs(container):
            (maps if ref[0] == "configmap" else secrets).add(ref[1])
    for volume in pod_spec.get("volumes") or []:
        for part in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
            if "configMap" in part:
                maps.add(part["configMap"].get("name", ""))
            if "secret" in part:
                secrets.add(part["secret"].get("secretName") or part["secret"].get("name", ""))
    return maps, secrets


def _env_refs(container: Object) -> Sequence[tuple[str, str]]:
    sources = [*(container.get("envFrom") or []), *((e.get("valueFrom") or {}) for e in container.get("env") or [])]
    refs = []
    for source in sources:
        for key, kind in _REFS.items():
            if source.get(key):
                refs.append((kind, source[key].get("name", "")))
    return refs


_REFS = {"configMapRef": "configmap", "configMapKeyRef": "configmap", "secretRef": "secret", "secretKeyRef": "secret"}


def _env_from(source: Object, sources: Sources, namespace: str) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for key in ("configMapRef", "secretRef"):
        if ref := source.get(key):
            optional = bool(ref.get("optional"))
            data = sources.data(_REFS[key], ref.get("name", ""), optional=optional, namespace=namespace)
            return {prefix + name: value for name, value in (data or {}).items()}
    return {}


def _value(
    pod: Object, container: Object, entry: Object, so_far: Mapping[str, str], sources: Sources,
    allocatable: Mapping[str, float],
) -> str | None:  # fmt: skip
    origin = entry.get("valueFrom")
    if not origin:
        return expand(str(entry.get("value") or ""), so_far)
    if ref := origin.get("fieldRef"):
        return pod_field(pod, ref.get("fieldPath", ""))
    if ref := origin.get("resourceFieldRef"):
        return resource_field(pod, container, ref, allocatable)
    for key in ("configMapKeyRef", "secretKeyRef"):
        if ref := origin.get(key):
            return _key(_REFS[key], ref, sources, pod["metadata"].get("namespace", ""))
    return ""


def _key(kind: str, ref: Object, sources: Sources, namespace: str) -> str | None:
    optional = bool(ref.get("optional"))
    data = sources.data(kind, ref.get("name", ""), optional=optional, namespace=namespace)
    if data is None:
        return None
    if ref.get("key") not in data:
        if optional:
            return None
        what = "ConfigMap" if kind == "configmap" else "Secret"
        raise ConfigError(f"couldn't find key {ref.get('key')} in {what} {namespace}/{ref.get('name')}")
    return data[ref["key"]]
