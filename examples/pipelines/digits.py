"""A pipeline on real data: handwritten digits are checked and split, three candidates are trained at the same time, the
best is judged on rows that none has seen, registered, released to a fifth of the requests, compared and promoted.

    pip install kfp==2.17.0
    PYTHONPATH=sdk python examples/pipelines/digits.py http://127.0.0.1:8080
    PYTHONPATH=sdk python examples/pipelines/digits.py http://127.0.0.1:8080 seed=8

The first run makes the service, whose first model answers everything. The second one trains anew:
its model is a canary beside the first. The test rows are the same in both, so that nobody is judged on what it learnt.
"""

import sys

import kfp
from kfp import dsl
from millstream import components as c

CANDIDATES = [
    {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 2000}},
    {"estimator": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 100}},
    {"estimator": "sklearn.svm.SVC", "parameters": {"gamma": 0.001}},
]
SCHEMA = {"columns": {"label": {"type": "integer", "min": 0, "max": 9, "nulls": 0.0}}}


@dsl.pipeline(name="digits")
def digits(service: str = "digits-pipeline", canary_percent: int = 20, least: float = 0.9, seed: int = 7):
    data = c.sample_data(name="digits")
    valid = c.validate_table(table=data.output, schema=SCHEMA, at_least=1000)
    parts = c.split_table(table=data.output, stratify="label").after(valid)
    with dsl.ParallelFor(CANDIDATES, parallelism=3) as candidate:
        trained = c.train_sklearn(train=parts.outputs["train"], target="label", candidate=candidate, folds=3, seed=seed)
    best = c.pick_best(models=dsl.Collected(trained.outputs["model"]), scores=dsl.Collected(trained.outputs["Output"]))
    judged = c.evaluate(model=best.outputs["best"], test=parts.outputs["test"], target="label")
    with dsl.If(judged.outputs["Output"] >= least, name="good-enough"):
        known = c.register_model(model=best.outputs["best"], name=service)
        released = c.deploy_model(
            name=service,
            storage_uri=known.outputs["uri"],
            format=known.outputs["format"],
            canary_percent=canary_percent,
        ).set_caching_options(False)
        checked = (
            c.check_canary(name=service, test=parts.outputs["test"], target="label", least=least)
            .set_caching_options(False)
            .after(released)
        )
        c.promote_model(name=service, good=checked.outputs["good"]).set_caching_options(False)


if __name__ == "__main__":
    client = kfp.Client(host=sys.argv[1])
    given = {name: int(value) for name, value in (word.split("=") for word in sys.argv[2:])}
    run = client.create_run_from_pipeline_func(digits, arguments=given)
    done = client.wait_for_run_completion(run.run_id, timeout=600, sleep_duration=1)
    print(done.state, run.run_id)
    for task in done.run_details.task_details or []:
        print(f"{task.state:10} {task.display_name}")
