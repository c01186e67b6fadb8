"""Tensors of the Open Inference Protocol to and from NumPy; strict: a value that does not fit is refused, never bent.

Datatypes are those of the protocol: BOOL, (U)INT8-64, FP16, FP32, FP64, BYTES, and BF16, which exists in raw form only.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from services.serving.workloads.model_server.errors import RequestError

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
DATATYPES = (*DTYPES, "BF16")
MAX_RANK = 32


def datatype_of(array: np.ndarray[Any, Any]) -> str:
    """The protocol's name of an array's type; text and objects are BYTES."""
    return NAMES.get(array.dtype.newbyteorder("="), "BYTES")


def check_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A list of non-negative integers, at most MAX_RANK of them, with a product that fits 63 bits."""
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise RequestError(f"input {name}: shape must be a list of at most {MAX_RANK} integers")
    if not all(isinstance(d, int) and not isinstance(d, bool) and d >= 0 for d in shape):
        raise RequestError(f"input {name}: shape must hold non-negative integers, got {shape}")
    if math.prod(shape) >= 2**62 or any(d >= 2**62 for d in shape):
        raise RequestError(f"input {name}: shape {shape} is too large")
    return tuple(shape)


def check_datatype(name: str, datatype: Any) -> str:
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(f"input {name}: unknown datatype {datatype!r}, expected one of {', '.join(DATATYPES)}")
    return datatype


def from_values(name: str, datatype: str, shape: tuple[int, ...], values: Any) -> np.ndarray[Any, Any]:
    """An array from JSON values, flat or nested, in row-major order."""
    if datatype == "BF16":
        raise RequestError(f"input {name}: BF16 must be sent as binary data")
    if not isinstance(values, list):
        raise RequestError(f"input {name}: data must be a list")
    flat = _flat_bytes(name, values) if datatype == "BYTES" else _flat_numbers(name, datatype, values)
    return shaped(name, shape, flat)


def shaped(name: str, shape: tuple[int, ...], flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if flat.size != math.prod(shape):
        raise RequestError(f"input {name}: shape {list(shape)} needs {math.prod(shape)} values, got {flat.size}")
    return flat.reshape(shape)


def _flat_numbers(name: str, datatype: str, values: list[Any]) -> np.ndarray[Any, Any]:
    wanted = DTYPES[datatype]
    try:
        array = np.asarray(values).reshape(-1)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RequestError(f"input {name}: data is ragged, too deep or not numeric") from error
    if array.size == 0:
        return array.astype(wanted)
    if wanted.kind == "u" and array.dtype.kind in "fO":
        array = _large_integers(array, values)
    return _cast(name, datatype, array, wanted)


def _large_integers(array: np.ndarray[Any, Any], values: list[Any]) -> np.ndarray[Any, Any]:
    """Integers above 2**63 make NumPy choose floats; take them again exactly if they are integers."""
    exact = np.asarray(values, dtype=object).reshape(-1)
    if all(type(value) is int and 0 <= value < 2**64 for value in exact):
        return exact.astype(np.uint64)
    return array


def _cast(name: str, datatype: str, array: np.ndarray[Any, Any], wanted: np.dtype[Any]) -> np.ndarray[Any, Any]:
    accepted = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[wanted.kind]
    if array.dtype.kind not in accepted:
        raise RequestError(f"input {name}: data does not hold {datatype} values")
    if wanted.kind in "iu":
        limits = np.iinfo(wanted)
        if int(array.min()) < limits.min or int(array.max()) > limits.max:
            raise RequestError(f"input {name}: a value is outside the range of {datatype}")
    with np.errstate(over="ignore"):
        return array.astype(wanted, copy=False)


def _flat_bytes(name: str, values: list[Any]) -> np.ndarray[Any, Any]:
    flat: list[bytes] = []
    pending = [iter(values)]
    while pending:
        value = next(pending[-1], pending)
        if value is pending:
            pending.pop()
        elif isinstance(value, list):
            pending.append(iter(value))
        elif isinstance(value, str):
            flat.append(value.encode())
        else:
            raise RequestError(f"input {name}: BYTES data must be strings, got {type(value).__name__}")
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array


def from_raw(name: str, datatype: str, shape: tuple[int, ...], raw: bytes | memoryview) -> np.ndarray[Any, Any]:
    """An array from the protocol's raw form: little-endian, row-major; BYTES as length-prefixed elements."""
    if datatype == "BYTES":
        return shaped(name, shape, _raw_bytes(name, raw))
    wanted = np.dtype("<u2") if datatype == "BF16" else DTYPES[datatype].newbyteorder("<")
    expected = math.prod(shape) * wanted.itemsize
    if len(raw) != expected:
        raise RequestError(f"input {name}: {datatype} of shape {list(shape)} needs {expected} bytes, got {len(raw)}")
    array = np.frombuffer(raw, dtype=wanted).reshape(shape)
    if datatype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    if datatype == "BOOL" and array.size and int(array.view(np.uint8).max()) > 1:
        raise RequestError(f"input {name}: BOOL bytes must be 0 or 1")
    return array.astype(DTYPES[datatype], copy=False)


def _raw_bytes(name: str, raw: bytes | memoryview) -> np.ndarray[Any, Any]:
    elements, at = [], 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise RequestError(f"input {name}: a BYTES length is cut off at byte {at}")
        (length,) = struct.unpack_from("<I", raw, at)
        at += 4
        if at + length > len(raw):
            raise RequestError(f"input {name}: a BYTES element of {length} bytes is cut off at byte {at}")
        elements.append(bytes(raw[at : at + length]))
        at += length
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def to_values(array: np.ndarray[Any, Any]) -> list[Any]:
    """Flat JSON values in row-major order; bytes become text (invalid UTF-8 is replaced)."""
    if datatype_of(array) == "BYTES":
        return [as_bytes(value).decode(errors="replace") for value in array.reshape(-1).tolist()]
    return array.reshape(-1).tolist()


def to_raw(array: np.ndarray[Any, Any]) -> bytes:
    if datatype_of(array) == "BYTES":
        elements = [as_bytes(value) for value in array.reshape(-1).tolist()]
        return b"".join(struct.pack("<I", len(element)) + element for element in elements)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
