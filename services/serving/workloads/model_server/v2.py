"""Open Inference Protocol V2 over HTTP, as pure functions between bytes and tensors, with the binary tensor extension.

Source: the protocol's public specification and the binary data extension of its first server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from services.serving.workloads.model_server import tensors
from services.serving.workloads.model_server.errors import RequestError
from services.serving.workloads.model_server.model import Array

UNSUPPORTED = ("shared_memory_region", "classification")


@dataclass
class InferRequest:
    """A parsed request. `binary` names the outputs asked for in raw form; `binary_default` is for the rest."""

    id: str | None = None
    inputs: dict[str, Array] = field(default_factory=dict)
    datatypes: dict[str, str] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    binary: dict[str, bool] = field(default_factory=dict)
    binary_default: bool = False


def parse(body: bytes, header_length: int | None) -> InferRequest:
    """Read a request body; `header_length` is Inference-Header-Content-Length when tensors follow the JSON."""
    if header_length is not None and not 0 <= header_length <= len(body):
        raise RequestError(f"Inference-Header-Content-Length {header_length} is beyond the body of {len(body)} bytes")
    document = load_object(body if header_length is None else body[:header_length])
    request = InferRequest(id=_optional(document, "id", str, None))
    _read_inputs(request, document, memoryview(b"" if header_length is None else body)[header_length or 0 :])
    request.binary_default = _flag(_parameters(document, "the request"), "binary_data_output", False)
    _read_outputs(request, document)
    return request


def load_object(text: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    return document


def _read_inputs(request: InferRequest, document: dict[str, Any], tail: memoryview) -> None:
    listed = document.get("inputs")
    if not isinstance(listed, list) or not listed:
        raise RequestError("inputs must be a non-empty list")
    at = 0
    for entry in listed:
        name = _name(entry, "inputs")
        if name in request.inputs:
            raise RequestError(f"input {name} appears twice")
        datatype = tensors.check_datatype(name, entry.get("datatype"))
        shape = tensors.check_shape(name, entry.get("shape"))
        size = _binary_size(name, entry)
        if size is None:
            array = tensors.from_values(name, datatype, shape, entry.get("data"))
        else:
            if at + size > len(tail):
                raise RequestError(f"input {name}: binary_data_size {size} runs past the end of the body")
            array = tensors.from_raw(name, datatype, shape, tail[at : at + size])
            at += size
        request.inputs[name], request.datatypes[name] = array, datatype
    if at != len(tail):
        raise RequestError(f"{len(tail) - at} bytes of binary data belong to no input")


def _binary_size(name: str, entry: dict[str, Any]) -> int | None:
    parameters = _parameters(entry, f"input {name}")
    if "binary_data_size" not in parameters:
        return None
    size = parameters["binary_data_size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise RequestError(f"input {name}: binary_data_size must be a non-negative integer")
    if "data" in entry:
        raise RequestError(f"input {name}: data and binary_data_size exclude each other")
    return size


def _read_outputs(request: InferRequest, document: dict[str, Any]) -> None:
    listed = document.get("outputs")
    if listed is None:
        return
    if not isinstance(listed, list):
        raise RequestError("outputs must be a list")
    for entry in listed:
        name = _name(entry, "outputs")
        if name in request.wanted:
            raise RequestError(f"output {name} appears twice")
        parameters = _parameters(entry, f"output {name}")
        request.wanted.append(name)
        request.binary[name] = _flag(parameters, "binary_data", request.binary_default)


def _name(entry: Any, where: str) -> str:
    if not isinstance(entry, dict):
        raise RequestError(f"{where} must hold objects")
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise RequestError(f"{where}: name must be a non-empty string")
    return name


def _parameters(entry: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(f"{where}: parameters must be an object")
    if refused := [key for key in UNSUPPORTED if key in parameters]:
        raise RequestError(f"{where}: the parameter {refused[0]} is not supported")
    return parameters


def _flag(parameters: dict[str, Any], key: str, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise RequestError(f"{key} must be true or false")
    return value


def _optional(document: dict[str, Any], key: str, kind: type, default: Any) -> Any:
    value = document.get(key)
    if value is not None and not isinstance(value, kind):
        raise RequestError(f"{key} must be a {kind.__name__}")
    return default if value is None else value


def render(model: str, version: str, request: InferRequest, results: dict[str, Array]) -> tuple[bytes, int | None]:
    """The response body and, when raw tensors follow the JSON, the length of its JSON part."""
    raws: list[bytes] = []
    outputs = []
    for name, array in results.items():
        datatype = tensors.datatype_of(array)
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": datatype}
        if request.binary.get(name, request.binary_default):
            raws.append(tensors.to_raw(array))
            entry["parameters"] = {"binary_data_size": len(raws[-1])}
        elif datatype in ("FP32", "FP64") and array.size:
            entry["data"] = _readable(array)
        else:
            entry["data"] = tensors.to_values(array)
        outputs.append(entry)
    document: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": outputs}
    if request.id is not None:
        document["id"] = request.id
    head = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((head, *raws)), len(head)) if raws else (head, None)


def _readable(array: Array) -> Array:
    """Floats go to orjson as an array, which writes the shortest digits that read back as the same number."""
    import numpy as np

    return np.ascontiguousarray(array.reshape(-1), dtype=array.dtype.newbyteorder("="))
