"""The pods that a build would run, whatever kind makes them, and what they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.deploy.builds import Object

LASTING = ("Deployment", "StatefulSet", "DaemonSet")
ENDING = ("Job", "CronJob")


@dataclass(frozen=True)
class Pod:
    """One pod template with the object that it is part of."""

    kind: str
    name: str
    namespace: str
    template: Object
    claims: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def spec(self) -> Object:
        found: Object = self.template["spec"]
        return found

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = (self.template.get("metadata") or {}).get("labels") or {}
        return found

    @property
    def lasting(self) -> bool:
        return self.kind in LASTING

    @property
    def containers(self) -> list[Object]:
        return [*(self.spec.get("initContainers") or []), *self.spec["containers"]]

    def port(self, name: str | int) -> int | None:
        """The number of a port that has a name here, or of one that is a number."""
        if isinstance(name, int):
            return name
        ports = (port for each in self.spec["containers"] for port in each.get("ports") or [])
        return next((port["containerPort"] for port in ports if port.get("name") == name), None)


def pods(objects: Iterable[Object]) -> list[Pod]:
    return [found for obj in objects if (found := _pod(obj))]


def _pod(obj: Object) -> Pod | None:
    spec = obj.get("spec") or {}
    if obj["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if obj["kind"] not in (*LASTING, *ENDING):
        return None
    claims = tuple(claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or [])
    meta = obj["metadata"]
    return Pod(obj["kind"], meta["name"], meta.get("namespace", ""), spec["template"], claims)


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """A label selector on a pod's labels; the empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(wanted: Object, labels: dict[str, str]) -> bool:
    value, operator = labels.get(wanted["key"]), wanted["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    return (value in wanted["values"]) == (operator == "In")


def references(pod: Pod) -> Iterator[tuple[str, str, bool]]:
    """(kind, name, whether it may be missing) of everything that a pod cannot start without, or can."""
    yield "ServiceAccount", pod.spec.get("serviceAccountName", "default"), False
    for container in pod.containers:
        for source in container.get("envFrom") or []:
            yield from _named(source, {"configMapRef": "ConfigMap", "secretRef": "Secret"})
        for variable in container.get("env") or []:
            given = variable.get("valueFrom") or {}
            yield from _named(given, {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"})
    for volume in pod.spec.get("volumes") or []:
        yield from _volume(volume)


def _named(source: dict[str, Any], words: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    for word, kind in words.items():
        if word in source:
            yield kind, source[word]["name"], bool(source[word].get("optional"))


def _volume(volume: Object) -> Iterator[tuple[str, str, bool]]:
    if "secret" in volume:
        yield "Secret", volume["secret"]["secretName"], bool(volume["secret"].get("optional"))
    yield from _named(volume, {"configMap": "ConfigMap"})
    for source in (volume.get("projected") or {}).get("sources") or []:
        yield from _named(source, {"configMap": "ConfigMap", "secret": "Secret"})
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], False
