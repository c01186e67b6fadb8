"""The built-in kinds as this node serves them; declared once, used by the API and the controllers alike."""

from datetime import datetime
from typing import Any

from libs.resources.kinds import Column, Kind, Object, Scale
from services.node.domain.admission import core, pods, workloads
from services.node.domain.protobuf import MESSAGES
from services.node.domain.route_schema import route_schema
from services.node.domain.schemas import schema

KUBELET, CONTENT = "millstream.dev/kubelet", "millstream.dev/namespace-content"


def _ready(pod: Object, now: datetime) -> str:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return f"{sum(bool(s['ready']) for s in statuses)}/{len(pod['spec'].get('containers') or [])}"


def _restarts(pod: Object, now: datetime) -> int:
    return sum(int(s["restartCount"]) for s in (pod.get("status") or {}).get("containerStatuses") or [])


def _pod_state(pod: Object, now: datetime) -> str:
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for prefix, part in (("Init:", "initContainerStatuses"), ("", "containerStatuses")):
        for one in status.get(part) or []:
            state = one.get("state") or {}
            found = (state.get("waiting") or {}).get("reason") or (state.get("terminated") or {}).get("reason")
            if found and found not in ("PodInitializing", "Completed"):
                return prefix + str(found)
    return {"Succeeded": "Completed"}.get(
        status.get("phase", ""), status.get("reason") or status.get("phase") or "Unknown"
    )


def _job_state(job: Object, now: datetime) -> str:
    told = (job.get("status") or {}).get("conditions") or []
    for kind in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if any(c["type"] == kind and c["status"] == "True" for c in told):
            return kind
    return "Running"


def _completions(job: Object, now: datetime) -> str:
    wanted = job["spec"].get("completions")
    return f"{(job.get('status') or {}).get('succeeded', 0)}/{1 if wanted is None else wanted}"


def _replicas(obj: Object, now: datetime) -> str:
    return f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"


def _ports(service: Object, now: datetime) -> str:
    return ",".join(f"{p['port']}/{p.get('protocol', 'TCP')}" for p in service["spec"].get("ports") or []) or "<none>"


def _count(field: str) -> Any:
    return lambda obj, now: len(obj.get(field) or {})


def _node_state(node: Object, now: datetime) -> str:
    told = (node.get("status") or {}).get("conditions") or []
    return "Ready" if any(c["type"] == "Ready" and c["status"] == "True" for c in told) else "NotReady"


def _about(event: Object, now: datetime) -> str:
    about = event.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _text(name: str, value: Any, priority: int = 0) -> Column:
    return Column(name, "string", value, priority)


def _selector(obj: Object) -> str:
    return ",".join(f"{k}={v}" for k, v in ((obj["spec"].get("selector") or {}).get("matchLabels") or {}).items())


def _core(kind: str, plural: str, singular: str, **more: Any) -> Kind:
    more.setdefault("categories", ())
    messages = MESSAGES if kind in MESSAGES else None
    return Kind("", "v1", kind, plural, singular, schema=schema(kind), protobuf=messages, **more)


SCALE = Scale(selector=_selector)

NAMESPACE = _core(
    "Namespace", "namespaces", "namespace", namespaced=False, short_names=("ns",), finalizer=CONTENT,
    admit=core.admit_namespace, columns=(_text("Status", ".status.phase"),), name_is_label=True,
)  # fmt: skip
NODE = _core(
    "Node", "nodes", "node", namespaced=False, short_names=("no",),
    columns=(_text("Status", _node_state), _text("Version", ".status.nodeInfo.kubeletVersion")),
)  # fmt: skip
POD = _core(
    "Pod", "pods", "pod", short_names=("po",), categories=("all",), finalizer=KUBELET, admit=pods.admit_pod,
    columns=(
        _text("Ready", _ready), _text("Status", _pod_state), Column("Restarts", "integer", _restarts),
        Column("Age", "date", ".metadata.creationTimestamp"), _text("IP", ".status.podIP", 1),
        _text("Node", ".spec.nodeName", 1),
    ),
)  # fmt: skip
SERVICE = _core(
    "Service", "services", "service", short_names=("svc",), categories=("all",), admit=core.admit_service,
    name_is_label=True,
    columns=(_text("Type", ".spec.type"), _text("Cluster-IP", ".spec.clusterIP"), _text("Port(s)", _ports)),
)  # fmt: skip
CONFIGMAP = _core(
    "ConfigMap", "configmaps", "configmap", short_names=("cm",), status_subresource=False, admit=core.admit_configmap,
    columns=(Column("Data", "integer", _count("data")),),
)  # fmt: skip
SECRET = _core(
    "Secret", "secrets", "secret", status_subresource=False, admit=core.admit_secret,
    columns=(_text("Type", ".type"), Column("Data", "integer", _count("data"))),
)  # fmt: skip
CLAIM = _core(
    "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim", short_names=("pvc",),
    admit=core.admit_claim,
    columns=(
        _text("Status", ".status.phase"), _text("Volume", ".spec.volumeName"),
        _text("Capacity", ".status.capacity.storage"), _text("StorageClass", ".spec.storageClassName"),
    ),
)  # fmt: skip
ACCOUNT = _core("ServiceAccount", "serviceaccounts", "serviceaccount", short_names=("sa",), status_subresource=False)
EVENT = _core(
    "Event", "events", "event", short_names=("ev",), status_subresource=False, admit=core.admit_event,
    only_columns=True,
    columns=(
        Column("Last Seen", "date", ".lastTimestamp"), _text("Type", ".type"), _text("Reason", ".reason"),
        _text("Object", _about), _text("Message", ".message"),
    ),
)  # fmt: skip
JOB = Kind(
    "batch", "v1", "Job", "jobs", "job", schema=schema("Job"), protobuf=MESSAGES, admit=workloads.admit_job,
    columns=(_text("Status", _job_state), _text("Completions", _completions)),
)  # fmt: skip
DEPLOYMENT = Kind(
    "apps", "v1", "Deployment", "deployments", "deployment", schema=schema("Deployment"), short_names=("deploy",),
    protobuf=MESSAGES, admit=workloads.admit_deployment, scale=SCALE,
    columns=(
        _text("Ready", _replicas), Column("Up-to-date", "integer", ".status.updatedReplicas"),
        Column("Available", "integer", ".status.availableReplicas"),
    ),
)  # fmt: skip
STATEFULSET = Kind(
    "apps", "v1", "StatefulSet", "statefulsets", "statefulset", schema=schema("StatefulSet"), short_names=("sts",),
    admit=workloads.admit_statefulset, scale=SCALE, columns=(_text("Ready", _replicas),),
)  # fmt: skip
ROUTE = Kind(
    "gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", "httproute", schema=route_schema(), categories=(),
    admit=core.admit_route, columns=(_text("Hostnames", ".spec.hostnames"),),
)  # fmt: skip

KINDS = (
    NAMESPACE, NODE, POD, SERVICE, CONFIGMAP, SECRET, CLAIM, ACCOUNT, EVENT, JOB, DEPLOYMENT, STATEFULSET, ROUTE,
)  # fmt: skip
