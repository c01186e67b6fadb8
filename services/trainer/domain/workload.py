"""The Kubernetes objects of one TrainJob: an Indexed Job for each role of its pods, mostly one; their headless Service;
the Secret with the job's token and files.

None has an ownerReference to the TrainJob: it lives in another API server, and a cluster's garbage collector would
take the owner for gone and delete them at once. Labels tie them; the finalizer sees to their end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from libs.cluster import security
from services.trainer.domain import initializers, placement, words
from services.trainer.domain.blueprint import Blueprint
from services.trainer.domain.elastic import elasticity
from services.trainer.domain.frameworks import Framework, Layout, Role, Shape
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


def secret(job: dict[str, Any], token: str, site: Site, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The token, the object store's keys, and what the framework has its pods read."""
    meta = _meta(job, words.token_secret(job["metadata"]["name"]))
    data = {"token": token, **{name: site.s3[name] for name in CREDENTIALS if name in site.s3}}
    data |= {_key(path): text for path, text in (files or {}).items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "Opaque", "stringData": data}


def shape_of(job: dict[str, Any], plan: Blueprint, framework: Framework, ticket: int) -> Shape:
    """What the framework makes of this job. `ticket` is a number that no other job running now has; it gives the
    rendezvous port (pods may share a host)."""
    return framework.shape(_layout(job, plan, framework.policy, ticket))


def child_jobs(
    job: dict[str, Any], plan: Blueprint, shape: Shape, site: Site, *, restricted: bool = False
) -> list[dict[str, Any]]:
    """One Job for each role, the one whose end is the TrainJob's end first. `restricted` tells that the namespace lets
    no root in."""
    job = initializers.completed(job, plan.initializer)
    parts = [role for role in shape.parts(plan.num_nodes) if role.count]
    return [_child(job, plan, shape, role, site, restricted, leads=role is parts[0]) for role in parts]


def child_job(
    job: dict[str, Any], plan: Blueprint, framework: Framework, site: Site, ticket: int, *, restricted: bool = False
) -> dict[str, Any]:
    """The Job that runs the user's command."""
    return child_jobs(job, plan, shape_of(job, plan, framework, ticket), site, restricted=restricted)[0]


def _child(
    job: dict[str, Any], plan: Blueprint, shape: Shape, role: Role, site: Site, restricted: bool, *, leads: bool
) -> dict[str, Any]:
    template = placement.placed(job, plan.lead if leads and plan.lead else plan.pod, role.name)
    spec = {
        "completionMode": "Indexed",
        "completions": role.count,
        "parallelism": role.count,
        "suspend": False,
        "backoffLimit": shape.spares,
        "podFailurePolicy": RUN_AGAIN_IF_LOST,
        **plan.job,
        "template": _pod(job, template, shape, role, site, restricted),
    }
    if plan.deadline:
        spec["activeDeadlineSeconds"] = plan.deadline
    name = words.child_job(job["metadata"]["name"], role.name)
    meta = _meta(job, name, role.name)
    meta["labels"] |= placement.mark(job)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def model_uri(job: dict[str, Any], bucket: str) -> str:
    """Where this job's model belongs; its own folder unless the job says otherwise."""
    meta = job["metadata"]
    return words.annotation(job, words.MODEL_URI) or f"s3://{bucket}/models/{meta['namespace']}/{meta['name']}/"


def dataset_uri(job: dict[str, Any]) -> str | None:
    dataset = (job["spec"].get("initializer") or {}).get("dataset") or {}
    return words.annotation(job, words.DATASET_URI) or dataset.get("storageUri") or None


def checkpoint_uri(job: dict[str, Any], bucket: str) -> str:
    """Where this job keeps what it goes on from; another job of the same name has a folder of its own."""
    meta = job["metadata"]
    return f"s3://{bucket}/checkpoints/{meta['namespace']}/{meta['name']}-{meta['uid'][:8]}/"


def labels(job: dict[str, Any], role: str = words.NODE) -> dict[str, str]:
    name = job["metadata"]["name"]
    return {
        **words.MANAGED_BY,
        words.JOB_NAME: name,
        words.REPLICATED_JOB: role,
        words.JOB_INDEX: "0",
        words.ANCESTOR_STEP: words.TRAINER_STEP,
        words.UID: job["metadata"]["uid"],
    }


def _layout(job: dict[str, Any], plan: Blueprint, policy: str, ticket: int) -> Layout:
    name, own = job["metadata"]["name"], plan.policy.get(policy) or {}
    return Layout(
        name=name,
        service=name,
        num_nodes=plan.num_nodes,
        cpu=float(plan.asks.get("cpu", "1")),
        devices=plan.devices,
        num_proc_per_node=plan.num_proc_per_node,
        port=PORT_FIRST + ticket % PORT_COUNT,
        policy=own,
        **elasticity(job, own),
    )


def _meta(job: dict[str, Any], name: str, role: str = words.NODE) -> dict[str, Any]:
    return {"name": name, "namespace": job["metadata"]["namespace"], "labels": labels(job, role)}


def _pod(
    job: dict[str, Any], template: dict[str, Any], shape: Shape, role: Role, site: Site, restricted: bool
) -> dict[str, Any]:
    """Users' code gets no key to the API unless it brings an account: reporting progress takes the job's own token."""
    spec = security.with_defaults(template["spec"], restricted=restricted)
    spec |= {"restartPolicy": "Never", "subdomain": job["metadata"]["name"]}
    spec.setdefault("terminationGracePeriodSeconds", 10)
    if not spec.get("serviceAccountName"):
        spec.setdefault("automountServiceAccountToken", False)
    spec["containers"] = [
        _node(job, c, shape, role, site) if c["name"] == words.NODE else c for c in spec["containers"]
    ]
    spec["volumes"] = by_key(spec.get("volumes") or [], _volumes(job, shape), "name")
    downloads = initializers.containers(job, _s3_env(job, site), site.initializer_image)
    if downloads:
        spec["initContainers"] = [*downloads, *(spec.get("initContainers") or [])]
    given = template.get("metadata") or {}
    own = labels(job, role.name)
    meta = {"labels": {**(given.get("labels") or {}), **own}, "annotations": given.get("annotations") or {}}
    return {"metadata": meta, "spec": spec}


def _node(job: dict[str, Any], container: dict[str, Any], shape: Shape, role: Role, site: Site) -> dict[str, Any]:
    """The job's own variables win over the platform's, the framework's over both: a wrong rank helps nobody."""
    env = by_key(by_key(_platform_env(job, site), container.get("env") or [], "name"), shape.env, "name")
    mounts = [{"name": "progress", "mountPath": TOKEN_FOLDER, "readOnly": True}]
    mounts += [{"name": name, "mountPath": folder, "readOnly": True} for name, folder in _folders(shape).items()]
    mounts += [{"name": name, "mountPath": folder} for name, folder in _scratch(container, shape).items()]
    mounts += initializers.mounts(job)
    return {
        **_told(container, role),
        "env": by_key(env, role.env, "name"),
        "ports": by_key(by_key(container.get("ports") or [], shape.ports, "name"), role.ports, "name"),
        "volumeMounts": by_key(container.get("volumeMounts") or [], mounts, "mountPath"),
        # The last lines of the log become the message of a failure.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _told(container: dict[str, Any], role: Role) -> dict[str, Any]:
    """The container with what it runs; nothing can be put before an image's own entrypoint, which nobody knows here."""
    if role.command:
        return {**{k: v for k, v in container.items() if k != "args"}, "command": list(role.command)}
    if role.before and container.get("command"):
        return {**container, "command": [*role.before, *container["command"]]}
    return container


def _platform_env(job: dict[str, Any], site: Site) -> list[dict[str, Any]]:
    meta, data, hangs = job["metadata"], _dataset_seen(job), words.annotation(job, words.HANG_TIMEOUT)
    path = f"{meta['namespace']}/trainjobs/{meta['name']}/status"
    env = {
        "MILLSTREAM_JOB_NAME": meta["name"],
        "MILLSTREAM_JOB_NAMESPACE": meta["namespace"],
        "MILLSTREAM_JOB_UID": meta["uid"],
        "MILLSTREAM_MODEL_URI": model_uri(job, site.bucket),
        "MILLSTREAM_CHECKPOINT_URI": checkpoint_uri(job, site.bucket),
        "MILLSTREAM_RESTART": str((job.get("status") or {}).get("restarts") or 0),
        **({"MILLSTREAM_DATASET_URI": data} if data else {}),
        **({"MILLSTREAM_HANG_TIMEOUT": hangs} if hangs else {}),
        "KUBEFLOW_TRAINER_SERVER_URL": f"{site.progress_url}/{path}",
        "KUBEFLOW_TRAINER_SERVER_TOKEN": f"{TOKEN_FOLDER}/token",
        "KUBEFLOW_TRAINER_SERVER_CA_CERT": f"{TOKEN_FOLDER}/ca.crt",
    }
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{words.COMPLETION_INDEX}']"}}
    told = [{"name": name, "value": value} for name, value in env.items()]
    return [*told, {"name": "JOB_COMPLETION_INDEX", "valueFrom": rank}, *_s3_env(job, site)]


def _dataset_seen(job: dict[str, Any]) -> str | None:
    """What the helper reads: the bucket, or the folder where another source's dataset was put."""
    uri, annotated = dataset_uri(job), words.annotation(job, words.DATASET_URI)
    return uri if uri is None or annotated or uri.startswith("s3://") else f"file://{initializers.WORKSPACE}/dataset"


def _s3_env(job: dict[str, Any], site: Site) -> list[dict[str, Any]]:
    """Addresses in clear, keys by reference."""
    holder = words.token_secret(job["metadata"]["name"])
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": holder, "key": name}}}
        if name in CREDENTIALS
        else {"name": name, "value": value}
        for name, value in site.s3.items()
    ]


def _volumes(job: dict[str, Any], shape: Shape) -> list[dict[str, Any]]:
    holder = words.token_secret(job["metadata"]["name"])
    token = {"name": "progress", "secret": {"secretName": holder, "items": [_TOKEN]}}
    given = [
        {"name": name, "secret": {"secretName": holder, "items": _items(shape, folder)}}
        for name, folder in _folders(shape).items()
    ]
    own = [{"name": name, "emptyDir": {}} for name in _scratch({}, shape)]
    return [token, *given, *own, *initializers.volumes(job)]


def _scratch(container: dict[str, Any], shape: Shape) -> dict[str, str]:
    """The framework's own folders by the name of their volume, but for those that the user mounts something on."""
    taken = {mount["mountPath"].rstrip("/") for mount in container.get("volumeMounts") or []}
    named = {f"scratch-{number}": folder for number, folder in enumerate(shape.scratch)}
    return {name: folder for name, folder in named.items() if folder not in taken}


def _folders(shape: Shape) -> dict[str, str]:
    """The folders of the framework's files by the name of their volume."""
    folders = sorted({str(PurePosixPath(path).parent) for path in shape.files})
    return {f"framework-{number}": folder for number, folder in enumerate(folders)}


def _items(shape: Shape, folder: str) -> list[dict[str, str]]:
    paths = [PurePosixPath(path) for path in shape.files]
    return [{"key": _key(str(path)), "path": path.name} for path in paths if str(path.parent) == folder]


def _key(path: str) -> str:
    return path.strip("/").replace("/", ".")


_TOKEN = {"key": "token", "path": "token"}
