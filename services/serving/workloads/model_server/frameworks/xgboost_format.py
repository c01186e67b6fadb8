"""XGBoost boosters from their own JSON or UBJSON files; pickled boosters are not accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.serving.workloads.model_server.model import Array, Spec


class XGBoostModel:
    """One FP32 input "input-0" [-1, features]; output "predict" FP32, probabilities for probabilistic objectives."""

    platform = "xgboost"

    def __init__(self, booster: Any, width: int) -> None:
        self.booster = booster
        self.inputs: Sequence[Spec] = (Spec("input-0", "FP32", (-1, int(booster.num_features()))),)
        self.outputs: Sequence[Spec] = (Spec("predict", "FP32", (-1,) if width == 1 else (-1, width)),)

    def predict(self, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        return {"predict": _predict(self.booster, inputs["input-0"])}


def _predict(booster: Any, rows: Array) -> Array:
    if not len(rows):
        return np.empty((0,), dtype=np.float32)
    return np.asarray(booster.inplace_predict(rows, validate_features=False), dtype=np.float32)


def load(path: Path, threads: int) -> XGBoostModel:
    import xgboost

    booster = xgboost.Booster(params={"nthread": threads})
    booster.load_model(path)
    probe = _predict(booster, np.zeros((1, booster.num_features()), dtype=np.float32))
    return XGBoostModel(booster, 1 if probe.ndim == 1 else probe.shape[1])
