"""Components that judge models on rows which they have not seen, choose among them, and use them on tables."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from millstream.components.helpers import answers_of, columns_but, load_any, matrix_of, predict_with, read_any
from millstream.components.packages import ANY_MODEL, IMAGE


def class_of(value, classes: list) -> str:
    """The class that a value means, as text. Artifacts' metadata keeps whole numbers as floats, so 3.0 is "3"."""
    found = next((one for one in classes if value == one or str(value) == str(one)), value)
    return str(int(found)) if isinstance(found, float) and found.is_integer() else str(found)


USING = [read_any, columns_but, matrix_of, load_any, predict_with]


@dsl.component(base_image=IMAGE, packages_to_install=ANY_MODEL, additional_funcs=[*USING, answers_of, class_of])
def evaluate(
    model: Input[Model],
    test: Input[Dataset],
    metrics: Output[Metrics],
    confusion: Output[ClassificationMetrics],
    target: str,
    positive: str = "",
) -> float:
    """The figures of a model on test rows: accuracy, F1 and confusion matrix of a classifier, errors of a regression.

    Args:
        model: From any of the training components.
        test: Rows that it was not trained on.
        metrics: All figures.
        confusion: Confusion matrix, and the ROC curve where there are two classes.
        target: The column with the right answers.
        positive: Which of two classes is the positive one; the later of both when empty.

    Returns:
        The accuracy of a classifier, R squared of a regression: the more the better.
    """
    import numpy as np
    from sklearn import metrics as judge

    rows = read_any(test.path)
    right = np.asarray(answers_of(rows, target))
    told, odds = predict_with(model, rows, target)
    classes = list(model.metadata.get("classes") or [])
    if not classes:
        if right.dtype.kind not in "iufb":
            raise ValueError(f"column {target!r} holds texts, and this model predicts numbers")
        told = np.asarray(told, dtype=float)
        found = {
            "r2": judge.r2_score(right, told),
            "rmse": judge.root_mean_squared_error(right, told),
            "mae": judge.mean_absolute_error(right, told),
        }
        score = found["r2"]
    else:
        words = [class_of(one, classes) for one in classes]
        a, b = ([class_of(value, classes) for value in each] for each in (right, told))
        found = {"accuracy": judge.accuracy_score(a, b), "f1": judge.f1_score(a, b, average="macro", zero_division=0)}
        matrix = judge.confusion_matrix(a, b, labels=words)
        confusion.log_confusion_matrix(words, matrix.tolist())
        if odds is not None and len(words) == 2:
            if positive and positive not in words:
                raise ValueError(f"positive {positive!r}: the classes are {', '.join(words)}")
            at = words.index(positive) if positive else 1
            truth = np.asarray(a) == words[at]
            fpr, tpr, thresholds = judge.roc_curve(truth, odds[:, at])
            found["auc"] = judge.auc(fpr, tpr)
            keep = np.unique(np.linspace(0, len(fpr) - 1, min(len(fpr), 200)).astype(int))
            finite = np.where(np.isfinite(thresholds), thresholds, 1.0)
            confusion.log_roc_curve(fpr[keep].tolist(), tpr[keep].tolist(), finite[keep].tolist())
        score = found["accuracy"]
    for name, value in {**found, "rows": len(right)}.items():
        metrics.log_metric(name, float(value))
        print(f"{name}: {float(value):.4f}")
    return float(score)


@dsl.component(base_image=IMAGE)
def pick_best(models: Input[list[Model]], scores: list[float], best: Output[Model], larger: bool = True) -> NamedTuple(
    "Outputs", index=int, score=float
):
    """Chooses among candidates, with `dsl.Collected` after a ParallelFor.

    Args:
        models: The candidates.
        scores: One for each, in the same order.
        best: The best, with its metadata.
        larger: Whether a larger score is better (an error is not).

    Returns:
        index: Its place among the candidates.
        score: Its score.
    """
    import shutil
    from pathlib import Path

    if not models or len(models) != len(scores):
        raise ValueError(f"there are {len(models)} models and {len(scores)} scores: one score for each model is wanted")
    index = (max if larger else min)(range(len(scores)), key=lambda at: scores[at])
    source = Path(models[index].path)
    if source.is_dir():
        shutil.copytree(source, best.path)
    else:
        shutil.copyfile(source, best.path)
    best.metadata.update(models[index].metadata)
    best.metadata.update(chosen_from=len(models), score=scores[index])
    for at, score in enumerate(scores):
        told = models[at].metadata
        print(f"{'->' if at == index else '  '} {score:.4f} {told.get('estimator', '')} {told.get('parameters', '')}")
    return index, scores[index]


@dsl.component(base_image=IMAGE, packages_to_install=ANY_MODEL, additional_funcs=USING)
def batch_predict(
    model: Input[Model],
    table: Input[Dataset],
    predictions: Output[Dataset],
    keep: list = [],
    probabilities: bool = False,
) -> int:
    """Predicts for every row of a table, within this step.

    Args:
        model: From any of the training components.
        table: Rows with the columns that it was trained on.
        predictions: The column `prediction`, and `p_<class>` where probabilities are wanted.
        keep: Columns of the table that stay beside the prediction (an id, say).
        probabilities: Whether to say how sure the model is of each class.

    Returns:
        How many rows.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = read_any(table.path)
    columns_but(rows, *keep)
    told, odds = predict_with(model, rows)
    made = rows.select(list(keep)) if keep else None
    columns = {"prediction": np.asarray(told)}
    if probabilities:
        if odds is None:
            raise ValueError("probabilities: this model has none")
        names = list(model.metadata.get("classes") or range(odds.shape[1]))
        columns.update({f"p_{name}": np.ascontiguousarray(odds[:, at]) for at, name in enumerate(names)})
    out = pa.table({**({name: made[name] for name in made.column_names} if made else {}), **columns})
    pq.write_table(out, predictions.path)
    predictions.metadata.update(format="parquet", rows=out.num_rows, columns=out.num_columns)
    return out.num_rows
