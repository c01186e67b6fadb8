"""What a user of the Kubeflow SDK patches for one job: each role its own variables, volumes, Secrets and machines.

One job of every role (launcher, node, dataset initializer), one that takes a spot flavor, one that may not.
"""

import json
import sys

from kubeflow.trainer import CustomTrainerContainer, Initializer, S3DatasetInitializer, TrainerClient
from kubeflow.trainer.options import (
    ContainerPatch,
    JobSetSpecPatch,
    JobSetTemplatePatch,
    JobSpecPatch,
    JobTemplatePatch,
    Labels,
    Name,
    PodSpecPatch,
    PodTemplatePatch,
    ReplicatedJobPatch,
    RuntimePatch,
    TrainerArgs,
    TrainerCommand,
    TrainingRuntimeSpecPatch,
)
from kubernetes import client as kube
from kubernetes import config

given = json.loads(sys.argv[1])
config.load_kube_config()
core, custom = kube.CoreV1Api(), kube.CustomObjectsApi()
client = TrainerClient()
core.create_namespaced_secret("default", {"metadata": {"name": "patch-keys"}, "stringData": {"word": "sesame"}})
core.create_namespaced_config_map("default", {"metadata": {"name": "notes"}, "data": {"note.txt": "mind the gap"}})

SECRET = {"name": "keys", "secret": {"secretName": "patch-keys"}}
NOTES = {"name": "notes", "configMap": {"name": "notes"}}
WORD = {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "patch-keys", "key": "word"}}}
SPOT = {"key": "spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
LINUX = {"kubernetes.io/os": "linux"}


def role(name, container, metadata=None, **pod):
    spec = PodSpecPatch(containers=[container], **pod)
    template = JobSpecPatch(template=PodTemplatePatch(metadata=metadata, spec=spec))
    return ReplicatedJobPatch(name=name, template=JobTemplatePatch(spec=template))


def patched(*roles):
    spec = JobSetTemplatePatch(spec=JobSetSpecPatch(replicated_jobs=list(roles)))
    return RuntimePatch(training_runtime_spec=TrainingRuntimeSpecPatch(template=spec))


def train(name, runtime, image, command, *options, nodes=1, **more):
    """A container of half a core that runs a line of bash."""
    trainer = CustomTrainerContainer(image=image, num_nodes=nodes, resources_per_node={"cpu": 0.5, "memory": "256Mi"})
    run = [Name(name), TrainerCommand(["bash", "-c"]), TrainerArgs([command]), *options]
    return client.train(runtime=runtime, trainer=trainer, options=run, **more)


keys = {"name": "keys", "mountPath": "/keys", "readOnly": True}
roles = patched(
    role(
        "launcher",
        ContainerPatch(name="node", env=[WORD, {"name": "WHO", "value": "launcher"}], volume_mounts=[keys]),
        metadata={"annotations": {"team": "blue"}},
        volumes=[SECRET],
        node_selector=LINUX,
    ),
    role("node", ContainerPatch(name="node", env=[{"name": "WHO", "value": "node"}]), tolerations=[SPOT]),
    role(
        "dataset-initializer",
        ContainerPatch(
            name="dataset-initializer",
            env=[{"name": "IGNORE_PATTERNS", "value": "*.bin"}],
            volume_mounts=[{"name": "notes", "mountPath": "/notes"}],
        ),
        volumes=[NOTES],
    ),
)
data = S3DatasetInitializer(
    storage_uri=given["uri"],
    endpoint=given["endpoint"],
    access_key_id=given["access_key"],
    secret_access_key=given["secret_key"],
)
show = "echo WORD $WORD; cat /keys/word; echo; ls /workspace/dataset"
train("roles", "mpi-distributed", "millstream/mpi", show, roles, nodes=2, initializer=Initializer(dataset=data))

queued = Labels({"kueue.x-k8s.io/queue-name": given["queue"]})
bold = role("node", ContainerPatch(name="node"), tolerations=[SPOT], node_selector=LINUX)
train("bold", "python", "python:3.11", "echo ran on spot", queued, patched(bold))
train("timid", "python", "python:3.11", "echo never", queued)

for name in ("roles", "bold"):
    client.wait_for_job_status(name, timeout=150, polling_interval=1)


def pods(name):
    """By role, what was made of the patches; without what the platform adds to every pod."""
    found = core.list_namespaced_pod("default", label_selector=f"jobset.sigs.k8s.io/jobset-name={name}").items
    return {p.metadata.labels["jobset.sigs.k8s.io/replicatedjob-name"]: shown(p) for p in found}


def shown(pod):
    node, spec = pod.spec.containers[0], pod.spec
    initializer = {c.name: c for c in spec.init_containers or []}.get("dataset-initializer")
    return {
        "who": next((e.value for e in node.env if e.name == "WHO"), None),
        "limits": node.resources.limits,
        "mounts": [m.mount_path for m in node.volume_mounts],
        "selector": spec.node_selector,
        "tolerations": [t.key for t in spec.tolerations or []],
        "annotations": pod.metadata.annotations,
        "fetches": [e.value for e in initializer.env if e.name == "IGNORE_PATTERNS"] if initializer else None,
        "notes": [m.mount_path for m in initializer.volume_mounts] if initializer else None,
    }


timid = custom.get_namespaced_custom_object("trainer.kubeflow.org", "v1alpha1", "default", "trainjobs", "timid")
result = {
    "roles": pods("roles"),
    "bold": pods("bold"),
    "timid": timid["status"]["admission"],
    "timid_pods": pods("timid"),
    "said": list(client.get_job_logs("roles")),
}
for name in ("roles", "bold", "timid"):
    client.delete_job(name)
print("RESULT " + json.dumps(result))
