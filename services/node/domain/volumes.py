"""What a pod's volumes hold: files for ConfigMaps, Secrets and the downward API, or a directory; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.node.domain.environment import ConfigError, Sources
from services.node.domain.fields import pod_field, resource_field
from services.node.domain.secrets import configmap_bytes, secret_bytes

Object = dict[str, Any]
Files = dict[str, tuple[bytes, int]]
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True)
class EmptyDir:
    """A directory that lives as long as the pod."""


@dataclass(frozen=True)
class Claim:
    """A directory that outlives the pod, named by its PersistentVolumeClaim."""

    name: str
    read_only: bool = False


@dataclass(frozen=True)
class HostDir:
    """A directory of this machine."""

    path: str


@dataclass(frozen=True)
class FileSet:
    """Files by relative path with their contents and modes; rewritten when their sources change."""

    files: Files = field(default_factory=dict)


Volume = EmptyDir | Claim | HostDir | FileSet


def volumes(
    pod: Object, sources: Sources, allocatable: Mapping[str, float], token: str | None = None
) -> dict[str, Volume]:
    """Every volume of the pod by name; ConfigError when what it needs is absent."""
    return {v["name"]: _volume(pod, v, sources, allocatable, token) for v in pod["spec"].get("volumes") or []}


def _volume(
    pod: Object, volume: Object, sources: Sources, allocatable: Mapping[str, float], token: str | None
) -> Volume:
    if claim := volume.get("persistentVolumeClaim"):
        return Claim(claim["claimName"], bool(claim.get("readOnly")))
    if host := volume.get("hostPath"):
        return HostDir(host["path"])
    if (projected := volume.get("projected")) is not None:
        mode = projected.get("defaultMode", 0o644)
        files: Files = {}
        for part in projected.get("sources") or []:
            files |= _files(pod, part, sources, allocatable, token, mode)
        return FileSet(files)
    if any(key in volume for key in ("configMap", "secret", "downwardAPI")):
        return FileSet(_files(pod, volume, sources, allocatable, token, 0o644))
    return EmptyDir()


def _files(
    pod: Object, part: Object, sources: Sources, allocatable: Mapping[str, float], token: str | None, mode: int
) -> Files:
    if (ref := part.get("configMap")) is not None:
        found = _found("configmap", sources.configmaps, ref.get("name", ""), ref, pod)
        return _chosen(configmap_bytes(found), ref, mode) if found else {}
    if (ref := part.get("secret")) is not None:
        found = _found("secret", sources.secrets, ref.get("secretName") or ref.get("name", ""), ref, pod)
        return _chosen(secret_bytes(found), ref, mode) if found else {}
    if (ref := part.get("downwardAPI")) is not None:
        return {item["path"]: _downward(pod, item, ref, allocatable, mode) for item in ref.get("items") or []}
    if (ref := part.get("serviceAccountToken")) is not None:
        return {ref["path"]: ((token or "").encode(), 0o600)}
    return {}


def _found(kind: str, known: Mapping[str, Object], name: str, ref: Object, pod: Object) -> Object | None:
    if name not in known and not ref.get("optional"):
        namespace = pod["metadata"].get("namespace", "")
        raise ConfigError(f'{kind} "{name}" not found in namespace "{namespace}"')
    return known.get(name)


def _chosen(data: Mapping[str, bytes], ref: Object, mode: int) -> Files:
    mode = int(ref.get("defaultMode", mode))
    if not ref.get("items"):
        return {key: (content, mode) for key, content in data.items()}
    chosen: Files = {}
    for item in ref["items"]:
        if item["key"] in data:
            chosen[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not ref.get("optional"):
            raise ConfigError(f"references non-existent config key: {item['key']}")
    return chosen


def _downward(pod: Object, item: Object, ref: Object, allocatable: Mapping[str, float], mode: int) -> tuple[bytes, int]:
    mode = int(item.get("mode") or ref.get("defaultMode") or mode)
    if field_ref := item.get("fieldRef"):
        return pod_field(pod, field_ref.get("fieldPath", "")).encode(), mode
    return resource_field(pod, {}, item.get("resourceFieldRef") or {}, allocatable).encode(), mode
