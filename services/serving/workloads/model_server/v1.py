"""The V1 protocol (`{"instances": [...]}`) as pure functions between JSON and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.serving.workloads.model_server import tensors
from services.serving.workloads.model_server.errors import RequestError
from services.serving.workloads.model_server.model import Array, Model
from services.serving.workloads.model_server.v2 import load_object


def parse(model: Model, body: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """The model's inputs from rows ("instances" is a list, one entry a row) or columns ("inputs" by name)."""
    document = load_object(body)
    instances = document.get("instances", document.get("inputs"))
    if isinstance(instances, dict):
        columns = instances
    elif isinstance(instances, list) and instances:
        columns = _columns(model, instances)
    else:
        raise RequestError("the body must hold instances: a non-empty list with one entry a row")
    datatypes = {spec.name: spec.datatype for spec in model.inputs}
    arrays = {name: _array(name, values, datatypes.get(name, "")) for name, values in columns.items()}
    return arrays, {name: tensors.datatype_of(array) for name, array in arrays.items()}


def _columns(model: Model, instances: list[Any]) -> dict[str, Any]:
    if not all(isinstance(row, dict) for row in instances):
        return {model.inputs[0].name if len(model.inputs) == 1 else "instances": instances}
    names = list(instances[0])
    if any(list(row) != names and set(row) != set(names) for row in instances):
        raise RequestError("instances: every row must have the same names")
    return {name: [row[name] for row in instances] for name in names}


def _array(name: str, values: Any, datatype: str) -> Array:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RequestError(f"instances of {name} are ragged, too deep or of mixed kinds") from error
    if array.dtype.kind == "U":
        coded = np.empty(array.shape, dtype=object)
        coded.reshape(-1)[:] = [str(value).encode() for value in array.reshape(-1)]
        return coded
    if array.dtype.kind not in "biuf":
        raise RequestError(f"instances of {name} must hold numbers, booleans or strings of one kind")
    # JSON has one kind of number, so here it takes the model's datatype where that loses nothing.
    wanted = tensors.DTYPES.get(datatype)
    if wanted is not None and wanted.kind == "f" and array.dtype.kind in "iuf":
        with np.errstate(over="ignore"):
            return array.astype(wanted)
    if not datatype and array.dtype == np.float64:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    return array


def render(results: dict[str, Array]) -> dict[str, Any]:
    """One output answers as plain rows; several as one object a row where they share their first dimension."""
    nested = {name: _nested(array) for name, array in results.items()}
    if len(nested) == 1:
        return {"predictions": next(iter(nested.values()))}
    lengths = {len(rows) if isinstance(rows, list) else -1 for rows in nested.values()}
    if len(lengths) == 1 and -1 not in lengths:
        return {"predictions": [dict(zip(nested, row, strict=True)) for row in zip(*nested.values(), strict=True)]}
    return {"predictions": nested}


def _nested(array: Array) -> Any:
    if tensors.datatype_of(array) != "BYTES":
        return array.tolist()
    text = np.empty(array.shape, dtype=object)
    text.reshape(-1)[:] = tensors.to_values(array)
    return text.tolist()
