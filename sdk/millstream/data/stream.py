"""The stream that a training loop goes through: one epoch each time it is iterated, from where a state left it.

Iterated in the program itself it reads with threads, which is enough for most; in a DataLoader's workers (`loader`)
each worker reads a share of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from millstream.data import resume
from millstream.data.ahead import ahead
from millstream.data.errors import DataError
from millstream.data.forms import Form, Frame, batch
from millstream.data.order import Even, Order, Part, Position, Share, Slice, Window, permutation, position, taken
from millstream.data.pieces import Table
from millstream.data.store import stores

if TYPE_CHECKING:
    import pyarrow.compute as pc

MEMORY_BYTES = 512 << 20


class Stream:
    """Batches of the rows below `uri` (default: the job's dataset); see `__init__` for what can be asked of it."""

    def __init__(
        self,
        uri: str | os.PathLike[str] | Sequence[str] | None = None,
        *,
        batch: int = 64,
        columns: Sequence[str] | None = None,
        where: pc.Expression | None = None,
        shuffle: bool = False,
        seed: int = 0,
        buffer_rows: int = 16_384,
        even: Even = None,
        drop_last: bool = False,
        format: Form = "torch",
        rank: int | None = None,
        world: int | None = None,
        threads: int = 2,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """`where` is a filter over columns, like `pc.field("score") > 0.5`. `shuffle` draws the order of row groups
        from `seed` and the epoch, and mixes rows among at least `buffer_rows`. `even` gives all ranks as many
        rows: "drop" leaves out fewer than one for each rank, "pad" repeats as few. `rank` and `world` come from the
        environment of torchrun. `memory_bytes` bounds what is read ahead. Raises DataError, naming what to change."""
        uris = uri if uri is not None else os.environ.get("MILLSTREAM_DATASET_URI")
        if not uris:
            raise DataError("which data? give a URI, or run inside a job with a dataset")
        if batch < 1 or buffer_rows < 1 or threads < 1 or seed < 0:
            raise DataError("batch, buffer_rows and threads must be at least 1, and the seed no less than 0")
        if even not in (None, "drop", "pad") or format not in ("torch", "numpy", "arrow"):
            raise DataError(
                f"even={even!r}, format={format!r}: even is 'drop', 'pad' or None, format torch, numpy or arrow"
            )
        if even and where is not None:
            raise DataError("even sizes need known sizes, and a filter hides them: write the filtered rows first")
        self._uris, self._columns, self._where = uris, columns, where
        self._batch, self._drop_last, self._form = batch, drop_last, format
        self._shuffle, self._seed, self._buffer_rows, self._even = shuffle, seed, buffer_rows, even
        self._rank = int(os.environ.get("RANK", "0")) if rank is None else rank
        self._world = int(os.environ.get("WORLD_SIZE", "1")) if world is None else world
        if not 0 <= self._rank < self._world:
            raise DataError(f"rank {self._rank} of {self._world}: a rank is a number below the world size")
        self._threads, self._memory_bytes = threads, memory_bytes
        self._place = resume.Place(workers=1, positions=[(0, 0)])
        _let_loaders_know(type(self), format)

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration goes through; it moves on when one is over."""
        return self._place.epoch

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch from its start, forgetting the position in the present one."""
        self._place = resume.Place(epoch, workers=1, positions=[(0, 0)])

    @property
    def rows(self) -> int:
        """Rows that this rank gets of a whole epoch; with a filter, at most."""
        return self._order.total(Share(self._rank, self._world))

    @property
    def schema(self) -> pa.Schema:
        return self._table.schema

    def __iter__(self) -> Iterator[Any]:
        worker, workers = _worker()
        if workers > 1:
            yield from (found for _, _, found in self.share(worker, workers))
            return
        self._place = self.place_for(1)
        for _, after, found in self.share(0, 1):
            self._place = self._place.at(0, after)
            yield found
        self.set_epoch(self.epoch + 1)

    def share(self, worker: int, workers: int) -> Iterator[tuple[int, Position, Any]]:
        """(worker, position after it, batch) for each batch of one worker's share, from the present place on."""
        place = self.place_for(workers)
        share = Share(self._rank, self._world, worker, workers)
        windows = self._order.windows(place.epoch, share, place.history)
        for after, found in self._batches(windows, *place.positions[worker]):
            yield worker, after, found

    def loader(self, workers: int, **more: Any) -> Any:
        """Batches through a torch DataLoader of so many worker processes; this stream's state follows what came out.
        `more` goes to the DataLoader (prefetch_factor, pin_memory, ...)."""
        from millstream.data.loading import Loader

        return Loader(self, workers, more)

    def state_dict(self) -> dict[str, Any]:
        """Where this rank is: plain numbers, JSON will do. The batch that came last counts as used."""
        place = {"fingerprint": self._table.fingerprint(), "rank": self._rank, "world": self._world, "even": self._even}
        return {**place, "order": self._order_key(), **self._place.to_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues with the very next row. A state of another number of ranks or workers is shared out anew: merge
        the states of all ranks first (`Stream.merged`), unless `even` is set, where all ranks are equally far."""
        if state["fingerprint"] != self._table.fingerprint():
            raise DataError("the data is not what this state was saved with: files or row groups changed; start anew")
        if state["order"] != self._order_key():
            raise DataError(f"the state is of {state['order']} and this stream of {self._order_key()}; make them equal")
        peers = self._equally_far if self._even else None
        self._place = resume.loaded(state, self._rank, self._world, peers)

    @staticmethod
    def merged(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """One state of those of all ranks, which any number of ranks can load."""
        return resume.merged(states)

    def place(self) -> resume.Place:
        """Where the stream is; for `loader`, which moves it."""
        return self._place

    def place_for(self, workers: int) -> resume.Place:
        """The same place, for so many workers."""
        peers = self._equally_far if self._even or self._world == 1 else None
        return resume.adapted(self._place, self._rank, self._world, workers, peers)

    def move(self, place: resume.Place) -> None:
        self._place = place

    def _equally_far(self, place: resume.Place, rank: int, world: int) -> list[Position]:
        """Where all readers of all ranks are when each has given out as many rows as those of `rank`."""

        def windows(rank: int, worker: int) -> list[Window]:
            return self._order.windows(place.epoch, Share(rank, world, worker, place.workers), place.history)

        if world == 1:
            return list(place.positions)
        given = [taken(windows(rank, worker), place.positions[worker]) for worker in range(place.workers)]
        return [position(windows(r, w), given[w]) for r in range(world) for w in range(place.workers)]

    @property
    def is_local(self) -> bool:
        return all(store.is_local for store in stores(self._uris))

    @cached_property
    def _table(self) -> Table:
        return Table(stores(self._uris), self._columns, self._where)

    @cached_property
    def _order(self) -> Order:
        filtered = self._where is not None
        return Order(self._table.sizes(), self._seed, self._shuffle, self._buffer_rows, self._even, filtered)

    def _order_key(self) -> dict[str, Any]:
        told = {"seed": self._seed, "shuffle": self._shuffle, "buffer_rows": self._buffer_rows}
        return told if self._shuffle else {"shuffle": False}

    def _batches(self, windows: list[Window], number: int, given: int) -> Iterator[tuple[Position, Any]]:
        """(position after it, batch), from row `given` of window `number` on."""
        slices: list[Any] = []
        missing = self._batch
        frames = ahead(windows[number:], self._load, self._cost, threads=self._threads, budget=self._memory_bytes)
        for frame in frames:
            while given < frame.rows:
                stop = min(frame.rows, given + missing)
                slices.append(frame.slice(given, stop))
                missing, given = missing - (stop - given), stop
                if not missing:
                    yield (number, given) if given < frame.rows else (number + 1, 0), batch(slices, self._form)
                    slices, missing = [], self._batch
            number, given = number + 1, 0
        if slices and not self._drop_last:
            yield (number, 0), batch(slices, self._form)

    def _load(self, window: Window) -> Frame:
        table = self._read(window)
        return Frame.of(table, permutation(window, table.num_rows), self._form)

    def _cost(self, window: Window) -> float:
        return sum(self._part_cost(part) for part in window.parts)

    def _part_cost(self, part: Part) -> float:
        if isinstance(part, Slice):  # the whole piece is unpacked for it
            return self._table.bytes_per_row(part.piece) * self._table.pieces[part.piece].rows
        return self._cost(part.window)

    def _read(self, window: Window) -> pa.Table:
        """The rows of a window, not in its own order yet."""
        found = [self._read_part(part) for part in window.parts]
        return found[0] if len(found) == 1 else pa.concat_tables(found)

    def _read_part(self, part: Part) -> pa.Table:
        if isinstance(part, Slice):
            return self._table.read(part.piece, part.start, part.stop)
        whole = self._read(part.window)
        order = permutation(part.window, whole.num_rows)
        stop = whole.num_rows if part.stop is None else part.stop
        if order is None:
            return whole.slice(part.start, max(0, stop - part.start))
        return whole.combine_chunks().take(pa.array(order[part.start : stop]))


def _worker() -> tuple[int, int]:
    """Which worker of how many this process is, if a DataLoader made it."""
    data = sys.modules.get("torch.utils.data")
    info = data.get_worker_info() if data else None
    return (info.id, info.num_workers) if info else (0, 1)


def _let_loaders_know(kind: type, form: Form) -> None:
    """A DataLoader iterates over what is an IterableDataset, so a stream counts as one where torch is in use."""
    if form == "torch":
        import torch.utils.data  # noqa: F401
    data = sys.modules.get("torch.utils.data")
    if data is not None:
        data.IterableDataset.register(kind)
