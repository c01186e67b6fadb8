"""The stream over real files, from disk and from a real S3 server, in this process and in a DataLoader's workers."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from millstream.data import DataError, Stream, pieces, store
from millstream.data.ahead import ahead

from tests.blobs.server import pod_variables, s3_server
from tests.platform import until

ROWS = 1000


def table(start: int, count: int) -> pa.Table:
    ids = np.arange(start, start + count)
    pixels = pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(ids, 4).astype("f4")), 4)
    tokens = pa.array([list(range(i % 5)) for i in ids.tolist()], pa.list_(pa.int64()))
    texts = pa.array([f"row {i}" for i in ids.tolist()])
    return pa.table({"id": ids, "score": ids / ROWS, "pixels": pixels, "tokens": tokens, "text": texts})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 rows in a Parquet file of 7 row groups, an Arrow file of 3 batches, a stream, and what is no data."""
    made = tmp_path_factory.mktemp("data")
    (made / "deep").mkdir()
    pq.write_table(table(0, 400), made / "a.parquet", row_group_size=60)
    pq.write_table(table(400, 200), made / "deep" / "b.parquet", row_group_size=60)
    with pa.ipc.new_file(str(made / "c.arrow"), table(600, 1).schema) as file:
        file.write_table(table(600, 300), max_chunksize=100)
    with pa.ipc.new_stream(str(made / "d.arrow"), table(900, 1).schema) as file:
        file.write_table(table(900, 100))
    (made / "_SUCCESS.parquet").write_text("")
    (made / "readme.txt").write_text("no data")
    return made


def ids(batches: Any) -> list[int]:
    return [int(row) for batch in batches for row in batch["id"]]


def stream(folder: Path | str, **more: Any) -> Stream:
    options = {"shuffle": True, "seed": 5, "buffer_rows": 150, "batch": 16, "format": "numpy", "columns": ["id"]}
    return Stream(folder, **{**options, **more})


def test_all_formats_of_files_are_read_and_nothing_else(folder: Path) -> None:
    plain = stream(folder, shuffle=False)
    assert ids(plain) == [*range(400), *range(600, 900), *range(900, 1000), *range(400, 600)]
    assert plain.rows == ROWS
    assert plain.epoch == 1


def test_columns_come_as_tensors_arrays_or_arrow(folder: Path) -> None:
    import torch

    tensors = next(iter(Stream(folder, batch=8)))
    assert tensors["id"].dtype == torch.int64 and tensors["pixels"].shape == (8, 4)
    assert tensors["text"][3] == "row 3" and tensors["tokens"][4].tolist() == [0, 1, 2, 3]
    assert tensors["pixels"][2].tolist() == [2.0] * 4
    tensors["pixels"][0] = 1.0  # batches are the caller's own
    arrays = next(iter(Stream(folder, batch=8, format="numpy", columns=["score"])))
    assert arrays.keys() == {"score"} and arrays["score"].dtype == np.float64
    arrow = next(iter(Stream(folder, batch=8, format="arrow")))
    assert arrow.schema.equals(table(0, 1).schema) and arrow.num_rows == 8


def test_a_filter_keeps_rows_and_skips_row_groups_by_their_statistics(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    whole = pieces.Table._piece
    monkeypatch.setattr(pieces.Table, "_piece", lambda self, p: seen.append(p.rows) or whole(self, p))
    filtered = Stream(folder / "a.parquet", where=pc.field("score") >= 0.35, columns=["id"], format="numpy")
    assert ids(filtered) == list(range(350, 400))
    assert len(seen) == 2, "row groups whose statistics exclude them were read"


@given(
    stop=st.integers(0, 70),
    seed=st.integers(0, 20),
    buffer_rows=st.integers(1, 400),
    batch=st.integers(1, 90),
    filtered=st.booleans(),
    form=st.sampled_from(["numpy", "arrow"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_saved_state_continues_with_the_very_next_row(
    folder: Path, stop: int, seed: int, buffer_rows: int, batch: int, filtered: bool, form: str
) -> None:
    where = pc.field("score") > 0.3 if filtered else None
    options = {"seed": seed, "buffer_rows": buffer_rows, "batch": batch, "where": where, "format": form}

    def rows(batches: Any) -> list[int]:
        return [row for one in batches for row in (one["id"].to_pylist() if form == "arrow" else one["id"].tolist())]

    whole = rows(stream(folder, **options))
    first = stream(folder, **options)
    seen = rows(batch for _, batch in zip(range(stop), first, strict=False))
    state = json.loads(json.dumps(first.state_dict()))
    second = stream(folder, **options)
    second.load_state_dict(state)
    if state["epoch"] == 0:
        assert seen + rows(second) == whole
    assert second.epoch == 1


def run_until(world: int, stop: int, state: dict | None, folder: Path, even: Any = None) -> tuple[list[int], dict]:
    """So many batches on each of `world` ranks, from a state on; what came, and the state of all."""
    came, states = [], []
    for rank in range(world):
        one = stream(folder, rank=rank, world=world, even=even)
        if state:
            one.load_state_dict(state)
        came += ids(batch for _, batch in zip(range(stop), one, strict=False))
        states.append(one.state_dict())
    return came, Stream.merged(states)


def test_other_numbers_of_ranks_go_on_with_what_is_left(folder: Path) -> None:
    first, state = run_until(3, 7, None, folder)
    second, state = run_until(5, 3, state, folder)
    third, _ = run_until(2, 1000, state, folder)
    assert sorted(first + second + third) == list(range(ROWS))
    assert len(first) == 3 * 7 * 16 and len(second) == 5 * 3 * 16


def test_ranks_of_even_sizes_keep_step_so_the_state_of_one_is_enough(folder: Path) -> None:
    """As a checkpoint of rank 0 alone gives it."""
    seen, states = [], []
    for rank in range(3):
        one = stream(folder, rank=rank, world=3, even="drop")
        seen += ids(batch for _, batch in zip(range(6), one, strict=False))
        states.append(one.state_dict())
    for rank in range(2):
        other = stream(folder, rank=rank, world=2, even="drop")
        other.load_state_dict(states[0])
        seen += ids(other)
    assert len(set(seen)) == len(seen) >= ROWS - 2
    same = stream(folder, rank=2, world=3, even="drop")
    same.load_state_dict(states[0])
    expected = stream(folder, rank=2, world=3, even="drop")
    expected.load_state_dict(states[2])
    assert ids(same) == ids(expected)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_loaders_workers_share_the_rows_and_its_state_continues_in_the_same_order(folder: Path, workers: int) -> None:
    whole = ids(stream(folder).loader(workers))
    assert sorted(whole) == list(range(ROWS))
    first = stream(folder)
    seen = []
    for number, batch in enumerate(first.loader(workers)):
        seen += ids([batch])
        if number == 20:
            break
    second = stream(folder)
    second.load_state_dict(first.state_dict())
    assert seen + ids(second.loader(workers)) == whole
    third = stream(folder)
    third.load_state_dict(first.state_dict())
    assert sorted(seen + ids(third)) == list(range(ROWS)), "without workers the rest comes too"


def test_a_plain_dataloader_divides_the_stream_among_its_workers(folder: Path) -> None:
    from torch.utils.data import DataLoader

    assert sorted(ids(DataLoader(stream(folder, format="torch"), batch_size=None, num_workers=2))) == list(range(ROWS))


def test_a_checkpoint_carries_the_streams_place_beside_the_model(folder: Path, tmp_path: Path) -> None:
    """What a training does: state of model and data in one checkpoint, and after a kill both go on."""
    from millstream.checkpoints import Checkpoints

    uri = f"file://{tmp_path}/checkpoints"
    data, seen = stream(folder), []
    for step, batch in enumerate(data, start=1):
        seen += ids([batch])
        if step == 10:
            Checkpoints(uri).save(step, {"weights": [0.5], "data": data.state_dict()})
            break
    after = stream(folder)
    found = Checkpoints(uri).restore()
    assert found is not None
    after.load_state_dict(found.state["data"])
    assert sorted(seen + ids(after)) == list(range(ROWS))


def test_checkpoints_of_all_ranks_are_shared_out_among_fewer(folder: Path, tmp_path: Path) -> None:
    """Each rank keeps its own part; a job that comes back smaller takes all parts and divides what is left."""
    from millstream.checkpoints import Checkpoints

    uri, seen = f"file://{tmp_path}/checkpoints", []
    for rank in (1, 0):
        data = stream(folder, rank=rank, world=2)
        seen += ids(batch for _, batch in zip(range(4 + rank), data, strict=False))
        Checkpoints(uri, sharded=True, rank=rank, world=2).save(4, {"data": data.state_dict()})
    alone = stream(folder)
    alone.load_state_dict(Stream.merged([part["data"] for part in Checkpoints(uri).shards()]))
    assert sorted(seen + ids(alone)) == list(range(ROWS))


@pytest.fixture
def bucket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The parent of `folder` served as buckets, with the environment that a job's pods get."""
    with s3_server(folder.parent) as endpoint:
        for name, value in pod_variables(endpoint).items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.usefixtures("bucket")
def test_s3_gives_the_same_rows_in_the_same_order_in_workers_too(folder: Path) -> None:
    uri = f"s3://{folder.name}/"
    remote = stream(uri)
    assert sorted(ids(remote)) == list(range(ROWS))
    assert ids(stream(f"{uri}a.parquet")) == ids(stream(folder / "a.parquet"))
    assert sorted(ids(stream(uri).loader(2))) == list(range(ROWS))


def test_a_store_that_is_away_for_a_moment_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first reads fail as a broken network does."""
    failures = iter([OSError("connection reset")] * 3)
    whole = pieces.Table._piece

    def flaky(self: Any, piece: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return whole(self, piece)

    monkeypatch.setattr(pieces.Table, "_piece", flaky)
    monkeypatch.setattr(store, "FIRST_WAIT_S", 0.001)
    assert len(ids(stream(folder))) == ROWS


@pytest.mark.parametrize(
    ("uri", "options", "told"),
    [
        ("/nowhere", {}, "/nowhere: there is nothing; check the URI"),
        ("{}/deep/..", {"columns": ["idd"]}, "there is no column 'idd'; there are id, score, pixels, tokens, text"),
        ("{}", {"rank": 2, "world": 2}, "rank 2 of 2"),
        ("{}", {"even": "drop", "where": pc.field("id") > 1}, "a filter hides them"),
        ("{}", {"batch": 0}, "must be at least 1"),
        ("gs://b/x", {}, "copy it to one of them"),
        ("{}/readme.txt", {}, "readme.txt"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_do(folder: Path, uri: str, options: dict, told: str) -> None:
    with pytest.raises(DataError, match=told.replace(".", r"\.")):
        list(stream(uri.format(folder), **options))


def test_a_store_that_is_not_there_and_keys_that_are_not_right_are_told(
    folder: Path, bucket: None, monkeypatch
) -> None:
    monkeypatch.setattr(store, "FIRST_WAIT_S", 0.001)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(DataError, match="check the URI, the keys"):
        list(stream(f"s3://{folder.name}/"))


def test_files_that_do_not_fit_together_and_holes_are_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, None]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'a' has rows without a value"):
        list(Stream(tmp_path, format="numpy"))
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: column a is string, and int64 in"):
        list(Stream(tmp_path))


def test_a_state_is_for_its_own_data_order_and_rank(folder: Path, tmp_path: Path) -> None:
    pq.write_table(table(0, 10), tmp_path / "other.parquet")
    state = stream(tmp_path).state_dict()
    with pytest.raises(DataError, match="the data is not what this state was saved with"):
        stream(folder).load_state_dict(state)
    with pytest.raises(DataError, match="make them equal"):
        stream(tmp_path, seed=6).load_state_dict(state)
    of_two = stream(tmp_path, rank=0, world=2).state_dict()
    with pytest.raises(DataError, match=r"merge the states of all ranks \(Stream\.merged\)"):
        stream(tmp_path, rank=0, world=3).load_state_dict(of_two)
    with pytest.raises(DataError, match="not the states of all 2 ranks"):
        Stream.merged([of_two])


def test_what_is_read_ahead_stays_within_the_memory_allowed() -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def load(item: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 10
            most = max(most, under_way)
        return item

    got = []
    for item in ahead(range(50), load, lambda item: 10.0, threads=4, budget=30.0):
        got.append(item)
        with lock:
            under_way -= 10
    assert got == list(range(50))
    assert 10 < most <= 40, "the one in hand is the caller's"
    assert list(ahead([1, 2, 3], lambda item: item, lambda item: 1e12, threads=2, budget=1.0)) == [1, 2, 3]


def test_an_error_of_a_reading_thread_comes_in_its_place_and_leaving_early_ends_the_threads(folder: Path) -> None:
    def load(item: int) -> int:
        if item == 3:
            raise DataError("broken")
        return item

    found = []
    with pytest.raises(DataError, match="broken"):
        for item in ahead(range(9), load, lambda item: 1.0, threads=2, budget=100.0):
            found.append(item)
    assert found == [0, 1, 2]
    one = iter(stream(folder))
    next(one)
    one.close()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("millstream-data")], 30, "the threads")


def test_the_environment_of_torchrun_tells_rank_and_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("MILLSTREAM_DATASET_URI", os.fspath(folder))
    assert Stream(format="numpy").rows == 250


def test_the_readmes_lines_run(folder: Path) -> None:
    """On two ranks' shares of the same data: the rows go on after the state."""
    from tests.clients.readme import block

    lines = block("python", "from millstream.data").replace("s3://millstream/tokens/", str(folder))
    exec(lines.replace("    ...\n    state", "    state"), known := {})
    assert known["stream"].epoch == 0, "the last batch was the state's"
    assert len(ids(known["stream"])) == 0
