"""The cluster objects of one predictor: Deployment, Service and HTTPRoute; the same input gives the same objects."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from contracts.queueing import placed
from libs.cluster import security
from services.serving.domain.predictor import CLAIM_FOLDER, Predictor

HTTP_PORT, GRPC_PORT = 8080, 8081
ISVC_LABEL = "serving.kserve.io/inferenceservice"
REVISION_LABEL = "serving.millstream.dev/revision"
CONTAINER = "kserve-container"
SCRATCH = "/scratch"
"""The one folder that a predictor writes to: models are downloaded there. Not /tmp, which a model may be read from."""
SILENT = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime would report to its makers over the internet, and keep files for that."""
DRAIN_S, GRACE_S, TERMINATION_S = 3, 20, 30

Object = dict[str, Any]


@dataclass(frozen=True)
class Surroundings:
    """What is the same for all predictors: where routes attach, the public address, and the S3 store's variables.

    Without `has_routes` no HTTPRoutes are made: the gateway itself passes requests on to predictors.
    """

    public_url: str
    edge_namespace: str
    edge_name: str = "edge"
    storage_env: tuple[tuple[str, str], ...] = ()
    image: str = "millstream/model-server"
    has_routes: bool = True


def predictor_name(name: str) -> str:
    return f"{name}-predictor"


def path_of(isvc: Object) -> str:
    return f"/serving/{isvc['metadata']['namespace']}/{isvc['metadata']['name']}"


def url_of(isvc: Object, around: Surroundings) -> str:
    return around.public_url.rstrip("/") + path_of(isvc)


def workloads(isvc: Object, wanted: Predictor, around: Surroundings) -> list[Object]:
    """In the order in which they should be made: routes last, so none leads nowhere for long."""
    made = [_deployment(isvc, wanted, around), _service(isvc)]
    return [*made, _route(isvc, wanted, around)] if around.has_routes else made


def revision_of(deployment: Object) -> str:
    """`<deployment>-<hash of the pod template>`: a new one for every change that replaces pods."""
    return f"{deployment['metadata']['name']}-{deployment['spec']['template']['metadata']['labels'][REVISION_LABEL]}"


def _labels(isvc: Object) -> dict[str, str]:
    name = isvc["metadata"]["name"]
    # KServe's label, as long as a label may be; which service it is, the second one tells.
    return {"app": f"isvc.{name}-predictor"[:63].rstrip("-."), ISVC_LABEL: name, "component": "predictor"}


def _metadata(isvc: Object) -> Object:
    owner = {
        "apiVersion": isvc["apiVersion"],
        "kind": isvc["kind"],
        "name": isvc["metadata"]["name"],
        "uid": isvc["metadata"]["uid"],
    }
    return {
        "name": predictor_name(isvc["metadata"]["name"]),
        "namespace": isvc["metadata"]["namespace"],
        "labels": _labels(isvc),
        "annotations": {"millstream.dev/owner": json.dumps(owner, sort_keys=True)},
    }


def _deployment(isvc: Object, wanted: Predictor, around: Surroundings) -> Object:
    template = placed(template_of(isvc, wanted, around), wanted.assignment)
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]
    template["metadata"]["labels"][REVISION_LABEL] = digest
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(isvc),
        "spec": {
            "replicas": wanted.replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": _labels(isvc)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _pace(wanted)},
            "template": template,
        },
    }


def _pace(wanted: Predictor) -> Object:
    """A new pod is ready before an old one goes: no moment without an answer. Under a quota, which no pod may exceed,
    an old one has to go first."""
    queued = wanted.assignment is not None
    return {"maxUnavailable": int(queued), "maxSurge": int(not queued)}


def template_of(isvc: Object, wanted: Predictor, around: Surroundings) -> Object:
    """The pod template before the scheduler assigned anything."""
    pod: Object = {
        **wanted.pod,
        "terminationGracePeriodSeconds": TERMINATION_S,
        "automountServiceAccountToken": False,
        "securityContext": security.platform_pod(),
        "containers": [_container(isvc, wanted, around)],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    if wanted.claim:
        claim = {"claimName": wanted.claim, "readOnly": True}
        pod["volumes"].append({"name": "model", "persistentVolumeClaim": claim})
    labels = {**wanted.labels, **_labels(isvc)}
    metadata: Object = {"labels": labels}
    if wanted.annotations:
        metadata["annotations"] = dict(wanted.annotations)
    return {"metadata": metadata, "spec": pod}


def _container(isvc: Object, wanted: Predictor, around: Surroundings) -> Object:
    made: Object = {
        "name": CONTAINER,
        "image": around.image,
        "command": ["python", "-m", "services.serving.workloads.model_server"],
        "args": _arguments(isvc, wanted),
        "env": _environment(wanted, around),
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT},
            {"name": "grpc", "containerPort": GRPC_PORT},
        ],
        "resources": wanted.resources,
        "readinessProbe": _probe("/v2/health/ready", period_s=1, failures=3),
        "livenessProbe": _probe("/v2/health/live", period_s=10, failures=12),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
        "securityContext": security.platform_container(),
    }
    if wanted.claim:
        made["volumeMounts"].append({"name": "model", "mountPath": CLAIM_FOLDER, "readOnly": True})
    return made


def _arguments(isvc: Object, wanted: Predictor) -> list[str]:
    options = {
        "model-name": isvc["metadata"]["name"],
        "model-version": wanted.version,
        "storage-uri": wanted.uri,
        "format": wanted.format,
        "http-port": HTTP_PORT,
        "grpc-port": GRPC_PORT,
        "threads": wanted.threads,
        "drain-seconds": DRAIN_S,
        "grace-seconds": GRACE_S,
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _environment(wanted: Predictor, around: Surroundings) -> list[Object]:
    """The user's own variables win over the platform's."""
    own = {entry["name"] for entry in wanted.env}
    storage = around.storage_env if wanted.uri.startswith("s3://") else ()
    fixed = {"OMP_NUM_THREADS": str(wanted.threads), "TMPDIR": SCRATCH, **SILENT}
    given = [*fixed.items(), *storage]
    made: list[Object] = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    made += [{"name": name, "value": value} for name, value in given if name not in own]
    return [*made, *wanted.env]


def _probe(path: str, *, period_s: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": HTTP_PORT},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _service(isvc: Object) -> Object:
    ports = [
        {"name": "http", "port": 80, "targetPort": HTTP_PORT, "protocol": "TCP"},
        {"name": "grpc", "port": GRPC_PORT, "targetPort": GRPC_PORT, "protocol": "TCP"},
    ]
    spec = {"selector": _labels(isvc), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(isvc), "spec": spec}


def _route(isvc: Object, wanted: Predictor, around: Surroundings) -> Object:
    rule: Object = {
        "matches": [{"path": {"type": "PathPrefix", "value": path_of(isvc)}}],
        "filters": [
            {
                "type": "URLRewrite",
                "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
            }
        ],
        "backendRefs": [{"name": predictor_name(isvc["metadata"]["name"]), "port": 80}],
    }
    if wanted.timeout_s:
        rule["timeouts"] = {"request": f"{wanted.timeout_s}s"}
    parent = {"name": around.edge_name, "namespace": around.edge_namespace}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(isvc),
        "spec": {"parentRefs": [parent], "rules": [rule]},
    }
