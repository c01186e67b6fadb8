"""Kubeflow's OptimizerClient from end to end: a function's best arguments, found, read back, its logs, its end."""

import json
import time

from kubeflow.optimizer import OptimizerClient
from kubeflow.optimizer.types.algorithm_types import GridSearch
from kubeflow.optimizer.types.optimization_types import Direction, Objective, TrialConfig
from kubeflow.optimizer.types.search_types import Search
from kubeflow.trainer import CustomTrainer, TrainerClient
from kubeflow.trainer.types.types import TrainJobTemplate


def train_fn(lr, optimizer):
    print(f"optimizer={optimizer}")
    for epoch in range(3):
        print(f"epoch={epoch} accuracy={1 - abs(float(lr) - 0.05) - (optimizer == 'sgd') * 0.01 * epoch}")


client = OptimizerClient()
template = TrainJobTemplate(
    runtime=TrainerClient().get_runtime("python"), trainer=CustomTrainer(func=train_fn, num_nodes=1)
)
name = client.optimize(
    template,
    search_space={"lr": Search.loguniform(0.001, 0.1), "optimizer": Search.choice(["sgd", "adam"])},
    objectives=[Objective(metric="accuracy", direction=Direction.MAXIMIZE)],
    trial_config=TrialConfig(num_trials=3, parallel_trials=2),
)
seen = []
job = client.wait_for_job_status(
    name, timeout=120, polling_interval=1, callbacks=[lambda job: seen.append((job.status, len(job.trials)))]
)
best = client.get_best_results(name)
result = {
    "status": job.status,
    "seen": seen,
    "trials": {
        trial.name: {
            "parameters": trial.parameters,
            "metrics": [vars(metric) for metric in trial.metrics],
            "status": trial.trainjob.status,
        }
        for trial in job.trials
    },
    "best": {"parameters": best.parameters, "metrics": [vars(metric) for metric in best.metrics]},
    "listed": [each.name for each in client.list_jobs()],
    "logs": list(client.get_job_logs(name)),
    "name": name,
}
client.delete_job(name)
grid = client.optimize(
    template,
    search_space={"lr": Search.choice([0.01, 0.05]), "optimizer": Search.choice(["adam"])},
    objectives=[Objective(metric="accuracy", direction=Direction.MAXIMIZE)],
    trial_config=TrialConfig(num_trials=10, parallel_trials=2),
    algorithm=GridSearch(),
)
job = client.wait_for_job_status(grid, timeout=120, polling_interval=1)
result["grid"] = [trial.parameters["lr"] for trial in job.trials]
client.delete_job(grid)
deadline = time.monotonic() + 60
while {name, grid} & set(left := [each.name for each in client.list_jobs()]) and time.monotonic() < deadline:
    time.sleep(0.2)
result["left"] = [one for one in left if one in (name, grid)]
print("RESULT " + json.dumps(result))
