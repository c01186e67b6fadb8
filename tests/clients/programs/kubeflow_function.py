"""What a user of kubeflow-training does with a function: trained by two workers, changed, sent twice, sent wrong."""

import json
import sys
import time

from kubeflow.training import TrainingClient

given = json.loads(sys.argv[1])
name = given["name"]


def train(parameters):
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo")
    torch.manual_seed(0)
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=parameters["lr"])
    features = torch.randn(64, 8)
    wanted = features.sum(1, keepdim=True)
    for step in range(21):
        loss = ((net(features) - wanted) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            print("rank", dist.get_rank(), "of", dist.get_world_size(), "loss", loss.item(), flush=True)
    dist.barrier()
    dist.destroy_process_group()


def refused(call):
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""


def create(name=name, **more):
    training.create_job(
        name=name,
        train_func=train,
        parameters={"lr": 0.1},
        num_workers=2,
        num_procs_per_worker=1,
        resources_per_worker={"cpu": 1, "memory": "1Gi"},
        **more,
    )


training = TrainingClient()
create(labels={"team": "a"})
again = refused(create)
wrong = refused(lambda: create(name="Not_A_Name"))
job = training.wait_for_job_conditions(name, polling_interval=1, wait_timeout=120)
for _ in range(50):
    ended = training.get_job(name).status.replica_statuses
    if not any(found.active for found in ended.values()):
        break
    time.sleep(0.2)
logs, events = training.get_job_logs(name, is_master=False, verbose=True)
followed, _ = training.get_job_logs(name, follow=True)
job.metadata.labels = {"team": "b"}
training.update_job(job, name)
labels = training.get_job(name).metadata.labels
changed = training.get_job(name)
changed.spec.pytorch_replica_specs["Worker"].replicas = 3
result = {
    "conditions": {c.type: c.status for c in job.status.conditions},
    "succeeded": {role: found.succeeded for role, found in ended.items()},
    "master": training.get_job_pod_names(name, is_master=True),
    "worker": training.get_job_pod_names(name, replica_type="worker", replica_index=0),
    "asked": [training.is_job_succeeded(name), training.is_job_running(name), training.is_job_failed(name)],
    "logs": {pod: text.splitlines() for pod, text in logs.items()},
    "followed": {pod: len(text) for pod, text in followed.items()},
    "events": events,
    "labels": labels,
    "again": again,
    "wrong": wrong,
    "frozen": refused(lambda: training.update_job(changed, name)),
    "listed": name in [one.metadata.name for one in training.list_jobs()],
}
training.delete_job(name)
for _ in range(100):
    if "404" in refused(lambda: training.get_job(name)):
        break
    time.sleep(0.2)
result["gone"] = "404" in refused(lambda: training.get_job(name))
print("RESULT " + json.dumps(result))
