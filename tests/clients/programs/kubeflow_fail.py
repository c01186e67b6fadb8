"""What a user of the Kubeflow SDK sees of a job that fails: the status, the program's own words, the events."""

import json

from kubeflow.trainer import CustomTrainer, TrainerClient


def train_fn(path):
    raise FileNotFoundError(f"no data at {path}")


client = TrainerClient()
name = client.train(
    runtime=client.get_runtime("python"),
    trainer=CustomTrainer(func=train_fn, func_args={"path": "/nowhere"}, num_nodes=1),
)
try:
    client.wait_for_job_status(name, timeout=120, polling_interval=1)
    waited = "returned"
except RuntimeError as error:
    waited = str(error)
result = {
    "name": name,
    "waited": waited,
    "status": client.get_job(name).status,
    "logs": list(client.get_job_logs(name)),
    "events": [event.message for event in client.get_job_events(name)],
}
client.delete_job(name)
print("RESULT " + json.dumps(result))
