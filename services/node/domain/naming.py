"""Which names resolve to which addresses, and which pods stand behind a Service; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.node.domain.owned import active, deleting, phase, ready

Object = dict[str, Any]
ZONE = "svc.cluster.local"
ENDPOINTS_ZONE = "endpoints.cluster.local"


@dataclass(frozen=True)
class Endpoint:
    """One address behind a service port."""

    ip: str
    port: int
    pod: str
    ready: bool


@dataclass(frozen=True)
class HostLine:
    """One line of a hosts file."""

    ip: str
    names: tuple[str, ...]


def selects(selector: Object | None, labels: Object | None) -> bool:
    """Equality selector of a Service; an empty one selects nothing."""
    return bool(selector) and all((labels or {}).get(k) == v for k, v in (selector or {}).items())


def matches(selector: Object | None, labels: Object | None) -> bool:
    """LabelSelector of a workload: `matchLabels` and `matchExpressions`."""
    known = labels or {}
    wanted = selector or {}
    if any(known.get(k) != v for k, v in (wanted.get("matchLabels") or {}).items()):
        return False
    return all(_expression(e, known) for e in wanted.get("matchExpressions") or [])


def _expression(expression: Object, labels: Object) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(key) in values and key in labels,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(expression.get("operator", ""), False)


def behind(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The pods of a service that have an address, in a stable order; finished ones are gone."""
    meta, selector = service["metadata"], service["spec"].get("selector")
    chosen = [
        p for p in pods
        if p["metadata"]["namespace"] == meta["namespace"] and selects(selector, p["metadata"].get("labels"))
        and (p.get("status") or {}).get("podIP") and phase(p) not in ("Succeeded", "Failed")
    ]  # fmt: skip
    return sorted(chosen, key=lambda p: p["metadata"]["name"])


def target_port(port: Object, pod: Object) -> int | None:
    """The number of a service port on one pod; a named target is looked up in the pod's containers."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int) or str(target).isdigit():
        return int(target)
    for container in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]:
        for declared in container.get("ports") or []:
            if declared.get("name") == target:
                return int(declared["containerPort"])
    return None


def endpoints(service: Object, port: Object, pods: Iterable[Object]) -> list[Endpoint]:
    """Every address of a service port; `ready` ones may receive traffic."""
    early = bool(service["spec"].get("publishNotReadyAddresses"))
    found = []
    for pod in behind(service, pods):
        number = target_port(port, pod)
        if number is not None:
            open_ = ready(pod) or (early and not deleting(pod))
            found.append(Endpoint(pod["status"]["podIP"], number, pod["metadata"]["name"], open_))
    return found


def hosts(namespace: str, services: Sequence[Object], pods: Sequence[Object]) -> tuple[HostLine, ...]:
    """All names that a pod of `namespace` can resolve, in a stable order."""
    lines: list[HostLine] = []
    for service in sorted(services, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"])):
        lines += _lines(namespace, service, pods)
    return tuple(lines)


def _lines(namespace: str, service: Object, pods: Sequence[Object]) -> list[HostLine]:
    ip = service["spec"].get("clusterIP")
    name, home = service["metadata"]["name"], service["metadata"]["namespace"]
    if ip and ip != "None":
        return [HostLine(ip, spellings(name, home, namespace))]
    if ip != "None":
        return []
    early = bool(service["spec"].get("publishNotReadyAddresses"))
    lines = []
    for pod in behind(service, pods):
        if not (ready(pod) or (early and active(pod))):
            continue
        own = spellings(name, home, namespace)
        if pod["spec"].get("subdomain") == name:
            host = f"{pod['spec'].get('hostname') or pod['metadata']['name']}.{name}"
            own = (*spellings(host, home, namespace), *own)
        lines.append(HostLine(pod["status"]["podIP"], own))
    return lines


def spellings(name: str, home: str, seen_from: str) -> tuple[str, ...]:
    """A service name as it may be written from another namespace; the bare name only from its own."""
    full = (f"{name}.{home}.{ZONE}", f"{name}.{home}", f"{name}.{home}.svc")
    return (*full, name) if home == seen_from else full


def endpoints_name(service: str, namespace: str) -> str:
    """The name whose addresses are the ready pods of a service, whatever its cluster address is."""
    return f"{service}.{namespace}.{ENDPOINTS_ZONE}"


def resolve(name: str, services: Sequence[Object], pods: Sequence[Object]) -> list[str] | None:
    """The addresses of a full name in one of our two zones; None when there is no such service or pod name."""
    if name.endswith("." + ENDPOINTS_ZONE):
        service, _, namespace = name.removesuffix("." + ENDPOINTS_ZONE).partition(".")
        found = next((s for s in services if _is(s, namespace, service)), None)
        return None if found is None else [p["status"]["podIP"] for p in behind(found, pods) if ready(p)]
    if not name.endswith("." + ZONE):
        return None
    named = [line.ip for line in hosts("", services, pods) if name in line.names]
    bare = name.removesuffix("." + ZONE).split(".")
    known = len(bare) == 2 and any(_is(s, bare[1], bare[0]) for s in services)
    return named if named or known else None


def _is(service: Object, namespace: str, name: str) -> bool:
    meta = service["metadata"]
    return bool(meta["namespace"] == namespace and meta["name"] == name)
