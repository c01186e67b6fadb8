"""Components that train on a table: scikit-learn and XGBoost in the step itself, torch on the nodes of a TrainJob."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output

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
    refuse_unused,
    take_up,
)
from millstream.components.packages import ARROW, IMAGE, SKLEARN, XGBOOST

USING = [read_any, columns_but, answers_of, matrix_of]
ESTIMATORS = [*USING, estimator_of, arguments_of]


@dsl.component(base_image=IMAGE, packages_to_install=SKLEARN, additional_funcs=ESTIMATORS)
def train_sklearn(
    train: Input[Dataset],
    model: Output[Model],
    target: str,
    estimator: str = "sklearn.ensemble.RandomForestClassifier",
    parameters: dict = {},
    folds: int = 0,
    seed: int = 7,
    candidate: dict = {},
    transformer: Input[Model] = None,
) -> float:
    """Trains any estimator of scikit-learn.

    Args:
        train: Training rows.
        model: The estimator with joblib, as the platform and KServe serve it.
        target: The column to predict; all others are features.
        estimator: A dotted name below `sklearn.`.
        parameters: Its arguments.
        folds: With 2 or more: cross-validation first, whose mean score is the answer.
        seed: Its random_state, if it has one.
        candidate: {"estimator": ..., "parameters": {...}} in one, as an item of a ParallelFor is; it counts then.
        transformer: From `tabular_features`; the model then takes rows as they were before.

    Returns:
        The mean score of the cross-validation, or the score on the training rows without one.
    """
    from pathlib import Path

    import joblib
    import numpy as np
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import Pipeline

    if folds < 0 or folds == 1:
        raise ValueError(f"folds {folds}: 0 for none, or at least 2")
    if unknown := set(candidate) - {"estimator", "parameters"}:
        raise ValueError(f"candidate: {', '.join(sorted(unknown))} means nothing here: write estimator and parameters")
    estimator = str(candidate.get("estimator") or estimator)
    parameters = dict(candidate.get("parameters") or parameters)
    kind = estimator_of(estimator)
    made = kind(**arguments_of(kind, parameters))
    if "random_state" in made.get_params() and "random_state" not in parameters:
        made.set_params(random_state=seed)
    rows = read_any(train.path)
    names = columns_but(rows, target)
    x, y = matrix_of(rows, names), np.asarray(answers_of(rows, target))
    if not names:
        raise ValueError(f"the table has no column but {target!r}")
    if x.dtype == object and transformer is None:
        raise ValueError("features must be numbers: give the transformer of tabular_features, which knows texts")
    if transformer is not None:
        kept = Path(transformer.path) / "transformer.joblib"
        if not kept.exists():
            raise FileNotFoundError(f"{kept}: there is no transformer; tabular_features makes one")
        learnt = joblib.load(kept)
        made = Pipeline([("features", learnt), ("model", made)])
    # A clone forgets what was learnt, so that no fold has seen the rows that it is judged by.
    score = float(np.mean(cross_val_score(clone(made), x, y, cv=folds))) if folds >= 2 else None
    made.fit(x, y)
    score = float(made.score(x, y)) if score is None else score
    Path(model.path).mkdir(parents=True, exist_ok=True)
    joblib.dump(made, Path(model.path) / "model.joblib")
    classes = [one.item() if hasattr(one, "item") else one for one in getattr(made, "classes_", [])]
    model.metadata.update(format="sklearn", estimator=estimator, parameters=parameters, features=names)
    model.metadata.update(target=target, classes=classes, score=score)
    print(f"{estimator} {parameters}: {score:.4f}")
    return score


@dsl.component(base_image=IMAGE, packages_to_install=XGBOOST, additional_funcs=[*USING, refuse_unused])
def train_xgboost(
    train: Input[Dataset],
    model: Output[Model],
    target: str,
    parameters: dict = {},
    rounds: int = 100,
    folds: int = 0,
    seed: int = 7,
) -> float:
    """Trains boosted trees; texts and whole numbers of few kinds make a classifier, other targets a regression.

    Args:
        train: Training rows; features must be numbers.
        model: The booster as UBJSON, as the platform and KServe serve it.
        target: The column to predict; all others are features.
        parameters: XGBoost's own, and none that it would not use; `objective` decides for itself.
        rounds: How many trees (for each class).
        folds: With 2 or more: cross-validation, whose last metric is the answer.
        seed: Its seed.

    Returns:
        The evaluation metric of the training rows, or the mean of the cross-validation: an error, the less the better.
    """
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    import xgboost

    if folds < 0 or folds == 1:
        raise ValueError(f"folds {folds}: 0 for none, or at least 2")
    if rounds < 1:
        raise ValueError(f"rounds {rounds}: at least one tree is wanted")
    rows = read_any(train.path)
    names = columns_but(rows, target)
    x, kind = matrix_of(rows, names), rows.schema.field(target).type
    if x.dtype == object:
        raise ValueError("features must be numbers: make them with tabular_features first")
    values = answers_of(rows, target)
    distinct = sorted(set(values))
    number = pa.types.is_floating(kind) or (pa.types.is_integer(kind) and len(distinct) > 50)
    wanted = str(parameters.get("objective") or "")
    classes = [] if wanted.startswith(("reg:", "count:", "rank:", "survival:")) or (number and not wanted) else distinct
    if not classes and not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise ValueError(f"objective {wanted!r}: it takes numbers, and column {target!r} holds {kind}")
    place = {value: at for at, value in enumerate(classes)}
    y = np.asarray([place[value] for value in values] if classes else values, dtype=float)
    usual = {"objective": "reg:squarederror"}
    if classes:
        usual = {"objective": "binary:logistic"}
        if len(classes) > 2:
            usual = {"objective": "multi:softprob", "num_class": len(classes)}
    data = xgboost.DMatrix(x, label=y)
    # KFP carries dictionaries as JSON whose numbers are all floats; XGBoost takes 1 for 1.0, but not 6.0 for 6.
    told = {word: int(v) if isinstance(v, float) and v.is_integer() else v for word, v in parameters.items()}
    settings = {**usual, "seed": seed, "nthread": 0, **told}
    refuse_unused(settings, data)
    score = None
    if folds >= 2:
        tried = xgboost.cv(settings, data, rounds, nfold=folds, stratified=bool(classes), seed=seed, as_pandas=False)
        score = float(
            next(told[-1] for name, told in tried.items() if name.startswith("test-") and name.endswith("-mean"))
        )
    booster = xgboost.train(settings, data, rounds)
    score = float(booster.eval(data).rsplit(":", 1)[1]) if score is None else score
    Path(model.path).mkdir(parents=True, exist_ok=True)
    booster.save_model(Path(model.path) / "model.ubj")
    model.metadata.update(format="xgboost", parameters=settings, rounds=rounds, features=names, target=target)
    model.metadata.update(classes=classes, answers="indices" if classes else "values", score=score)
    return score


@dsl.component(
    base_image=IMAGE,
    packages_to_install=ARROW,
    additional_funcs=[ask, columns_but, is_moved, maker, my_namespace, read_any, take_up],
)
def train_torch(
    train: Input[Dataset],
    model: Output[Model],
    program: str,
    target: str = "",
    nodes: int = 1,
    runtime: str = "torch-distributed",
    arguments: list = [],
    resources: dict = {},
    classes: list = [],
    queue: str = "",
    timeout_s: int = 3600,
    namespace: str = "",
    gateway: str = "",
) -> dict:
    """Trains with torchrun on the nodes of a TrainJob, which the trainer keeps alive, and waits for it. Tried again, or
    moved to another node, it goes on with the TrainJob that it finds.

    Args:
        train: Training rows, in the platform's bucket.
        model: What the program saved; it goes from the job to the bucket, not through this step.
        program: Python, run by torchrun on every node. `mt.dataset()` brings the rows (a Parquet file),
            `mt.save_model("model.pt2")` on rank 0 keeps the model, `mt.report(metrics=...)` tells its figures, with
            `from millstream import training as mt`.
        target: The column to predict, also in the program's environment as TARGET; all others are features.
        nodes: How many.
        runtime: A ClusterTrainingRuntime whose command is torchrun.
        arguments: The program's.
        resources: Of each node, as Kubernetes writes them: {"limits": {"cpu": "2", "memory": "4Gi"}}.
        classes: The classes in the order of the model's scores; `evaluate` then compares answers with labels.
        queue: The LocalQueue in which it waits for quota.
        timeout_s: How long it may take, waiting included.
        namespace: This step's own when empty.
        gateway: The platform's (or the cluster's API server's) base URL; found by itself when empty.

    Returns:
        The last figures that the program reported.
    """
    import hashlib
    import json
    import os
    import signal
    import sys
    import time

    if not train.uri.startswith("s3://"):
        raise ValueError(f"train lies at {train.uri}: nodes of a TrainJob can only reach s3://, so run on the platform")
    if not program.strip():
        raise ValueError("program: it is empty; give the Python that torchrun is to run")
    if nodes < 1:
        raise ValueError(f"nodes {nodes}: at least one is wanted")
    features = columns_but(read_any(train.path), target)
    where = my_namespace(namespace)
    path = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{where}/trainjobs"
    notes = {"millstream.dev/dataset-uri": train.uri, "millstream.dev/model-uri": model.uri.rstrip("/") + "/"}
    command = ["bash", "-c", 'printf %s "$PROGRAM" > program.py && exec torchrun program.py "$@"', "torchrun"]
    trainer = {"numNodes": nodes, "command": [*command, *map(str, arguments)]}
    trainer["env"] = [{"name": "PROGRAM", "value": program}, {"name": "TARGET", "value": target}]
    trainer.update({"resourcesPerNode": resources} if resources else {})
    spec = {"runtimeRef": {"name": runtime}, "trainer": trainer}
    # The same for all attempts of the step with these inputs: what one of them has begun the next one goes on with.
    about = json.dumps([os.environ.get("MILLSTREAM_TASK_ID") or model.uri, train.uri, queue, spec], sort_keys=True)
    name = f"torch-{hashlib.sha256(about.encode()).hexdigest()[:12]}"
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name, "annotations": notes, "labels": maker()},
        "spec": spec,
    }
    if queue:
        job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue

    def give_up(*_):
        if not is_moved():
            ask("DELETE", f"{path}/{name}", gateway=gateway, patient_s=5)
        sys.exit(143)

    signal.signal(signal.SIGTERM, give_up)  # who stops the step stops the job
    if found := take_up(path, job, gateway, timeout_s):
        model.uri = found["metadata"]["annotations"]["millstream.dev/model-uri"].rstrip("/")
        print(f"TrainJob {where}/{name} goes on", flush=True)
    else:
        print(f"TrainJob {where}/{name} with {nodes} node(s)", flush=True)
    end, said = time.monotonic() + timeout_s, ""
    while True:
        status = ask("GET", f"{path}/{name}", gateway=gateway).get("status") or {}
        held = {one["type"]: one for one in status.get("conditions") or [] if one["status"] == "True"}
        if "Complete" in held:
            break
        if "Failed" in held:
            why = str(held["Failed"].get("message") or held["Failed"].get("reason"))
            raise RuntimeError(f"TrainJob {name} failed: {' '.join(why.split())}")  # one line: what is told is the last
        told = ", ".join(sorted(held)) or "waits"
        if told != said:
            print(told, flush=True)
            said = told
        if time.monotonic() > end:
            ask("DELETE", f"{path}/{name}", gateway=gateway)
            raise TimeoutError(f"TrainJob {name} was not complete after {timeout_s} s and was deleted")
        time.sleep(1)
    figures = {one["name"]: float(one["value"]) for one in (status.get("trainerStatus") or {}).get("metrics") or []}
    model.metadata.update(format="pytorch", job=name, classes=classes, features=features, metrics=figures)
    print(f"complete: {figures}")
    return figures
