"""What a resolved kubernetes platform document adds to a pod, piece by piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Attached:
    """Parts to be put into the pod's spec, its container and its metadata."""

    spec: Json = field(default_factory=dict)
    container: Json = field(default_factory=dict)
    env: list[Json] = field(default_factory=list)
    volumes: list[Json] = field(default_factory=list)
    mounts: list[Json] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def volume(self, source: Json, mount_path: str, name: str = "", **mount: Any) -> None:
        """One volume and where it is mounted; without a name it gets the next free one."""
        name = name or f"volume-{len(self.volumes)}"
        self.volumes.append({"name": name, **source})
        self.mounts.append({"name": name, "mountPath": mount_path, **mount})


def attached(document: Mapping[str, Any]) -> Attached:
    """`document` is what platform.resolved answers."""
    found = Attached()
    _variables(found, document)
    _files(found, document)
    _claims(found, document)
    _place(found, document)
    _rest(found, document)
    return found


def _variables(found: Attached, document: Mapping[str, Any]) -> None:
    kinds = (
        ("secretAsEnv", "secretKeyRef", "secretName", "secretKey"),
        ("configMapAsEnv", "configMapKeyRef", "configMapName", "configMapKey"),
    )
    for key, ref, named, inner in kinds:
        for entry in document.get(key) or []:
            for pair in entry.get("keyToEnv") or []:
                source = {"name": entry[named], "key": pair[inner], **_optional(entry)}
                found.env.append({"name": pair["envVar"], "valueFrom": {ref: source}})
    for entry in document.get("fieldPathAsEnv") or []:
        found.env.append({"name": entry["name"], "valueFrom": {"fieldRef": {"fieldPath": entry["fieldPath"]}}})


def _files(found: Attached, document: Mapping[str, Any]) -> None:
    for entry in document.get("secretAsVolume") or []:
        found.volume({"secret": {"secretName": entry["secretName"], **_optional(entry)}}, entry["mountPath"])
    for entry in document.get("configMapAsVolume") or []:
        found.volume({"configMap": {"name": entry["configMapName"], **_optional(entry)}}, entry["mountPath"])


def _optional(entry: Mapping[str, Any]) -> Json:
    return {"optional": True} if entry.get("optional") else {}


def _claims(found: Attached, document: Mapping[str, Any]) -> None:
    for entry in document.get("pvcMount") or []:
        sub = {"subPath": entry["subPath"]} if entry.get("subPath") else {}
        found.volume({"persistentVolumeClaim": {"claimName": entry["pvcName"]}}, entry["mountPath"], **sub)
    for entry in document.get("emptyDirMounts") or []:
        source = {key: entry[key] for key in ("medium", "sizeLimit") if entry.get(key)}
        found.volume({"emptyDir": source}, entry["mountPath"], entry.get("volumeName") or "")
    for entry in document.get("genericEphemeralVolume") or []:
        found.volume({"ephemeral": {"volumeClaimTemplate": _template(entry)}}, entry["mountPath"], entry["volumeName"])
    if shared := document.get("enabledSharedMemory"):
        size = {"sizeLimit": shared["size"]} if shared.get("size") else {}
        found.volume({"emptyDir": {"medium": "Memory", **size}}, "/dev/shm", shared.get("volumeName") or "shm")


def _template(entry: Mapping[str, Any]) -> Json:
    spec: Json = {
        "accessModes": list(entry.get("accessModes") or ["ReadWriteOnce"]),
        "resources": {"requests": {"storage": entry.get("size") or "1Gi"}},
    }
    if entry.get("storageClassName") and not entry.get("defaultStorageClass"):
        spec["storageClassName"] = entry["storageClassName"]
    return {**({"metadata": entry["metadata"]} if entry.get("metadata") else {}), "spec": spec}


def _place(found: Attached, document: Mapping[str, Any]) -> None:
    """On which nodes it may run."""
    if labels := (document.get("nodeSelector") or {}).get("labels"):
        found.spec["nodeSelector"] = dict(labels)
    if tolerations := [_toleration(entry) for entry in document.get("tolerations") or []]:
        found.spec["tolerations"] = tolerations
    affinity: Json = {}
    for entry in document.get("nodeAffinity") or []:
        _merge(affinity.setdefault("nodeAffinity", {}), entry if "native" in entry else _node_affinity(entry))
    for entry in document.get("podAffinity") or []:
        side = affinity.setdefault("podAntiAffinity" if entry.get("anti") else "podAffinity", {})
        _merge(side, _pod_affinity(entry))
    if affinity:
        found.spec["affinity"] = affinity


def _toleration(entry: Mapping[str, Any]) -> Json:
    kept = {k: v for k, v in entry.items() if k != "native" and v not in ("", None)}
    if "tolerationSeconds" in kept:
        kept["tolerationSeconds"] = int(kept["tolerationSeconds"])  # protobuf writes 64 bits as text
    return kept


def _node_affinity(entry: Mapping[str, Any]) -> Json:
    term = {key: entry[key] for key in ("matchExpressions", "matchFields") if entry.get(key)}
    if entry.get("weight"):
        preferred = {"weight": int(entry["weight"]), "preference": term}
        return {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}


def _pod_affinity(entry: Mapping[str, Any]) -> Json:
    def selector(labels: str, expressions: str) -> Json:
        found = {"matchLabels": entry.get(labels), "matchExpressions": entry.get(expressions)}
        return {key: value for key, value in found.items() if value}

    term: Json = {"topologyKey": entry.get("topologyKey") or "kubernetes.io/hostname"}
    if pods := selector("matchPodLabels", "matchPodExpressions"):
        term["labelSelector"] = pods
    if entry.get("namespaces"):
        term["namespaces"] = list(entry["namespaces"])
    if spaces := selector("matchNamespaceLabels", "matchNamespaceExpressions"):
        term["namespaceSelector"] = spaces
    if entry.get("weight"):
        preferred = {"weight": int(entry["weight"]), "podAffinityTerm": term}
        return {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def _merge(into: Json, more: Mapping[str, Any]) -> None:
    """Terms of one kind stand side by side."""
    for key, value in more.items():
        if key == "native":
            continue
        if isinstance(value, dict) and "nodeSelectorTerms" in value:
            terms = into.setdefault(key, {}).setdefault("nodeSelectorTerms", [])
            terms.extend(value["nodeSelectorTerms"])
        elif isinstance(value, list):
            into.setdefault(key, []).extend(value)
        else:
            into[key] = value


def _rest(found: Attached, document: Mapping[str, Any]) -> None:
    metadata = document.get("podMetadata") or {}
    found.labels.update(metadata.get("labels") or {})
    found.annotations.update(metadata.get("annotations") or {})
    if secrets := document.get("imagePullSecret"):
        found.spec["imagePullSecrets"] = [{"name": entry["secretName"]} for entry in secrets]
    if document.get("activeDeadlineSeconds"):
        found.spec["activeDeadlineSeconds"] = int(document["activeDeadlineSeconds"])
    if document.get("imagePullPolicy"):
        found.container["imagePullPolicy"] = document["imagePullPolicy"]
    if context := document.get("securityContext"):
        numbers = {key: int(context[key]) for key in ("runAsUser", "runAsGroup") if key in context}
        asked = {**numbers, **({"runAsNonRoot": True} if context.get("runAsNonRoot") else {})}
        found.container["securityContext"] = asked
