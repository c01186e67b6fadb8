"""Ours by kfp.Client against a platform that stands: a pod a step, nothing cached, all results durable."""

import json
import os
import sys
import time
from typing import List

import kfp
from common import CHAIN, CHAIN_SAYS, FAN, FAN_SAYS, measured
from kfp import dsl


@dsl.component(base_image="python:3.11")
def add_one(number: int, wanted: int = -1) -> int:
    if wanted not in (-1, number + 1):
        raise SystemExit(f"{number + 1} is not {wanted}")
    return number + 1


@dsl.component(base_image="python:3.11")
def total(numbers: List[int], wanted: int) -> int:
    if sum(numbers) != wanted:
        raise SystemExit(f"{sum(numbers)} is not {wanted}")
    return wanted


@dsl.component(base_image="python:3.11")
def note(path: str):
    import time
    from pathlib import Path

    Path(path).write_text(str(time.time()))


@dsl.pipeline
def one(path: str):
    note(path=path)


@dsl.pipeline
def chain():
    last = add_one(number=0)
    for step in range(2, CHAIN + 1):
        last = add_one(number=last.output, wanted=CHAIN_SAYS if step == CHAIN else -1)


@dsl.pipeline
def fan(numbers: List[int], wanted: int):
    with dsl.ParallelFor(numbers) as number:
        one = add_one(number=number).set_caching_options(False)  # what the run is told counts outside of loops only
    total(numbers=dsl.Collected(one.output), wanted=wanted)


client = kfp.Client(host=os.environ["MILLSTREAM_URL"], existing_token=os.environ["MILLSTREAM_TOKEN"])


def run(pipeline, look_s=1.0, **arguments):
    """The run when it has ended, its last step having checked the sum; and how long that took from here to its end, as
    the service wrote it down: who looks often to see the end sooner slows the steps (kfp.Client looks every 5 s)."""
    begun = time.time()
    made = client.create_run_from_pipeline_func(pipeline, arguments, enable_caching=False)
    ended = client.wait_for_run_completion(made.run_id, timeout=7200, sleep_duration=look_s)
    if ended.state != "SUCCEEDED":
        raise SystemExit(f"{ended.state}: {ended.error}")
    return ended, ended.finished_at.timestamp() - begun


def seconds(pipeline, says, **arguments):
    return says, run(pipeline, **arguments)[1]


def numbered(count):
    """A run of so many steps side by side, and how long each of its first and of its last took the platform."""
    ended, took = run(fan, max(0.2, count / 500), numbers=list(range(count)), wanted=sum(range(1, count + 1)))
    ends = sorted(task.end_time.timestamp() for task in ended.run_details.task_details if task.pod_name)
    some = min(500, len(ends) // 4)
    spans = [(part[-1] - part[0]) / (len(part) - 1) for part in (ends[:some], ends[-some - 1 : -1])]
    return {"seconds": took, "some": some, "first": spans[0], "last": spans[1]}


if len(sys.argv) > 1:
    print("RESULT " + json.dumps(numbered(int(sys.argv[1]))))
else:
    measured(
        lambda: seconds(chain, CHAIN_SAYS),
        lambda: seconds(fan, FAN_SAYS, numbers=list(range(FAN)), wanted=FAN_SAYS),
        lambda path: run(one, path=path),
    )
