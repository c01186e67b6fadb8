"""The Kubernetes objects of one TrainJob: an Indexed Job, its headless Service, the Secret with its progress token.

None has an ownerReference to the TrainJob: it lives in another API server, and a cluster's garbage collector would
take the owner for gone and delete them at once. Labels tie them; the finalizer sees to their end.
"""

from dataclasses import dataclass
from typing import Any

from libs.cluster import security
from services.trainer.domain import initializers, words
from services.trainer.domain.blueprint import Blueprint
from services.trainer.domain.frameworks import Framework, Layout, Shape
from services.trainer.domain.merge import by_key

TOKEN_FOLDER = "/var/run/secrets/millstream.dev/progress"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""What pods get from the job's Secret, so that who may read pods reads no keys."""

RUN_AGAIN_IF_LOST = {
    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
}
"""A pod that its node lost or drained did not fail: it is made again, and `backoffLimit` does not count it."""

PORT_FIRST, PORT_COUNT = 20000, 10000


@dataclass(frozen=True)
class Site:
    """Where jobs run: what the trainer's settings say. `initializer_image` runs the platform's own Python."""

    progress_url: str
    s3: dict[str, str]
    bucket: str
    initializer_image: str = "millstream/initializer"


def service(job: dict[str, Any]) -> dict[str, Any]:
    """Headless and open before readiness: a rendezvous needs names before anything is ready."""
    meta = job["metadata"]
    selector = {words.JOB_NAME: meta["name"]}
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(job, meta["name"]), "spec": spec}


def secret(job: dict[str, Any], token: str, site: Site) -> dict[str, Any]:
    """The token, and the object store's keys."""
    meta = _meta(job, words.token_secret(job["metadata"]["name"]))
    data = {"token": token, **{name: site.s3[name] for name in CREDENTIALS if name in site.s3}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "stringData": data}


def child_job(
    job: dict[str, Any], plan: Blueprint, framework: Framework, site: Site, ticket: int, *, restricted: bool = False
) -> dict[str, Any]:
    """`ticket` is a number that no other job running now has; it gives the rendezvous port (pods may share a host).
    `restricted` tells that the namespace lets no root in."""
    meta = job["metadata"]
    shape = framework.shape(_layout(job, plan, ticket))
    spec = {
        "completionMode": "Indexed",
        "completions": plan.num_nodes,
        "parallelism": plan.num_nodes,
        "suspend": False,
        "backoffLimit": 0,
        "podFailurePolicy": RUN_AGAIN_IF_LOST,
        **plan.job,
        "template": _pod(job, plan, shape, site, restricted),
    }
    if plan.deadline:
        spec["activeDeadlineSeconds"] = plan.deadline
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(job, words.child_job(meta["name"])),
        "spec": spec,
    }


def model_uri(job: dict[str, Any], bucket: str) -> str:
    """Where this job's model belongs; its own folder unless the job says otherwise."""
    meta = job["metadata"]
    return words.annotation(job, words.MODEL_URI) or f"s3://{bucket}/models/{meta['namespace']}/{meta['name']}/"


def dataset_uri(job: dict[str, Any]) -> str | None:
    dataset = (job["spec"].get("initializer") or {}).get("dataset") or {}
    return words.annotation(job, words.DATASET_URI) or dataset.get("storageUri") or None


def labels(job: dict[str, Any]) -> dict[str, str]:
    name = job["metadata"]["name"]
    return {
        **words.MANAGED_BY,
        words.JOB_NAME: name,
        words.REPLICATED_JOB: words.NODE,
        words.JOB_INDEX: "0",
        words.ANCESTOR_STEP: words.TRAINER_STEP,
        words.UID: job["metadata"]["uid"],
    }


def _layout(job: dict[str, Any], plan: Blueprint, ticket: int) -> Layout:
    name = job["metadata"]["name"]
    return Layout(
        name=name,
        service=name,
        num_nodes=plan.num_nodes,
        cpu=float(plan.asks.get("cpu", "1")),
        devices=plan.devices,
        num_proc_per_node=plan.num_proc_per_node,
        port=PORT_FIRST + ticket % PORT_COUNT,
    )


def _meta(job: dict[str, Any], name: str) -> dict[str, Any]:
    return {"name": name, "namespace": job["metadata"]["namespace"], "labels": labels(job)}


def _pod(job: dict[str, Any], plan: Blueprint, shape: Shape, site: Site, restricted: bool) -> dict[str, Any]:
    """Users' code gets no key to the API unless it brings an account: reporting progress takes the job's own token."""
    spec = security.with_defaults(plan.pod["spec"], restricted=restricted)
    spec |= {"restartPolicy": "Never", "subdomain": job["metadata"]["name"]}
    spec.setdefault("terminationGracePeriodSeconds", 10)
    if not spec.get("serviceAccountName"):
        spec.setdefault("automountServiceAccountToken", False)
    spec["containers"] = [_node(job, c, shape, site) if c["name"] == words.NODE else c for c in spec["containers"]]
    spec["volumes"] = by_key(spec.get("volumes") or [], _volumes(job), "name")
    downloads = initializers.containers(job, _s3_env(job, site), site.initializer_image)
    if downloads:
        spec["initContainers"] = [*downloads, *(spec.get("initContainers") or [])]
    given = plan.pod.get("metadata") or {}
    meta = {"labels": {**(given.get("labels") or {}), **labels(job)}, "annotations": given.get("annotations") or {}}
    return {"metadata": meta, "spec": spec}


def _node(job: dict[str, Any], container: dict[str, Any], shape: Shape, site: Site) -> dict[str, Any]:
    """The job's own variables win over the platform's, the framework's over both: a wrong rank helps nobody."""
    env = by_key(by_key(_platform_env(job, site), container.get("env") or [], "name"), shape.env, "name")
    mounts = [{"name": "progress", "mountPath": TOKEN_FOLDER, "readOnly": True}]
    mounts += initializers.mounts(job)
    return {
        **container,
        "env": env,
        "ports": by_key(container.get("ports") or [], shape.ports, "name"),
        "volumeMounts": by_key(container.get("volumeMounts") or [], mounts, "mountPath"),
        # The last lines of the log become the message of a failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _platform_env(job: dict[str, Any], site: Site) -> list[dict[str, Any]]:
    meta, data = job["metadata"], dataset_uri(job)
    path = f"{meta['namespace']}/trainjobs/{meta['name']}/status"
    env = {
        "MILLSTREAM_JOB_NAME": meta["name"],
        "MILLSTREAM_JOB_NAMESPACE": meta["namespace"],
        "MILLSTREAM_JOB_UID": meta["uid"],
        "MILLSTREAM_MODEL_URI": model_uri(job, site.bucket),
        **({"MILLSTREAM_DATASET_URI": data} if data else {}),
        "KUBEFLOW_TRAINER_SERVER_URL": f"{site.progress_url}/{path}",
        "KUBEFLOW_TRAINER_SERVER_TOKEN": f"{TOKEN_FOLDER}/token",
        "KUBEFLOW_TRAINER_SERVER_CA_CERT": f"{TOKEN_FOLDER}/ca.crt",
    }
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{words.COMPLETION_INDEX}']"}}
    told = [{"name": name, "value": value} for name, value in env.items()]
    return [*told, {"name": "JOB_COMPLETION_INDEX", "valueFrom": rank}, *_s3_env(job, site)]


def _s3_env(job: dict[str, Any], site: Site) -> list[dict[str, Any]]:
    """Addresses in clear, keys by reference."""
    holder = words.token_secret(job["metadata"]["name"])
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": holder, "key": name}}}
        if name in CREDENTIALS
        else {"name": name, "value": value}
        for name, value in site.s3.items()
    ]


def _volumes(job: dict[str, Any]) -> list[dict[str, Any]]:
    token = {
        "name": "progress",
        "secret": {"secretName": words.token_secret(job["metadata"]["name"]), "items": [_TOKEN]},
    }
    return [token, *initializers.volumes(job)]


_TOKEN = {"key": "token", "path": "token"}
