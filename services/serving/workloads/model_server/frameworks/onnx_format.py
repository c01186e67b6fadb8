"""ONNX models on ONNX Runtime's CPU provider; names, shapes and types are the graph's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.serving.workloads.model_server.failure import WRONG_FORMAT, StartFailure
from services.serving.workloads.model_server.model import Array, Spec

TYPES = {"bool": "BOOL", "float16": "FP16", "float": "FP32", "double": "FP64", "string": "BYTES"} | {
    f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


class OnnxModel:
    """Any number of tensor inputs; a sequence of maps (a classifier's ZipMap) comes out as one 2-D FP32 tensor."""

    platform = "onnx"

    def __init__(self, session: Any) -> None:
        self.session = session
        self.inputs: Sequence[Spec] = tuple(_spec(node) for node in session.get_inputs())
        self.outputs: Sequence[Spec] = tuple(_spec(node) for node in session.get_outputs())

    def predict(self, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        names = list(wanted) or [spec.name for spec in self.outputs]
        feed = {name: _text(array) for name, array in inputs.items()}
        return dict(zip(names, map(_tensor, self.session.run(names, feed)), strict=True))


def _spec(node: Any) -> Spec:
    if match := re.fullmatch(r"tensor\((\w+)\)", node.type):
        if match[1] not in TYPES:
            raise StartFailure(WRONG_FORMAT, f"{node.name} has the type {node.type}, which the protocol cannot carry")
        return Spec(node.name, TYPES[match[1]], tuple(d if isinstance(d, int) and d >= 0 else -1 for d in node.shape))
    return Spec(node.name, "FP32", (-1, -1))


def _text(array: Array) -> Array:
    if array.dtype != object:
        return array
    text = np.empty(array.shape, dtype=object)
    text.reshape(-1)[:] = [value.decode() for value in array.reshape(-1)]
    return text


def _tensor(value: Any) -> Array:
    if isinstance(value, list):
        rows = [list(row.values()) if isinstance(row, dict) else row for row in value]
        return np.asarray(rows, dtype=np.float32)
    return np.asarray(value)


def load(path: Path, threads: int) -> OnnxModel:
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # a predictor talks to nobody but its callers and the object store
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # a refused request is answered to the caller; it is not the server's error
    return OnnxModel(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))
