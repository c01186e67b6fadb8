"""What a user of the Kubeflow SDK writes: train a function on two nodes, read its logs, wait, delete."""

import json
import sys
import time

from kubeflow.trainer import CustomTrainer, TrainerClient


def train_fn(word):
    import os

    import torch.distributed as dist

    dist.init_process_group("gloo")
    import torch

    total = torch.ones(1) * (dist.get_rank() + 1)
    dist.all_reduce(total)
    print(f"{word}: rank {os.environ['RANK']} of {dist.get_world_size()}, sum {int(total.item())}", flush=True)
    dist.destroy_process_group()


def wait_until_gone(name):
    """The platform ends a job's pods before the job itself goes, so a moment may pass."""
    for _ in range(60):
        try:
            client.get_job(name)
        except RuntimeError as error:
            return error.__cause__.status == 404
        time.sleep(0.5)
    return False


client = TrainerClient()
runtimes = [runtime.name for runtime in client.list_runtimes()]
name = client.train(
    runtime=client.get_runtime("torch-distributed"),
    trainer=CustomTrainer(func=train_fn, func_args={"word": "hello"}, num_nodes=2),
)
client.wait_for_job_status(name, status={"Running", "Complete"}, timeout=120, polling_interval=1)
followed = list(client.get_job_logs(name, follow=True))
job = client.wait_for_job_status(name, timeout=180)
logs = {step.name: list(client.get_job_logs(name, step=step.name)) for step in job.steps}
listed = [one.name for one in client.list_jobs()]
events = [event.reason for event in client.get_job_events(name)] if hasattr(client, "get_job_events") else None
client.delete_job(name)
gone = wait_until_gone(name)
result = {
    "runtimes": runtimes,
    "status": job.status,
    "nodes": job.num_nodes,
    "followed": followed,
    "logs": logs,
    "listed": name in listed,
    "events": events,
    "gone": gone,
}
print("RESULT " + json.dumps(result), file=sys.stdout)
