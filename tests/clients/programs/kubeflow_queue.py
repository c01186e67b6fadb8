"""What a user of kubeflow-training sees of a full queue: one job waits until another is suspended, then that one."""

import json
import socket
import sys
import time

from kubeflow.training import TrainingClient, constants, models
from kubernetes import client

given = json.loads(sys.argv[1])
door = socket.create_server(("127.0.0.1", 0))
PROGRAM = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", {port})).recv(1)
print("{name} is done")
"""
"""Waits until the door is open: a job that sleeps may be over too early."""


def job(name, port):
    container = models.V1Container(
        name="pytorch",
        image="python:3.11",
        command=["python", "-c", PROGRAM.format(name=name, port=port)],
        resources=client.V1ResourceRequirements(requests={"cpu": "1", "memory": "256Mi"}),
    )
    template = models.V1PodTemplateSpec(spec=models.V1PodSpec(containers=[container]))
    return models.KubeflowOrgV1PyTorchJob(
        api_version=constants.API_VERSION,
        kind="PyTorchJob",
        metadata=client.V1ObjectMeta(name=name),
        spec=models.KubeflowOrgV1PyTorchJobSpec(
            run_policy=models.KubeflowOrgV1RunPolicy(),
            pytorch_replica_specs={"Master": models.KubeflowOrgV1ReplicaSpec(replicas=1, template=template)},
        ),
    )


def conditions(name):
    return {c.type: c.status for c in training.get_job(name).status.conditions}


def suspend(name, value):
    held = training.get_job(name)
    held.spec.run_policy.suspend = value
    training.update_job(held, name)


def wait(name, kind):
    return training.wait_for_job_conditions(name, expected_conditions={kind}, polling_interval=0.3, wait_timeout=60)


training = TrainingClient(namespace=given["namespace"])
training.create_job(job("first", door.getsockname()[1]), queue_name=given["queue"])
wait("first", "Running")
training.create_job(job("second", 1), queue_name=given["queue"])
time.sleep(1.5)
result = {"waiting": conditions("second"), "pods": training.get_job_pod_names("second")}
suspend("first", True)
wait("second", "Succeeded")
result["suspended"] = conditions("first")
suspend("first", False)
door.close()
wait("first", "Succeeded")
result["resumed"] = conditions("first")
result["logs"] = training.get_job_logs("first")[0]
for name in ("first", "second"):
    training.delete_job(name)
print("RESULT " + json.dumps(result))
