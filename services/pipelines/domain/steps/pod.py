"""The pod of one attempt of one step: one container that begins with the launcher; nothing is started here.

Its name is the attempt's own, so starting an attempt twice makes one pod.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256

from services.pipelines.domain.steps.attached import Attached, attached
from services.pipelines.domain.steps.naming import label_value, pod_name
from services.pipelines.domain.steps.places import MOUNT, WORKSPACE
from services.pipelines.domain.steps.tokens import namespace_key
from services.pipelines.domain.steps.values import Json, StepOrder

RUN, TASK, ATTEMPT, NAME = (
    "millstream.dev/run",
    "millstream.dev/task",
    "millstream.dev/attempt",
    "millstream.dev/task-name",
)
MANAGED_BY, MANAGER = "app.kubernetes.io/managed-by", "millstream-pipelines"
KFP_RUN = "pipeline/runid"
"""KFP's own label, by which people and tools find the pods of a run."""
KEYS = "pipeline-steps"
"""The Secret with the namespace's key."""
CACHE = "pipeline-environments"
"""The claim in which a namespace's environments are kept where the place of installation shares one."""
LAUNCHER = "/var/run/millstream/launcher"
CACHE_MOUNT = "/var/run/millstream/environments"
CONTAINER = "main"


@dataclass(frozen=True)
class Site:
    """What all pods of an installation are told. `url` is the pipelines service as pods reach it, `gateway` the
    platform's API for components that speak to it, `launcher` the bytes of the launcher. With `shares_environments`
    every namespace has a claim that all of its pods can write."""

    url: str
    gateway: str
    launcher: bytes
    shares_environments: bool = False
    service_account: str = ""
    keep_environments_s: float = 30 * 86_400.0
    """In that claim, after its last use."""
    restricted: bool = False
    """Pods are as the Pod Security Standard `restricted` asks for."""
    run_as: Json = field(default_factory=dict)
    """`runAsUser` and the like, for all steps: it counts before what a pipeline asks for."""

    @property
    def launcher_name(self) -> str:
        """The ConfigMap's name: a new release brings another one, and pods of the old one keep theirs."""
        return f"pipeline-launcher-{sha256(self.launcher).hexdigest()[:12]}"


def pod(order: StepOrder, site: Site, service_account: str = "") -> Json:
    """`service_account` is what the run asked for."""
    extra = attached(order.platform)
    spec = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "containers": [_container(order, site, extra)],
        "volumes": [*_volumes(order, site), *extra.volumes],
        **extra.spec,
        **_security(site, extra),
    }
    if account := service_account or site.service_account:
        spec["serviceAccountName"] = account
    labels = {
        **extra.labels,
        MANAGED_BY: MANAGER,
        RUN: order.run_id,
        KFP_RUN: order.run_id,
        TASK: order.uid,
        ATTEMPT: str(order.attempt),
        NAME: label_value(order.name),
    }
    name = pod_name(order.run_id, order.name, order.path, order.attempt)
    metadata = {"name": name, "namespace": order.namespace, "labels": labels}
    if extra.annotations:
        metadata["annotations"] = extra.annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _container(order: StepOrder, site: Site, extra: Attached) -> Json:
    found: Json = {
        "name": CONTAINER,
        "image": order.image,
        "command": ["python3", f"{LAUNCHER}/launcher.pyz"],
        "env": [*_told(order, site), *component_env(order), *extra.env, *_own(order, site)],
        "volumeMounts": [
            {"name": "millstream-files", "mountPath": MOUNT},
            {"name": "millstream-launcher", "mountPath": LAUNCHER, "readOnly": True},
            *([{"name": "millstream-environments", "mountPath": CACHE_MOUNT}] if site.shares_environments else []),
            *([{"name": "kfp-workspace", "mountPath": WORKSPACE}] if order.workspace else []),
            *extra.mounts,
        ],
        **extra.container,
        **_container_security(site, extra),
    }
    return {**found, "resources": order.resources} if order.resources else found


def _security(site: Site, extra: Attached) -> Json:
    """Of the pod; files that pods share are then of the group, so that a user other than root can write them."""
    ours: Json = dict(site.run_as)
    if group := site.run_as.get("runAsGroup"):
        ours["fsGroup"] = group
    if site.restricted:
        ours |= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"securityContext": {**(extra.spec.get("securityContext") or {}), **ours}} if ours else {}


def _container_security(site: Site, extra: Attached) -> Json:
    """Of the container, whose word would count before the pod's."""
    asked = extra.container.get("securityContext") or {}
    ours: Json = {name: value for name, value in site.run_as.items() if name in asked}
    if site.restricted:
        ours |= {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    return {"securityContext": {**asked, **ours}} if ours or asked else {}


def _steers(name: str) -> bool:
    """Whether a variable would change how the launcher itself starts, or what it believes."""
    return name == "PATH" or name.startswith(("PYTHON", "LD_", "MILLSTREAM_STEP_", "MILLSTREAM_WARM"))


def component_env(order: StepOrder) -> list[Json]:
    """What the component asks for. What would steer the launcher too is left to it, for the step's program alone."""
    steering = {name: value for name, value in order.env if _steers(name)}
    found: list[Json] = [{"name": name, "value": value} for name, value in order.env if name not in steering]
    if steering:  # nothing in it is a reference to another variable
        found.append({"name": "MILLSTREAM_STEP_ENV", "value": json.dumps(steering).replace("$(", "$$(")})
    return found


def _own(order: StepOrder, site: Site) -> list[Json]:
    """The launcher's own variables, which it takes away before the step's program begins; they stand last, so that
    nobody else's count."""
    key: Json = {"secretKeyRef": {"name": KEYS, "key": "key"}}
    step = f"{site.url}/pipelines/v1/steps/{order.namespace}/{order.uid}/{order.attempt}"
    own: list[Json] = [
        {"name": "MILLSTREAM_STEP_URL", "value": step},
        {"name": "MILLSTREAM_STEP_KEY", "valueFrom": key},
        {"name": "MILLSTREAM_STEP_ROOT", "value": MOUNT},
    ]
    if "torch" not in order.image:  # a laptop's node then forks the launcher from a small process
        own.append({"name": "MILLSTREAM_WARM", "value": "python"})
    if site.shares_environments:
        own.append({"name": "MILLSTREAM_STEP_CACHE", "value": CACHE_MOUNT})
        own.append({"name": "MILLSTREAM_STEP_KEEP_S", "value": f"{site.keep_environments_s:.0f}"})
    return own


def _told(order: StepOrder, site: Site) -> list[Json]:
    """KFP's variables, the platform's address, and which task this is: what the step makes may say so in a label."""
    fields = {"KFP_POD_NAME": "metadata.name", "KFP_POD_UID": "metadata.uid", "NAMESPACE": "metadata.namespace"}
    named = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    told = {"KFP_RUN_ID": order.run_id, "MILLSTREAM_URL": site.gateway, "MILLSTREAM_TASK_ID": order.uid}
    return [*named, *({"name": name, "value": value} for name, value in told.items())]


def _volumes(order: StepOrder, site: Site) -> list[Json]:
    launcher = {"name": site.launcher_name, "items": [{"key": "launcher.pyz", "path": "launcher.pyz"}]}
    found: list[Json] = [
        {"name": "millstream-files", "emptyDir": {}},
        {"name": "millstream-launcher", "configMap": launcher},
    ]
    if site.shares_environments:
        found.append({"name": "millstream-environments", "persistentVolumeClaim": {"claimName": CACHE}})
    if order.workspace:
        claim = order.workspace["metadata"]["name"]
        found.append({"name": "kfp-workspace", "persistentVolumeClaim": {"claimName": claim}})
    return found


def namespace_objects(namespace: str, site: Site, secret: bytes) -> list[Json]:
    """What must be in a namespace before its first step's pod; the same at every call. `secret` is the service's."""
    marks = {MANAGED_BY: MANAGER}
    key = namespace_key(secret, namespace)
    found: list[Json] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEYS, "namespace": namespace, "labels": marks},
            "data": {"key": b64encode(key.encode()).decode()},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": site.launcher_name, "namespace": namespace, "labels": marks},
            "binaryData": {"launcher.pyz": b64encode(site.launcher).decode()},
        },
    ]
    if site.shares_environments:
        claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "20Gi"}}}
        found.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": CACHE, "namespace": namespace, "labels": marks},
                "spec": claim,
            }
        )
    return found
