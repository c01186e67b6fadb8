"""Namespace, Service, Secret, ConfigMap, claim, Event and HTTPRoute; pure."""

import base64
import copy
from typing import Any

from services.node.domain.admission.checks import Checks
from services.node.domain.secrets import is_base64

Object = dict[str, Any]


def admit_namespace(obj: Object, old: Object | None, admission: Any) -> Object:
    """A namespace ends only when everything in it has ended."""
    space = copy.deepcopy(obj)
    space.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    space["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = space["metadata"]["name"]
    if old is None:
        space["status"] = {"phase": "Active"}
    return space


def admit_service(obj: Object, old: Object | None, admission: Any) -> Object:
    """The node gives an address soon after; it never changes."""
    service, checks = copy.deepcopy(obj), Checks()
    spec = service.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    checks.one_of("spec.type", spec["type"], ("ClusterIP", "NodePort", "LoadBalancer"))
    if old is not None and not spec.get("clusterIP") and (had := old["spec"].get("clusterIP")):
        spec["clusterIP"], spec["clusterIPs"] = had, [had]
    if old is not None and old["spec"].get("clusterIP"):
        checks.fixed("spec.clusterIP", spec.get("clusterIP"), old["spec"]["clusterIP"])
    if old is None and spec.get("clusterIP") not in (None, "", "None"):
        checks.wrong("spec.clusterIP", spec["clusterIP"], "cannot be chosen here: leave it out, or None for headless")
    _ports(checks, spec)
    if old is None:
        service["status"] = {"loadBalancer": {}}
    checks.done("services", service)
    return service


def _ports(checks: Checks, spec: Object) -> None:
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None":
        checks.required("spec.ports")
    names: set[str] = set()
    for nth, port in enumerate(ports):
        at = f"spec.ports[{nth}]"
        checks.port(f"{at}.port", port.get("port"))
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
        checks.one_of(f"{at}.protocol", port["protocol"], ("TCP",))
        if len(ports) > 1 and not port.get("name"):
            checks.required(f"{at}.name", "when there is more than one port")
        if port.get("name") in names:
            checks.wrong(f"{at}.name", port["name"], "another port has this name")
        names.add(port.get("name") or "")


def admit_secret(obj: Object, old: Object | None, admission: Any) -> Object:
    """`stringData` goes into `data`; what `data` holds must be base64."""
    secret, checks = copy.deepcopy(obj), Checks()
    secret.setdefault("type", "Opaque")
    for part in ("data", "stringData"):
        checks.data_keys(part, secret.get(part))
    for key, value in (secret.get("data") or {}).items():
        if not is_base64(value or ""):
            checks.wrong(f"data[{key}]", "…", "must be base64: write plain text under stringData")
    told = secret.pop("stringData", None) or {}
    if told:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in told.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}
    if old is not None:
        checks.fixed("type", secret["type"], old.get("type", "Opaque"))
        _immutable(checks, secret, old)
    for key in _WANTED.get(secret["type"], ()):
        if key not in (secret.get("data") or {}):
            checks.required(f"data[{key}]", f"for type {secret['type']}")
    checks.done("secrets", secret)
    return secret


_WANTED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def admit_configmap(obj: Object, old: Object | None, admission: Any) -> Object:
    """Texts under `data`, base64 under `binaryData`."""
    checks = Checks()
    for part in ("data", "binaryData"):
        checks.data_keys(part, obj.get(part))
    for key, value in (obj.get("binaryData") or {}).items():
        if not is_base64(value or ""):
            checks.wrong(f"binaryData[{key}]", "…", "must be base64")
    if old is not None:
        _immutable(checks, obj, old)
    checks.done("configmaps", obj)
    return obj


def _immutable(checks: Checks, new: Object, old: Object) -> None:
    if old.get("immutable"):
        for part in ("data", "binaryData", "immutable"):
            checks.fixed(part, new.get(part), old.get(part))


def admit_claim(obj: Object, old: Object | None, admission: Any) -> Object:
    """A directory of this machine; its size is a wish."""
    claim, checks = copy.deepcopy(obj), Checks()
    spec = claim.setdefault("spec", {})
    if not spec.get("accessModes"):
        checks.required(
            "spec.accessModes", "at least one of ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod"
        )
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        checks.required("spec.resources[storage]")
    checks.amounts("spec.resources.requests", (spec.get("resources") or {}).get("requests"))
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("storageClassName", "standard")
    if old is None:
        claim["status"] = {"phase": "Pending"}
    checks.done("persistentvolumeclaims", claim)
    return claim


def admit_event(obj: Object, old: Object | None, admission: Any) -> Object:
    """An event is about something in its own namespace."""
    checks = Checks()
    about = obj.get("involvedObject") or {}
    if about.get("namespace") not in (None, "", obj["metadata"].get("namespace")) and about.get("namespace"):
        checks.wrong("involvedObject.namespace", about["namespace"], "does not match event.namespace")
    checks.done("events", obj)
    return obj


def admit_route(obj: Object, old: Object | None, admission: Any) -> Object:
    """Fills in the Gateway API's defaults; a rule without match takes every path."""
    route, checks = copy.deepcopy(obj), Checks()
    spec = route.setdefault("spec", {})
    for ref in spec.get("parentRefs") or []:
        ref.setdefault("group", "gateway.networking.k8s.io")
        ref.setdefault("kind", "Gateway")
    for nth, rule in enumerate(spec.get("rules") or []):
        rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}])
        for mth, match in enumerate(rule["matches"]):
            _path(checks, match, f"spec.rules[{nth}].matches[{mth}].path")
        for mth, ref in enumerate(rule.get("backendRefs") or []):
            _backend(checks, ref, f"spec.rules[{nth}].backendRefs[{mth}]")
    checks.done("httproutes.gateway.networking.k8s.io", route)
    return route


def _path(checks: Checks, match: Object, at: str) -> None:
    path = match.setdefault("path", {"type": "PathPrefix", "value": "/"})
    path.setdefault("type", "PathPrefix")
    path.setdefault("value", "/")
    checks.one_of(f"{at}.type", path["type"], ("Exact", "PathPrefix", "RegularExpression"))
    if not str(path["value"]).startswith("/"):
        checks.wrong(f"{at}.value", path["value"], "must be an absolute path")


def _backend(checks: Checks, ref: Object, at: str) -> None:
    ref.setdefault("group", "")
    ref.setdefault("kind", "Service")
    ref.setdefault("weight", 1)
    checks.one_of(f"{at}.kind", ref["kind"], ("Service",))
    if ref.get("port") is None:
        checks.required(f"{at}.port")
    checks.at_least(f"{at}.weight", ref["weight"])
