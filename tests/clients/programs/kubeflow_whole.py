"""What a user of the Kubeflow SDK can ask for beyond a function: packages, data, patches, progress, history.

Its two jobs run at once; given are the place of an object to download and a folder to build a package in.
"""

import contextlib
import io
import json
import sys
import zipfile
from pathlib import Path

from kubeflow.trainer import (
    CustomTrainer,
    CustomTrainerContainer,
    Initializer,
    S3DatasetInitializer,
    TrainerClient,
)
from kubeflow.trainer.options import (
    ActiveDeadlineSeconds,
    Annotations,
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


def package(folder):
    """A wheel, so that no index need be asked."""
    wheel = Path(folder) / "greeting-1.0-py3-none-any.whl"
    info = "greeting-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("greeting.py", "def greet(): return 'hello from a package'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"greeting.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return str(wheel)


def train_fn(site):
    import os
    import sys

    import greeting

    print(greeting.greet(), "rank", os.environ.get("RANK", os.environ["JOB_COMPLETION_INDEX"]), flush=True)
    if os.environ["JOB_COMPLETION_INDEX"] == "0":
        sys.path.append(site)
        from kubeflow.trainer import update_trainjob_status

        print("reported", update_trainjob_status(progress_percent=60, metrics={"loss": 0.25}), flush=True)


def patched(**env):
    container = ContainerPatch(name="node", env=[{"name": key, "value": value} for key, value in env.items()])
    pod = PodTemplatePatch(spec=PodSpecPatch(containers=[container]))
    job = ReplicatedJobPatch(name="node", template=JobTemplatePatch(spec=JobSpecPatch(template=pod)))
    spec = JobSetTemplatePatch(spec=JobSetSpecPatch(replicated_jobs=[job]))
    return RuntimePatch(training_runtime_spec=TrainingRuntimeSpecPatch(template=spec))


function = client.train(
    runtime=client.get_runtime("python"),
    trainer=CustomTrainer(
        func=train_fn,
        func_args={"site": given["site"]},
        packages_to_install=[package(given["folder"])],
        num_nodes=2,
        resources_per_node={"cpu": 1},
    ),
)
data = S3DatasetInitializer(
    storage_uri=given["uri"],
    endpoint=given["endpoint"],
    access_key_id=given["access_key"],
    secret_access_key=given["secret_key"],
)
container = client.train(
    runtime="python",
    initializer=Initializer(dataset=data),
    trainer=CustomTrainerContainer(image="python:3.11", num_nodes=1, resources_per_node={"cpu": 1}),
    options=[
        Name("whole-container"),
        Labels({"team": "blue"}),
        Annotations({"note": "kept"}),
        ActiveDeadlineSeconds(120),
        TrainerCommand(["bash", "-c"]),
        TrainerArgs(["cat /workspace/dataset/*; echo; echo patched $PATCHED"]),
        patched(PATCHED="by-hand"),
    ],
)
seen = []
client.wait_for_job_status(container, timeout=120, polling_interval=1, callbacks=[lambda job: seen.append(job.status)])
client.wait_for_job_status(function, timeout=120, polling_interval=1)
told = custom.get_namespaced_custom_object("trainer.kubeflow.org", "v1alpha1", "default", "trainjobs", function)
stored = custom.get_namespaced_custom_object("trainer.kubeflow.org", "v1alpha1", "default", "trainjobs", container)


def words(name):
    return {step.name: list(client.get_job_logs(name, step=step.name)) for step in client.get_job(name).steps}


before = {name: words(name) for name in (function, container)}
chosen = f"jobset.sigs.k8s.io/jobset-name in ({function}, {container})"
core.delete_collection_namespaced_pod("default", label_selector=chosen, grace_period_seconds=0)
while core.list_namespaced_pod("default", label_selector=chosen).items:
    pass
with contextlib.redirect_stdout(io.StringIO()) as printed:
    client.get_runtime_packages(client.get_runtime("python"))
result = {
    "before": before,
    "after": {name: words(name) for name in (function, container)},
    "followed": list(client.get_job_logs(function, follow=True)),
    "statuses": {name: client.get_job(name).status for name in (function, container)},
    "steps": [step.status for step in client.get_job(function).steps],
    "events": sorted({event.involved_object_kind for event in client.get_job_events(function)}),
    "seen": seen,
    "reported": told["status"].get("trainerStatus"),
    "labels": stored["metadata"]["labels"],
    "note": stored["metadata"]["annotations"]["note"],
    "deadline": stored["spec"]["activeDeadlineSeconds"],
    "listed": [job.name for job in client.list_jobs(client.get_runtime("python"))],
    "packages": printed.getvalue(),
    "function": function,
    "container": container,
}
for name in (function, container):
    client.delete_job(name)
print("RESULT " + json.dumps(result))
