"""Rows as batches: Arrow tables, dicts of numpy arrays, dicts of torch tensors; what has no tensor stays a list."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa

from millstream.data.errors import DataError

Form = Literal["torch", "numpy", "arrow"]
Columns = dict[str, Any]


class Frame:
    """The rows of one window in their final order, ready to be sliced."""

    def __init__(self, rows: int, columns: Columns | pa.Table) -> None:
        self.rows, self._columns = rows, columns

    @classmethod
    def of(cls, table: pa.Table, order: np.ndarray | None, form: Form) -> Frame:
        if form == "arrow":
            return cls(table.num_rows, table if order is None else table.combine_chunks().take(pa.array(order)))
        columns = {name: _array(name, table.column(name)) for name in table.column_names}
        return cls(table.num_rows, columns if order is None else {k: v[order] for k, v in columns.items()})

    @property
    def nbytes(self) -> int:
        if isinstance(self._columns, pa.Table):
            return int(self._columns.nbytes)
        return sum(_size(column) for column in self._columns.values())

    def slice(self, start: int, stop: int) -> Columns | pa.Table:
        if isinstance(self._columns, pa.Table):
            return self._columns.slice(start, stop - start)
        return {name: column[start:stop] for name, column in self._columns.items()}


def batch(slices: list[Any], form: Form) -> Any:
    """One batch of slices that may come of several windows."""
    if form == "arrow":
        return slices[0] if len(slices) == 1 else pa.concat_tables(slices)
    joined = slices[0]
    if len(slices) > 1:
        joined = {name: np.concatenate([part[name] for part in slices]) for name in joined}
    return {name: _tensor(name, column) for name, column in joined.items()} if form == "torch" else joined


def _array(name: str, column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if isinstance(kind, pa.FixedShapeTensorType):
        return column.combine_chunks().to_numpy_ndarray() if column.num_chunks else np.empty((0, *kind.shape))
    if pa.types.is_fixed_size_list(kind) and pa.types.is_primitive(kind.value_type):
        _no_nulls(name, column)
        parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        flat = np.concatenate(parts) if parts else np.empty(0, kind.value_type.to_pandas_dtype())
        return flat.reshape(-1, kind.list_size)
    if pa.types.is_primitive(kind):
        if not pa.types.is_floating(kind):
            _no_nulls(name, column)
        return column.to_numpy()
    return _objects(column)


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    """Texts, and lists of any lengths, one object a row."""
    out = np.empty(len(column), dtype=object)
    values = column.to_pylist() if not pa.types.is_list(column.type) else _lists(column)
    for number, value in enumerate(values):
        out[number] = value
    return out


def _lists(column: pa.ChunkedArray) -> list[Any]:
    inner = column.type.value_type
    if not pa.types.is_primitive(inner):
        return column.to_pylist()
    return [None if v is None or not v.is_valid else v.values.to_numpy(zero_copy_only=False) for v in column]


def _no_nulls(name: str, column: pa.ChunkedArray) -> None:
    if column.null_count:
        told = f"column {name!r} has rows without a value, which no array of {column.type} can hold"
        raise DataError(f"{told}; filter them out (where=pc.field({name!r}).is_valid()) or read format='arrow'")


def _tensor(name: str, column: np.ndarray) -> Any:
    import torch

    if column.dtype == object:
        return [torch.tensor(value) if isinstance(value, np.ndarray) else value for value in column]
    if column.dtype.kind in "mM":
        raise DataError(f"column {name!r} holds times, for which there is no tensor; read format='numpy'")
    return torch.from_numpy(column if column.flags.writeable else column.copy())


def _size(column: np.ndarray) -> int:
    return int(column.nbytes) if column.dtype != object else 64 * len(column)
