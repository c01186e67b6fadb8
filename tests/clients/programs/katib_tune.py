"""KatibClient from end to end: tune a function, wait, read what came of it, raise the budget, delete."""

import json
import time

import kubeflow.katib as katib
from kubernetes import client as kubernetes


def objective(parameters):
    rate, layers = float(parameters["lr"]), int(parameters["layers"])
    print(f"loss={rate * layers}")
    print(f"accuracy={1 - rate * layers} and opt={parameters['opt']}")


client = katib.KatibClient(namespace="default")
space = {
    "lr": katib.search.double(min=0.01, max=0.1),
    "layers": katib.search.int(min=1, max=5),
    "opt": katib.search.categorical(["sgd", "adam"]),
}
more = {"base_image": "python:3.11", "resources_per_trial": {"cpu": "1"}, "namespace": "default"}
client.tune(
    name="tuned",
    objective=objective,
    parameters=space,
    objective_metric_name="accuracy",
    additional_metric_names=["loss"],
    algorithm_name="tpe",
    max_trial_count=3,
    parallel_trial_count=1,
    retain_trials=True,
    **more,
)
while not client.is_experiment_running("tuned"):
    time.sleep(0.2)
client.edit_experiment_budget("tuned", max_trial_count=4, parallel_trial_count=2)
done = client.wait_for_experiment_condition("tuned", expected_condition="Succeeded", timeout=120, polling_interval=1)
best = client.get_optimal_hyperparameters("tuned")
trial = client.get_trial(best.best_trial_name)
result = {
    "trials": done.status.trials_succeeded,
    "best": {one.name: one.value for one in best.parameter_assignments},
    "metrics": {one.name: [one.latest, one.min, one.max] for one in best.observation.metrics},
    "assigned": {one.name: one.value for one in trial.spec.parameter_assignments},
    "listed": [one.metadata.name for one in client.list_trials("tuned")],
    "succeeded": len(client.get_success_trial_details("tuned")),
    "suggested": client.get_suggestion("tuned").status.suggestion_count,
    "logs": list(client.get_job_logs("tuned", best.best_trial_name)),
    "experiments": [one.metadata.name for one in client.list_experiments()],
    "conditions": [one.type for one in client.get_experiment_conditions("tuned") if one.status == "True"],
}
client.edit_experiment_budget("tuned", max_trial_count=5)
while (found := client.get_experiment("tuned")).status.trials_succeeded < 5 or not client.is_experiment_succeeded(
    "tuned"
):
    time.sleep(0.2)
result["after"] = found.status.trials_succeeded
client.delete_experiment("tuned")
while True:
    try:
        client.get_experiment("tuned")
    except Exception:
        break
    time.sleep(0.2)
for _ in range(150):
    left = kubernetes.BatchV1Api(client.custom_api.api_client).list_namespaced_job("default")
    result["jobs"] = [job.metadata.name for job in left.items if job.metadata.name.startswith("tuned-")]
    if not result["jobs"]:
        break
    time.sleep(0.2)
print("RESULT " + json.dumps(result))
