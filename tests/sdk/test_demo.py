"""The demo's parts: the same split of real scans every time, and a timeline that follows one run alone."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from millstream.demo import data, timeline
from millstream.demo.job import train_job
from rich.console import Console


def test_the_split_is_the_same_every_time_and_no_scan_is_in_both() -> None:
    train, test = data.digits()
    again = data.digits()[1]
    assert len(train.labels) + len(test.labels) == 1797
    assert np.array_equal(test.pixels, again.pixels) and np.array_equal(test.labels, again.labels)
    # 1,797 scans of which no two are equal: whoever is in the test was never trained on.
    assert len({row.tobytes() for split in (train, test) for row in split.pixels}) == 1797


def test_every_digit_gives_a_fifth_of_its_scans_to_the_test() -> None:
    train, test = data.digits()
    whole = np.bincount(train.labels) + np.bincount(test.labels)
    assert np.allclose(np.bincount(test.labels) / whole, data.TEST_SHARE, atol=0.01)


def test_a_split_survives_parquet_unchanged() -> None:
    _, test = data.digits()
    back = data.read_parquet(data.parquet(test))
    assert np.array_equal(back.pixels, test.pixels) and np.array_equal(back.labels, test.labels)
    assert back.pixels.dtype == np.float32 and back.labels.dtype == np.int64


def test_the_demos_job_is_valid_and_asks_for_registration_and_rollout() -> None:
    from contracts.kinds.trainjob import TrainJob

    job = train_job("digits-1")
    TrainJob.model_validate(job)
    assert job["metadata"]["annotations"]["millstream.dev/model-name"] == "digits"
    assert job["metadata"]["annotations"]["millstream.dev/serve-as"] == "digits"


def _letter(type_: str, second: float, chain: str, **data: Any) -> dict[str, Any]:
    at = f"2026-11-22T10:00:{second:09.6f}+00:00"
    return {"type": type_, "time": at, "source": "millstream/trainer", "correlationid": chain, "data": data}


RUN = [
    _letter("training.trainjob.created.v1", 0, "c1", uid="job-1"),
    _letter("scheduling.workload.admitted.v1", 0.25, "c1", uid="job-1"),
    _letter("registry.modelversion.created.v1", 3.5, "c1", job_uid="job-1"),
    _letter("serving.inferenceservice.ready.v1", 4, "c1", uid="isvc-9"),
]


def test_a_timeline_holds_the_run_and_what_followed_from_it_but_no_other_run() -> None:
    other = _letter("training.trainjob.created.v1", 1, "c2", uid="job-2")
    asked = _letter("training.trainjob.apply.v1", 0, "wish", uid="")
    assert timeline.of_run([asked, *RUN[:2], other, *RUN[2:]], "job-1", "wish") == [asked, *RUN]


def test_a_timeline_tells_when_each_thing_was_said_and_how_long_it_took() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(timeline.draw(RUN, "one run"))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    [version] = [line for line in lines if "modelversion.created" in line]
    assert "3.500 s" in version and "+3.250" in version and version.rstrip().endswith("trainer")


@pytest.mark.parametrize("letters", [[], RUN[:1]], ids=["nothing said", "one letter"])
def test_short_stories_are_drawn_too(letters: list[dict[str, Any]]) -> None:
    assert timeline.draw(letters, "short").row_count == len(letters)
