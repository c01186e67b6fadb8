"""What a user of kubeflow-training does around the README's snippet: sends it twice, sends it wrong, reads, changes."""

import importlib.util
import json
import sys
import time

given = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("snippet", given["snippet"])
snippet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(snippet)


def refused(call):
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""


def create(name):
    snippet.client.create_job(name=name, train_func=snippet.train, parameters={"lr": 0.1}, num_workers=2)


training, job, name = snippet.client, snippet.job, snippet.name
again = refused(lambda: create(name))
wrong = refused(lambda: create("Not_A_Name"))
for _ in range(150):
    ended = training.get_job(name).status.replica_statuses
    if not any(found.active for found in ended.values()):
        break
    time.sleep(0.2)
logs, _ = training.get_job_logs(name, is_master=False)
followed, _ = training.get_job_logs(name, follow=True)
for _ in range(5):  # as users do: the operator may write a last status between the reading and the writing
    current = training.get_job(name)
    current.metadata.labels = {"team": "b"}
    if "(409)" not in refused(lambda current=current: training.update_job(current, name)):
        break
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
    "events": snippet.events,
    "labels": labels,
    "again": again,
    "wrong": wrong,
    "frozen": refused(lambda: training.update_job(changed, name)),
    "listed": name in [one.metadata.name for one in training.list_jobs()],
}
training.delete_job(name)
for _ in range(150):
    if "404" in refused(lambda: training.get_job(name)):
        break
    time.sleep(0.2)
result["gone"] = "404" in refused(lambda: training.get_job(name))
print("RESULT " + json.dumps(result))
