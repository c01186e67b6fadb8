"""The component that looks for the best parameters: an Experiment, whose trials the platform runs at the same time."""

from typing import NamedTuple, Optional

from kfp import dsl
from kfp.dsl import HTML, Dataset, Input, Metrics, Output

from millstream.components.helpers import (
    answers_of,
    arguments_of,
    ask,
    columns_but,
    estimator_of,
    is_moved,
    maker,
    matrix_of,
    my_namespace,
    read_any,
    take_up,
)
from millstream.components.packages import IMAGE, SKLEARN
from millstream.components.searching import search_space, trial_program, trials_page

USING = [
    answers_of, arguments_of, ask, columns_but, estimator_of, is_moved, maker, matrix_of, my_namespace, read_any,
    search_space, take_up, trial_program, trials_page,
]  # fmt: skip


@dsl.component(base_image=IMAGE, packages_to_install=SKLEARN, additional_funcs=USING)
def tune(
    train: Input[Dataset],
    trials: Output[Dataset],
    report: Output[HTML],
    metrics: Output[Metrics],
    space: dict,
    target: str = "",
    estimator: str = "sklearn.ensemble.RandomForestClassifier",
    parameters: dict = {},
    scoring: str = "",
    folds: int = 3,
    program: str = "",
    objective: str = "score",
    direction: str = "maximize",
    goal: Optional[float] = None,  # noqa: UP045  as kfp knows it
    algorithm: str = "tpe",
    settings: dict = {},
    max_trials: int = 12,
    parallel_trials: int = 2,
    max_failed_trials: int = 3,
    seed: int = 7,
    resources: dict = {},
    image: str = "millstream/python",
    runtime: str = "python",
    queue: str = "",
    timeout_s: int = 3600,
    namespace: str = "",
    gateway: str = "",
) -> NamedTuple("Outputs", [("best_parameters", dict), ("best_value", float), ("best_trial", str)]):  # type: ignore[valid-type]
    """Looks for the parameters with which an estimator of scikit-learn, or a program of yours, is best.

    Every trial is a TrainJob of an Experiment, which the platform's tuner keeps going; this step waits for it, tells
    how it goes, and deletes it when it is stopped. Tried again, or moved to another node, it goes on with the
    Experiment that it finds.

    Args:
        train: Training rows as Parquet, in the platform's bucket.
        trials: A row for each trial: its state, what it tried, what came of it (Parquet).
        report: All trials as a picture and a table.
        metrics: The best value under the objective's name; how many trials ended well and failed.
        space: What is tried, by parameter: {"min": 10, "max": 200, "type": "int"}, {"min": 1e-4, "max": 0.1,
            "distribution": "logUniform"}, both also with "step", or a list of texts, numbers, or true, false, null.
        target: The column to predict; all others are features. Not needed by a program.
        estimator: A dotted name below `sklearn.`; each trial is the mean score of its cross-validation.
        parameters: Its arguments that are not searched.
        scoring: A scorer of scikit-learn, such as `neg_mean_squared_error`; the estimator's own when empty.
        folds: Of the cross-validation.
        program: Python that is run instead: it finds what to try in `json.loads(os.environ["PARAMETERS"])`, the rows by
            `mt.dataset(os.environ["DATASET"])` with `from millstream import training as mt`, and prints
            `<objective>=<number>`; the last one counts.
        objective: The name of the figure.
        direction: `maximize` or `minimize`.
        goal: It ends as soon as a trial is as good as this.
        algorithm: `tpe`, `multivariate-tpe`, `random`, `grid` or `sobol`.
        settings: Of the algorithm, as Katib names them.
        max_trials: How many.
        parallel_trials: How many at the same time.
        max_failed_trials: With more failed ones it fails.
        seed: Of the algorithm and of the estimator, as far as they take one.
        resources: Of each trial, as Kubernetes writes them: {"limits": {"cpu": "2", "memory": "4Gi"}}.
        image: What trials run in; it has scikit-learn, pyarrow and `millstream`.
        runtime: The trials' ClusterTrainingRuntime.
        queue: The LocalQueue in which trials wait for quota.
        timeout_s: How long it may take, waiting included.
        namespace: This step's own when empty.
        gateway: The platform's (or the cluster's API server's) base URL; found by itself when empty.

    Returns:
        best_parameters: Those of the best trial, with `parameters`: for `train_sklearn`.
        best_value: What came of them.
        best_trial: Its name.
    """
    import hashlib
    import json
    import os
    import signal
    import sys
    import time
    from collections import namedtuple
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as parquet

    if not train.uri.startswith("s3://"):
        raise ValueError(f"train lies at {train.uri}: trials can only reach s3://, so run on the platform")
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction {direction!r}: say maximize or minimize")
    for word, number in {"max_trials": max_trials, "parallel_trials": parallel_trials, "folds": folds - 1}.items():
        if number < 1:
            raise ValueError(f"{word}: there must be at least {1 if word != 'folds' else 2}")
    searched, texts = search_space(space)
    if both := sorted(set(space) & set(parameters)):
        raise ValueError(f"{', '.join(both)}: in space and in parameters; a parameter is searched or given")
    if not program:
        kind = estimator_of(estimator)
        parameters = arguments_of(kind, parameters)
        known = set(kind(**parameters).get_params())
        if strange := sorted((set(space) | set(parameters)) - known):
            raise ValueError(f"{estimator} has no parameter {', '.join(strange)}; it has {', '.join(sorted(known))}")
        rows = read_any(train.path, "parquet")
        answers_of(rows, target)
        if matrix_of(rows, columns_but(rows, target)).dtype == object:
            raise ValueError("features must be numbers: make them with tabular_features first")
    told = {"estimator": estimator, "parameters": parameters, "scoring": scoring, "target": target}
    told.update(folds=folds, seed=seed, objective=objective)
    where = my_namespace(namespace)
    path = f"/apis/kubeflow.org/v1beta1/namespaces/{where}/experiments"
    places = {word: f"${{trialParameters.{word}}}" for word in space}
    filled = ", ".join(f'"{word}": "{at}"' if word in texts else f'"{word}": {at}' for word, at in places.items())
    command = ["bash", "-c", 'printf %s "$PROGRAM" > program.py && exec python program.py']
    trainer = {"image": image, "numNodes": 1, "command": command}
    trainer["env"] = [
        {"name": "PROGRAM", "value": program or trial_program()},
        {"name": "PARAMETERS", "value": "{" + filled + "}"},
        {"name": "DATASET", "value": train.uri},
        {"name": "TUNE", "value": json.dumps(told)},
    ]
    trainer.update({"resourcesPerNode": resources} if resources else {})
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": queue}} if queue else {},
        "spec": {"runtimeRef": {"name": runtime}, "trainer": trainer},
    }
    chosen = {
        "random_state": str(seed),
        **{word: f"{value:.0f}" if isinstance(value, float) else str(value) for word, value in settings.items()},
    }
    if algorithm == "grid" and "random_state" not in settings:
        del chosen["random_state"]
    spec = {
        "objective": {
            "type": direction,
            "objectiveMetricName": objective,
            "metricStrategies": [{"name": objective, "value": "latest"}],
            **({} if goal is None else {"goal": goal}),
        },
        "algorithm": {
            "algorithmName": algorithm,
            "algorithmSettings": [{"name": word, "value": value} for word, value in chosen.items()],
        },
        "maxTrialCount": max_trials,
        "parallelTrialCount": min(parallel_trials, max_trials),
        "maxFailedTrialCount": min(max_failed_trials, max_trials),
        "parameters": searched,
        "trialTemplate": {
            "primaryContainerName": "node",
            "trialParameters": [{"name": word, "reference": word} for word in space],
            "trialSpec": job,
        },
    }
    # The same for all attempts of the step with these inputs: what one of them has begun the next one goes on with.
    about = json.dumps([os.environ.get("MILLSTREAM_TASK_ID") or trials.uri, spec], sort_keys=True)
    name = f"tune-{hashlib.sha256(about.encode()).hexdigest()[:12]}"
    wanted = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "spec": spec}
    wanted["metadata"] = {"name": name, "labels": maker()}
    end = time.monotonic() + timeout_s

    def states_of(one):
        conditions = (one.get("status") or {}).get("conditions") or []
        return {each["type"]: each for each in conditions if each["status"] == "True"}

    def typed(given):
        return {word: text if word in texts else json.loads(text) for word, text in given.items()}

    def give_up(*_):
        if not is_moved():
            ask("DELETE", f"{path}/{name}", gateway=gateway, patient_s=5)
        sys.exit(143)

    signal.signal(signal.SIGTERM, give_up)  # who stops the step stops the trials
    if take_up(path, wanted, gateway, timeout_s):
        print(f"Experiment {where}/{name} goes on", flush=True)
    else:
        print(f"Experiment {where}/{name}: at most {max_trials} trials, {parallel_trials} at a time", flush=True)

    said = ""
    while True:
        found = ask("GET", f"{path}/{name}", gateway=gateway)
        status, held = found.get("status") or {}, states_of(found)
        best = status.get("currentOptimalTrial") or {}
        tried = typed({each["name"]: each["value"] for each in best.get("parameterAssignments") or []})
        figures = {each["name"]: each for each in (best.get("observation") or {}).get("metrics") or []}
        value = figures.get(objective, {}).get("latest")
        news = f"{status.get('trialsSucceeded') or 0} of {max_trials} trials are done"
        news += f", {status['trialsRunning']} run" if status.get("trialsRunning") else ""
        news += f", {status['trialsFailed']} failed" if status.get("trialsFailed") else ""
        if value is not None:
            shown = [f"{word}={one:.6g}" if isinstance(one, float) else f"{word}={one}" for word, one in tried.items()]
            news += f"; best so far: {objective}={float(value):.6g} with {', '.join(shown)}"
        if news != said:
            print(news, flush=True)
            said = news
        if "Succeeded" in held or "Failed" in held:
            break
        if time.monotonic() > end:
            ask("DELETE", f"{path}/{name}", gateway=gateway)
            raise TimeoutError(f"Experiment {name} was not over after {timeout_s} s and was deleted; {news}")
        time.sleep(1)
    listed = ask(
        "GET",
        f"/apis/kubeflow.org/v1beta1/namespaces/{where}/trials?labelSelector=katib.kubeflow.org/experiment={name}",
        gateway=gateway,
    )["items"]
    listed.sort(key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))
    if "Failed" in held:
        raise RuntimeError(f"Experiment {name} failed: {' '.join(str(held['Failed'].get('message')).split())}")
    lines = []
    for one in listed:
        given = typed({each["name"]: each["value"] for each in one["spec"].get("parameterAssignments") or []})
        seen = ((one.get("status") or {}).get("observation") or {}).get("metrics") or []
        last = {each["name"]: each["latest"] for each in seen}.get(objective)
        state = next((word for word in ("Succeeded", "Failed", "Killed") if word in states_of(one)), "Running")
        number = None if last in (None, "unavailable") else float(last)
        lines.append({"trial": one["metadata"]["name"], "state": state, objective: number, **given})
    Path(trials.path).parent.mkdir(parents=True, exist_ok=True)
    columns = {word: [line.get(word) for line in lines] for word in ("trial", "state", objective, *space)}
    parquet.write_table(pa.table(columns), trials.path)
    Path(report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(report.path).write_text(trials_page(lines, objective, direction, best.get("bestTrialName") or ""))
    metrics.log_metric(objective, float(value))
    metrics.log_metric("trials_succeeded", sum(line["state"] == "Succeeded" for line in lines))
    metrics.log_metric("trials_failed", sum(line["state"] == "Failed" for line in lines))
    outputs = namedtuple("Outputs", ["best_parameters", "best_value", "best_trial"])
    return outputs({**parameters, **tried}, float(value), best.get("bestTrialName") or "")
