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
firsts = []


def run(pipeline, **arguments):
    """The sum that the last step has checked; keeps how long the first step let wait for itself."""
    begun = time.time()
    made = client.create_run_from_pipeline_func(pipeline, arguments, enable_caching=False)
    ended = client.wait_for_run_completion(made.run_id, timeout=3600, sleep_duration=0.02)
    if ended.state != "SUCCEEDED":
        raise SystemExit(f"{ended.state}: {ended.error}")
    steps = [task for task in ended.run_details.task_details if task.pod_name]
    firsts.append(min(task.start_time.timestamp() for task in steps) - begun)
    return steps


def numbered(count):
    """Seconds of a run of so many steps side by side."""
    begun = time.perf_counter()
    run(fan, numbers=list(range(count)), wanted=sum(range(1, count + 1)))
    return time.perf_counter() - begun


if len(sys.argv) > 1:
    print("RESULT " + json.dumps({"seconds": numbered(int(sys.argv[1]))}))
else:
    measured(
        lambda: (run(chain), CHAIN_SAYS)[1],
        lambda: (run(fan, numbers=list(range(FAN)), wanted=FAN_SAYS), FAN_SAYS)[1],
    )
    print(f"FIRST {json.dumps(firsts)}")
