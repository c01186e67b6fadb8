"""scikit-learn models from joblib or pickle. Unpickling runs the code of the model, hence a workload and no service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.serving.workloads.model_server.failure import WRONG_FORMAT, StartFailure
from services.serving.workloads.model_server.model import Array, Spec
from services.serving.workloads.model_server.tensors import NAMES


class SklearnModel:
    """One 2-D input "input-0"; outputs "predict" and, where the estimator has it, "predict_proba" (on request)."""

    platform = "sklearn"

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        features = getattr(estimator, "n_features_in_", None)
        self.inputs: Sequence[Spec] = (Spec("input-0", *_input_type(features)),)
        self.outputs: Sequence[Spec] = tuple(_outputs(estimator))

    def predict(self, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        rows = inputs["input-0"]
        if rows.dtype == object:
            rows = np.array([v.decode() if isinstance(v, bytes) else v for v in rows.reshape(-1)]).reshape(rows.shape)
        return {name: np.asarray(getattr(self.estimator, name)(rows)) for name in wanted or ("predict",)}


def _input_type(features: int | None) -> tuple[str, tuple[int, ...] | None]:
    """Estimators on text have no feature count: any datatype, any shape."""
    return ("FP64", (-1, int(features))) if features is not None else ("", None)


def _outputs(estimator: Any) -> list[Spec]:
    classes = getattr(estimator, "classes_", None)
    many = isinstance(classes, list)  # multi-output classifiers hold one array of classes for each output
    labels = np.asarray(classes[0] if many else classes) if classes is not None else None
    datatype = "FP64" if labels is None else NAMES.get(labels.dtype, "BYTES")
    width = len(classes) if many else getattr(estimator, "n_outputs_", 1)
    outputs = [Spec("predict", datatype, (-1,) if width == 1 else (-1, int(width)))]
    if hasattr(estimator, "predict_proba") and labels is not None and not many:
        outputs.append(Spec("predict_proba", "FP64", (-1, len(labels))))
    return outputs


def load(path: Path, threads: int) -> SklearnModel:
    import joblib

    estimator = joblib.load(path)
    if not hasattr(estimator, "predict"):
        raise StartFailure(WRONG_FORMAT, f"{path.name} holds a {type(estimator).__name__}, which has no predict()")
    return SklearnModel(estimator)
