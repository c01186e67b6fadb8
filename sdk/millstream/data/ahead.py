"""Reads ahead in threads: results come in order, and what waits for its turn never takes more memory than allowed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


def ahead(
    items: Iterable[T],
    load: Callable[[T], U],
    cost: Callable[[T], float],
    *,
    threads: int,
    budget: float,
) -> Iterator[U]:
    """`load(item)` for each item, in order. `cost` is what an item takes while it waits; at least one is under way."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="millstream-data")
    waiting: deque[tuple[Future[U], float]] = deque()
    left = iter(items)
    spent = 0.0
    held: Any = next(left, None)
    try:
        while held is not None or waiting:
            while held is not None and (not waiting or spent + cost(held) <= budget) and len(waiting) <= 2 * threads:
                waiting.append((pool.submit(load, held), cost(held)))
                spent += waiting[-1][1]
                held = next(left, None)
            future, price = waiting.popleft()
            loaded = future.result()
            spent -= price
            del future
            yield loaded
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
