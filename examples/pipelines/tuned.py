"""A pipeline on real data: an Experiment looks for the parameters with which handwritten digits are told apart best; a
model is trained with them and judged on rows that none of its trials has seen.

    pip install kfp==2.17.0
    PYTHONPATH=sdk python examples/pipelines/tuned.py http://127.0.0.1:8080
"""

import sys

import kfp
from kfp import dsl
from millstream import components as c

SPACE = {
    "gamma": {"min": 1e-5, "max": 1e-1, "distribution": "logUniform"},
    "C": {"min": 0.1, "max": 100, "distribution": "logUniform"},
    "kernel": ["rbf", "sigmoid"],
}
ESTIMATOR = "sklearn.svm.SVC"


@dsl.pipeline(name="tuned")
def tuned(max_trials: int = 8, seed: int = 7):
    data = c.sample_data(name="digits")
    parts = c.split_table(table=data.output, stratify="label")
    found = c.tune(
        train=parts.outputs["train"],
        target="label",
        estimator=ESTIMATOR,
        space=SPACE,
        max_trials=max_trials,
        seed=seed,
    )
    trained = c.train_sklearn(
        train=parts.outputs["train"],
        target="label",
        estimator=ESTIMATOR,
        parameters=found.outputs["best_parameters"],
    )
    c.evaluate(model=trained.outputs["model"], test=parts.outputs["test"], target="label")


if __name__ == "__main__":
    client = kfp.Client(host=sys.argv[1])
    given = {name: int(value) for name, value in (word.split("=") for word in sys.argv[2:])}
    run = client.create_run_from_pipeline_func(tuned, arguments=given)
    done = client.wait_for_run_completion(run.run_id, timeout=600, sleep_duration=1)
    print(done.state, run.run_id)
    for task in done.run_details.task_details or []:
        print(f"{task.state:10} {task.display_name}", task.error.message if task.error else "")
