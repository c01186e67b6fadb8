"""What files consist of, and how one piece of it is read: row groups of Parquet, record batches of Arrow files.

Footers are read once, many at a time; an Arrow file on S3, and one in the streaming format, is one piece.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from millstream.data.errors import DataError
from millstream.data.store import Store, patiently

FOOTERS_AT_ONCE = 16
OPEN_MAX = 64


@dataclass(frozen=True)
class File:
    """`inner` is the Parquet metadata, None for Arrow."""

    store: Store
    path: str
    size: int
    schema: pa.Schema
    inner: Any
    rows: tuple[int, ...]
    """Rows of each piece in it."""


@dataclass(frozen=True)
class Piece:
    file: File
    number: int

    @property
    def rows(self) -> int:
        return self.file.rows[self.number]


class Table:
    """All pieces below some URIs, with the columns and rows that are wanted of them."""

    def __init__(self, stores: Sequence[Store], columns: Sequence[str] | None, where: pc.Expression | None) -> None:
        self.where = where
        found = [(store, path, size) for store in stores for path, size in store.find()]
        with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
            files = list(pool.map(lambda one: _file(*one), found))
        self.schema = _common(files)
        self.columns = _known(self.schema, columns)
        self._read_columns = None if self.columns is None else self._with_filtered()
        self.pieces = [piece for file in files for piece in self._matching(file)]
        self._open: dict[str, Any] = {}
        self._lock = threading.Lock()

    def sizes(self) -> tuple[int, ...]:
        return tuple(piece.rows for piece in self.pieces)

    def fingerprint(self) -> str:
        """Changes with the names, the sizes and the order of the pieces: a position means nothing in other data."""
        words = [f"{piece.file.path}:{piece.file.size}:{piece.number}:{piece.rows}" for piece in self.pieces]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]

    def bytes_per_row(self, index: int) -> float:
        """About, unpacked, of the columns that are read."""
        piece = self.pieces[index]
        if piece.file.inner is None:
            return piece.file.size / max(1, sum(piece.file.rows))
        group = piece.file.inner.row_group(piece.number)
        wanted = set(self._read_columns or self.schema.names)
        sizes = [
            group.column(number).total_uncompressed_size
            for number in range(group.num_columns)
            if group.column(number).path_in_schema.split(".")[0] in wanted
        ]
        return sum(sizes) / max(1, piece.rows)

    def read(self, index: int, start: int, stop: int) -> pa.Table:
        """The wanted columns and rows of rows `start` to `stop` of a piece."""
        piece = self.pieces[index]
        whole = patiently(lambda: self._piece(piece), f"{piece.file.path}, part {piece.number}")
        found = whole.slice(start, stop - start)
        if self.where is not None:
            found = found.filter(self.where)
        return found if self.columns is None else found.select(self.columns)

    def _piece(self, piece: Piece) -> pa.Table:
        file = piece.file
        if file.inner is not None:
            reader = self._parquet(file)
            try:
                return reader.read_row_group(piece.number, columns=self._read_columns, use_threads=True)
            except OSError:
                self._forget(file)
                raise
        with file.store.open(file.path) as source:
            found = _arrow(source, piece.number if len(file.rows) > 1 else None)
        return found if self._read_columns is None else found.select(self._read_columns)

    def _parquet(self, file: File) -> pq.ParquetFile:
        """One reader a file and thread: footers are known, so opening costs no request."""
        key = f"{threading.get_ident()}:{file.path}"
        with self._lock:
            known = self._open.get(key)
        if known is None:
            known = pq.ParquetFile(file.store.open(file.path), metadata=file.inner, pre_buffer=not file.store.is_local)
            with self._lock:
                if len(self._open) >= OPEN_MAX:
                    self._open.clear()
                self._open[key] = known
        return known

    def _forget(self, file: File) -> None:
        with self._lock:
            self._open.pop(f"{threading.get_ident()}:{file.path}", None)

    def _with_filtered(self) -> list[str]:
        """Columns that the filter looks at are read even if nobody wants them."""
        if self.where is None:
            return list(self.columns or ())
        said = str(self.where)
        return [name for name in self.schema.names if name in (self.columns or ()) or name in said]

    def _matching(self, file: File) -> list[Piece]:
        """Row groups whose statistics exclude the filter are never read."""
        numbers = range(len(file.rows))
        if self.where is not None and file.inner is not None:
            form = ds.ParquetFileFormat()
            fragment = form.make_fragment(file.path, file.store.files, row_groups=list(numbers))
            kept = fragment.subset(self.where, schema=self.schema)
            numbers = [group.id for group in kept.row_groups]
        return [Piece(file, number) for number in numbers]

    def __getstate__(self) -> dict[str, Any]:
        """Open files and locks stay in their process."""
        return {**self.__dict__, "_open": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_lock": threading.Lock()}


def _file(store: Store, path: str, size: int) -> File:
    def look() -> File:
        if path.endswith((".parquet", ".pq")):
            with store.open(path) as source:
                about = pq.read_metadata(source)
            rows = tuple(about.row_group(number).num_rows for number in range(about.num_row_groups))
            return File(store, path, size, about.schema.to_arrow_schema(), about, rows)
        return _arrow_file(store, path, size)

    return patiently(look, path)


def _arrow_file(store: Store, path: str, size: int) -> File:
    with store.open(path) as source:
        if source.read(6) != b"ARROW1":
            source.seek(0)
            table = pa.ipc.open_stream(source).read_all()
            return File(store, path, size, table.schema, None, (table.num_rows,))
        reader = pa.ipc.open_file(source)
        if store.is_local:
            rows = tuple(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))
        else:  # reads the messages' heads alone
            rows = (ds.dataset(path, format="ipc", filesystem=store.files).count_rows(),)
        return File(store, path, size, reader.schema, None, rows)


def _arrow(source: Any, batch: int | None) -> pa.Table:
    head = source.read(6)
    source.seek(0)
    if head != b"ARROW1":
        return pa.ipc.open_stream(source).read_all()
    reader = pa.ipc.open_file(source)
    return reader.read_all() if batch is None else pa.Table.from_batches([reader.get_batch(batch)])


def _common(files: Sequence[File]) -> pa.Schema:
    first = files[0]
    for file in files[1:]:
        for field in first.schema:
            other = file.schema.field(field.name) if field.name in file.schema.names else None
            if other is None or not other.type.equals(field.type):
                told = "is missing" if other is None else f"is {other.type}"
                raise DataError(f"{file.path}: column {field.name} {told}, and {field.type} in {first.path}")
    return first.schema


def _known(schema: pa.Schema, columns: Sequence[str] | None) -> list[str] | None:
    for name in columns or ():
        if name not in schema.names:
            raise DataError(f"there is no column {name!r}; there are {', '.join(schema.names)}")
    return None if columns is None else list(columns)
