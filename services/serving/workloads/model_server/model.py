"""What every framework gives the protocols: named tensors in, named tensors out; it knows no wire format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from services.serving.workloads.model_server.errors import RequestError

Array = np.ndarray[Any, Any]
FLOATS = ("FP16", "FP32", "FP64", "BF16")
INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")


@dataclass(frozen=True)
class Spec:
    """One input or output. A dimension of -1 is any size; shape None is an unknown rank; datatype "" is any."""

    name: str
    datatype: str
    shape: tuple[int, ...] | None

    def metadata(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype or "FP32", "shape": list(self.shape or (-1,))}


class Model(Protocol):
    """A loaded model. `predict` runs in worker threads, several at once, and may raise anything on odd values."""

    platform: str
    inputs: Sequence[Spec]
    outputs: Sequence[Spec]

    def predict(self, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """`inputs` passed `check_inputs`; `wanted` names outputs and is empty when the caller named none."""
        ...


def check_inputs(model: Model, inputs: Mapping[str, Array], datatypes: Mapping[str, str]) -> dict[str, Array]:
    """The inputs under the model's own names, in its datatypes; raises RequestError that names the input."""
    renamed = _own_names(model, inputs)
    checked = {}
    for spec in model.inputs:
        array, sent = renamed[spec.name]
        _check_shape(spec, array)
        checked[spec.name] = _own_type(spec, array, datatypes.get(sent, ""))
    return checked


def _own_names(model: Model, inputs: Mapping[str, Array]) -> dict[str, tuple[Array, str]]:
    expected = [spec.name for spec in model.inputs]
    if len(expected) == 1 and len(inputs) == 1:
        # One tensor into a model with one input is unambiguous; clients name it freely.
        sent, array = next(iter(inputs.items()))
        return {expected[0]: (array, sent)}
    if missing := [name for name in expected if name not in inputs]:
        raise RequestError(f"missing inputs {missing}; the model expects {expected}")
    if unknown := [name for name in inputs if name not in expected]:
        raise RequestError(f"unknown inputs {unknown}; the model expects {expected}")
    return {name: (inputs[name], name) for name in expected}


def _check_shape(spec: Spec, array: Array) -> None:
    if spec.shape is None:
        return
    fits = len(spec.shape) == array.ndim and all(
        want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=False)
    )
    if not fits:
        raise RequestError(f"input {spec.name}: expected shape {list(spec.shape)}, got {list(array.shape)}")


def _own_type(spec: Spec, array: Array, sent: str) -> Array:
    from services.serving.workloads.model_server.tensors import DTYPES

    if not spec.datatype or sent == spec.datatype:
        return array
    numbers = FLOATS + INTEGERS
    widening = (sent in numbers and spec.datatype in FLOATS) or (sent in INTEGERS and spec.datatype in INTEGERS)
    if not widening:
        raise RequestError(f"input {spec.name}: expected datatype {spec.datatype}, got {sent}")
    if spec.datatype in INTEGERS and array.size:
        limits = np.iinfo(DTYPES[spec.datatype])
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise RequestError(f"input {spec.name}: a value is outside the range of {spec.datatype}")
    with np.errstate(over="ignore"):
        return array.astype(DTYPES[spec.datatype], copy=False)


def check_outputs(model: Model, wanted: Sequence[str]) -> None:
    names = [spec.name for spec in model.outputs]
    if unknown := [name for name in wanted if name not in names]:
        raise RequestError(f"unknown outputs {unknown}; the model has {names}")
