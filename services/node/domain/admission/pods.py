"""Pods and pod templates; pure. Source: k8s.io/kubernetes pkg/apis/core/validation, as far as this node goes."""

import copy
from collections.abc import Sequence
from typing import Any

from services.node.domain.admission.checks import Checks
from services.node.domain.fields import known_field

Object = dict[str, Any]
PLATFORM = "millstream-system"
_POLICIES = ("Always", "OnFailure", "Never")
_MAY_CHANGE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")


def admit_pod(obj: Object, old: Object | None, admission: Any) -> Object:
    """Defaults a new pod; on update nothing of the spec but its deadline, tolerations and node may change. Scheduling
    gates may go, and while there are any, node selectors may come."""
    pod = copy.deepcopy(obj)
    checks = Checks()
    if not isinstance(pod.get("spec"), dict):
        checks.required("spec")
        checks.done("pods", pod)
    default_spec(pod["spec"])
    check_pod_spec(checks, pod["spec"], "spec", trusted=pod["metadata"].get("namespace") == PLATFORM)
    if old is None:
        pod["status"] = {"phase": "Pending", "qosClass": _qos(pod["spec"])}
    else:
        _unchanged(checks, pod["spec"], old["spec"])
    checks.done("pods", pod)
    return pod


def _unchanged(checks: Checks, new: Object, old: Object) -> None:
    before, after = old.get("schedulingGates") or [], new.get("schedulingGates") or []
    selects, selected = new.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    free = {"schedulingGates"} if all(gate in before for gate in after) else set()
    if before and selects.items() >= selected.items():
        free |= {"nodeSelector"}
    for name in sorted({*new, *old} - free):
        if name not in _MAY_CHANGE and new.get(name) != old.get(name):
            checks.wrong(
                f"spec.{name}", "…", "pod updates may not change this field: delete the pod and create a new one"
            )


def default_spec(spec: Object) -> None:
    """Fills in what Kubernetes fills in, as far as anything here reads it."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
    spec.setdefault("securityContext", {})
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if isinstance(container, dict):
            container.setdefault("imagePullPolicy", "IfNotPresent")
            container.setdefault("resources", {})
            for port in container.get("ports") or []:
                port.setdefault("protocol", "TCP")


def check_pod_spec(
    checks: Checks, spec: Object, at: str, *, trusted: bool = False, policies: Sequence[str] = _POLICIES
) -> None:
    """`at` is the path of the spec, so that templates tell their own."""
    if not spec.get("containers"):
        checks.required(f"{at}.containers", "a pod needs at least one container")
    checks.one_of(f"{at}.restartPolicy", spec.get("restartPolicy", "Always"), policies)
    checks.at_least(f"{at}.terminationGracePeriodSeconds", spec.get("terminationGracePeriodSeconds"))
    checks.at_least(f"{at}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1)
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            checks.label(f"{at}.{name}", spec[name])
    volumes = _volumes(checks, spec, at, trusted)
    seen: set[str] = set()
    for part in ("initContainers", "containers"):
        for nth, container in enumerate(spec.get(part) or []):
            _container(checks, container, f"{at}.{part}[{nth}]", volumes, seen)


def _volumes(checks: Checks, spec: Object, at: str, trusted: bool) -> set[str]:
    names: set[str] = set()
    for nth, volume in enumerate(spec.get("volumes") or []):
        where, name = f"{at}.volumes[{nth}]", volume.get("name")
        checks.label(f"{where}.name", name)
        if name in names:
            checks.wrong(f"{where}.name", name, "another volume has this name")
        names.add(name)
        if "hostPath" in volume and not trusted:
            checks.wrong(
                f"{where}.hostPath", volume["hostPath"], f"is for pods of {PLATFORM} only: use emptyDir or a claim"
            )
        _paths(checks, volume, where)
        for kind in set(volume) - {"name"} - set(_SOURCES):
            checks.wrong(f"{where}.{kind}", "…", f"this node has no such volume: use one of {', '.join(_SOURCES)}")
    return names


def _paths(checks: Checks, volume: Object, at: str) -> None:
    """Where the files of a volume go, seen from its root."""
    parts = [(volume, at)]
    parts += [
        (p, f"{at}.projected.sources[{n}]") for n, p in enumerate((volume.get("projected") or {}).get("sources") or [])
    ]
    for part, where in parts:
        for kind in ("configMap", "secret", "downwardAPI"):
            for nth, item in enumerate((part.get(kind) or {}).get("items") or []):
                checks.inside(f"{where}.{kind}.items[{nth}].path", item.get("path"))
        if (token := part.get("serviceAccountToken")) is not None:
            checks.inside(f"{where}.serviceAccountToken.path", token.get("path"))


_SOURCES = ("emptyDir", "persistentVolumeClaim", "configMap", "secret", "downwardAPI", "projected", "hostPath")


def _container(checks: Checks, container: Object, at: str, volumes: set[str], seen: set[str]) -> None:
    name = container.get("name")
    checks.label(f"{at}.name", name)
    if name in seen:
        checks.wrong(f"{at}.name", name, "another container has this name")
    seen.add(str(name))
    if not container.get("image"):
        checks.required(f"{at}.image")
    resources = container.get("resources") or {}
    for part in ("limits", "requests"):
        checks.amounts(f"{at}.resources.{part}", resources.get(part))
    for nth, mount in enumerate(container.get("volumeMounts") or []):
        if mount.get("name") not in volumes:
            checks.wrong(f"{at}.volumeMounts[{nth}].name", mount.get("name"), "no volume of this pod has this name")
        if ".." in str(mount.get("subPath") or "").split("/"):
            checks.wrong(f"{at}.volumeMounts[{nth}].subPath", mount["subPath"], "must not contain '..'")
    for nth, port in enumerate(container.get("ports") or []):
        checks.port(f"{at}.ports[{nth}].containerPort", port.get("containerPort"))
    for nth, entry in enumerate(container.get("env") or []):
        _env(checks, entry, f"{at}.env[{nth}]")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        _probe(checks, container.get(probe), f"{at}.{probe}")


def _env(checks: Checks, entry: Object, at: str) -> None:
    checks.env_name(f"{at}.name", entry.get("name"))
    origin = entry.get("valueFrom") or {}
    if origin and entry.get("value"):
        checks.wrong(f"{at}.valueFrom", "…", "may not be set together with value")
    path = (origin.get("fieldRef") or {}).get("fieldPath")
    if path is not None and not known_field(path):
        checks.wrong(f"{at}.valueFrom.fieldRef.fieldPath", path, "is not a field that the downward API offers")


def _probe(checks: Checks, probe: Object | None, at: str) -> None:
    if probe is None:
        return
    if sum(probe.get(kind) is not None for kind in ("httpGet", "tcpSocket", "exec", "grpc")) != 1:
        checks.required(at, "must have exactly one of httpGet, tcpSocket, exec, grpc")
    for name, least in (
        ("periodSeconds", 1),
        ("timeoutSeconds", 1),
        ("failureThreshold", 1),
        ("initialDelaySeconds", 0),
    ):
        checks.at_least(f"{at}.{name}", probe.get(name), least)


def _qos(spec: Object) -> str:
    resources = [c.get("resources") or {} for c in spec["containers"]]
    if not any(r.get("limits") or r.get("requests") for r in resources):
        return "BestEffort"
    full = all({"cpu", "memory"} <= set(r.get("limits") or {}) for r in resources)
    same = all((r.get("requests") or r.get("limits")) == r.get("limits") for r in resources)
    return "Guaranteed" if full and same else "Burstable"
