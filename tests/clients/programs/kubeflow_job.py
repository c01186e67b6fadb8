"""What a user of kubeflow-training does with a job of one kind: made of models, awaited, read, ended."""

import json
import sys
import time

from kubeflow.training import TrainingClient, constants, models
from kubernetes import client

given = json.loads(sys.argv[1])
kind, name = given["kind"], given["name"]
SPECS = {
    "PyTorchJob": ("PyTorch", "pytorch_replica_specs"),
    "TFJob": ("TF", "tf_replica_specs"),
    "MPIJob": ("MPI", "mpi_replica_specs"),
    "XGBoostJob": ("XGBoost", "xgb_replica_specs"),
    "PaddleJob": ("Paddle", "paddle_replica_specs"),
    "JAXJob": ("JAX", "jax_replica_specs"),
}


def template(command):
    container = models.V1Container(
        name=constants.JOB_PARAMETERS[kind]["container"],
        image=given["image"],
        command=command,
        resources=client.V1ResourceRequirements(requests={"cpu": "250m", "memory": given.get("memory", "512Mi")}),
    )
    return models.V1PodTemplateSpec(spec=models.V1PodSpec(containers=[container]))


def job():
    short, field = SPECS[kind]
    replicas = {
        role: models.KubeflowOrgV1ReplicaSpec(
            replicas=replica["replicas"],
            template=template(replica["command"]),
            restart_policy=replica.get("restartPolicy"),
        )
        for role, replica in given["replicas"].items()
    }
    policy = models.KubeflowOrgV1RunPolicy(clean_pod_policy="None" if given.get("keep") else None)
    spec = getattr(models, f"KubeflowOrgV1{short}JobSpec")(**{field: replicas, "run_policy": policy})
    meta = client.V1ObjectMeta(name=name)
    return getattr(models, f"KubeflowOrgV1{short}Job")(
        api_version="kubeflow.org/v1", kind=kind, metadata=meta, spec=spec
    )


def refused(call):
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""


training = TrainingClient(job_kind=kind)
training.create_job(job())
again = refused(lambda: training.create_job(job()))
done = training.wait_for_job_conditions(
    name, expected_conditions={"Succeeded", "Failed"}, polling_interval=1, wait_timeout=given.get("timeout", 150)
)
logs = {}
for role in given["replicas"]:
    for pod in training.get_job_pod_names(name, replica_type=role.lower() if role != "Evaluator" else None):
        if f"-{role.lower()}-" in pod:
            index = int(pod.rpartition("-")[2])
            found, _ = training.get_job_logs(name, is_master=False, replica_index=index)
            logs |= found
_, events = training.get_job_logs(name, verbose=True) if kind == "PyTorchJob" else ({}, {})
result = {
    "conditions": {c.type: [c.status, c.reason, c.message] for c in done.status.conditions},
    "replicas": {role: found.to_dict() for role, found in done.status.replica_statuses.items()},
    "started": bool(done.status.start_time),
    "completed": bool(done.status.completion_time),
    "asked": {
        "created": training.is_job_created(name),
        "running": training.is_job_running(name),
        "succeeded": training.is_job_succeeded(name),
        "failed": training.is_job_failed(name),
        "restarting": training.is_job_restarting(name),
    },
    "master": training.get_job_pod_names(name, is_master=True),
    "pods": sorted(training.get_job_pod_names(name)),
    "logs": logs,
    "again": again,
    "listed": name in [one.metadata.name for one in training.list_jobs()],
    "events": events,
}
training.delete_job(name)
for _ in range(150):
    if "404" in refused(lambda: training.get_job(name)):
        break
    time.sleep(0.2)
result["gone"] = "404" in refused(lambda: training.get_job(name))
print("RESULT " + json.dumps(result, default=str))
