"""A stream in the workers of a torch DataLoader: each reads a share, and tells with each batch how far it is.

Workers that read S3 are spawned: the client's threads do not survive a fork.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from millstream.data.stream import Stream


class Loader:
    """Goes through one epoch each time it is iterated, and moves the stream along."""

    def __init__(self, stream: Stream, workers: int, more: dict[str, Any]) -> None:
        self._stream, self._workers = stream, max(1, workers)
        self._more = dict(more)
        if workers and not stream.is_local:
            self._more.setdefault("multiprocessing_context", "spawn")
        self._processes = workers

    def __iter__(self) -> Iterator[Any]:
        stream = self._stream
        stream.move(stream.place_for(self._workers))
        told = _Told(stream, stream.place().turn)
        options = {"batch_size": None, "collate_fn": _as_it_is, **self._more}
        for worker, position, found in DataLoader(told, num_workers=self._processes, **options):
            stream.move(stream.place().at(worker, position))
            yield found
        stream.set_epoch(stream.epoch + 1)


def _as_it_is(found: Any) -> Any:
    return found


class _Told(IterableDataset):
    """A worker's share. `turn` is which worker's batch is the next: the first process takes its part, so that the
    order in which the loader asks its workers goes on where it was."""

    def __init__(self, stream: Stream, turn: int) -> None:
        self._stream, self._turn = stream, turn

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        number, count = (info.id, info.num_workers) if info else (0, 1)
        return self._stream.share((number + self._turn) % count, count)
