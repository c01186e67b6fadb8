"""Who reads which rows in which order, by the functions alone: every row once, for any division, shuffle and stop."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from millstream.data.order import Order, Position, Rest, Share, Slice, Window, permutation, position, rows, taken

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def content(order: Order, window: Window, kept: frozenset[int] | None = None) -> list[int]:
    """The rows of a window in its order, numbered through all pieces; `kept` are those that a filter leaves."""
    starts = [sum(order.sizes[:number]) for number in range(len(order.sizes))]
    found: list[int] = []
    for part in window.parts:
        if isinstance(part, Slice):
            whole = range(starts[part.piece] + part.start, starts[part.piece] + part.stop)
            found += [row for row in whole if kept is None or row in kept]
        else:
            assert isinstance(part, Rest)
            found += content(order, part.window, kept)[part.start : part.stop]
    by = permutation(window, len(found))
    return found if by is None else [found[number] for number in by.tolist()]


def read(
    order: Order, epoch: int, share: Share, history: list, stop: int, kept: frozenset[int] | None = None
) -> tuple[list[int], Position]:
    """The first `stop` rows of a share, and where that is."""
    found: list[int] = []
    windows = order.windows(epoch, share, history)
    for number, window in enumerate(windows):
        inside = content(order, window, kept)
        if len(found) + len(inside) > stop:
            given_out = stop - len(found)
            return found + inside[:given_out], (number, given_out)
        found += inside
    return found, (len(windows), 0)


def shares(world: int, workers: int) -> list[Share]:
    return [Share(rank, world, worker, workers) for rank in range(world) for worker in range(workers)]


@given(
    sizes=SIZES,
    seed=st.integers(0, 99),
    shuffle=st.booleans(),
    buffer_rows=st.integers(1, 50),
    divisions=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 30)), max_size=3),
    last=st.tuples(st.integers(1, 5), st.integers(1, 3)),
    some=st.none() | st.sets(st.integers(0, 480)),
)
@settings(max_examples=300, deadline=None)
def test_every_row_comes_once_however_often_and_wherever_the_readers_change(
    sizes, seed, shuffle, buffer_rows, divisions, last, some
) -> None:
    """Each division reads about so many rows on each reader, stops, and another number of readers goes on."""
    kept = None if some is None else frozenset(some)
    order = Order(tuple(sizes), seed, shuffle, buffer_rows, None, filtered=kept is not None)
    seen: list[int] = []
    history: list = []
    for world, workers, stop in divisions:
        positions = []
        for share in shares(world, workers):
            found, place = read(order, 1, share, history, stop + share.reader % 3, kept)
            seen += found
            positions.append(place)
        history.append({"world": world, "workers": workers, "positions": positions})
    for share in shares(*last):
        seen += read(order, 1, share, history, 10**9, kept)[0]
    assert sorted(seen) == [row for row in range(sum(sizes)) if kept is None or row in kept]


@given(sizes=SIZES, world=st.integers(1, 7), workers=st.integers(1, 3), even=st.sampled_from(["drop", "pad"]))
@settings(max_examples=200, deadline=None)
def test_even_sizes_are_equal_and_miss_or_repeat_fewer_rows_than_there_are_ranks(sizes, world, workers, even) -> None:
    order, total = Order(tuple(sizes), 3, True, 16, even), sum(sizes)
    by_rank = [
        [row for worker in range(workers) for row in read(order, 0, Share(rank, world, worker, workers), [], 10**9)[0]]
        for rank in range(world)
    ]
    each = {len(found) for found in by_rank}
    assert each == {total // world if even == "drop" else -(-total // world)}
    seen = [row for found in by_rank for row in found]
    if even == "drop":
        assert len(set(seen)) == len(seen) > total - world
    else:
        assert set(seen) == set(range(total)) and len(seen) < total + world


@given(sizes=SIZES, world=st.integers(1, 6))
def test_without_even_sizes_no_rank_has_two_rows_more_than_another(sizes, world) -> None:
    order = Order(tuple(sizes), 0, True, 8, None)
    counts = [sum(map(rows, order.windows(0, Share(rank, world)))) for rank in range(world)]
    assert max(counts) - min(counts) <= 1


def test_the_order_is_the_seeds_and_the_epochs_alone() -> None:
    order = Order((30, 30, 30, 30), 7, True, 40, None)
    first = read(order, 0, Share(), [], 10**9)[0]
    assert first == read(Order((30, 30, 30, 30), 7, True, 40, None), 0, Share(), [], 10**9)[0]
    assert first != read(order, 1, Share(), [], 10**9)[0]
    assert first != read(Order((30, 30, 30, 30), 8, True, 40, None), 0, Share(), [], 10**9)[0]
    neighbours = sum(abs(a - b) == 1 for a, b in pairwise(first))
    assert neighbours < 12, "rows that were neighbours mostly still are"


@given(sizes=SIZES, stop=st.integers(0, 500))
def test_a_position_and_a_number_of_rows_say_the_same(sizes, stop) -> None:
    order = Order(tuple(sizes), 1, True, 20, None)
    windows = order.windows(0, Share())
    _, place = read(order, 0, Share(), [], stop)
    assert position(windows, taken(windows, place)) == place
