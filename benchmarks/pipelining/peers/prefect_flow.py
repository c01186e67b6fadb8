"""Prefect against a server of its own on SQLite; a task runs in a thread of the flow's process, or in one of its pool.

Results are persisted, as a run that shall be taken up again needs. The server is started before and not counted.
"""

import sys

from common import CHAIN, FAN, measured
from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

RUNNER = {"threads": ThreadPoolTaskRunner, "processes": ProcessPoolTaskRunner}[sys.argv[1]]


@task(persist_result=True)
def add_one(number: int) -> int:
    return number + 1


@task(persist_result=True)
def total(numbers: list) -> int:
    return sum(numbers)


@flow(task_runner=RUNNER(max_workers=FAN if sys.argv[1] == "threads" else 2))
def chain(number: int) -> int:
    last = add_one.submit(number)
    for _ in range(CHAIN - 1):
        last = add_one.submit(last)
    return last.result()


@flow(task_runner=RUNNER(max_workers=FAN if sys.argv[1] == "threads" else 2))
def fan(numbers: list) -> int:
    return total.submit(add_one.map(numbers)).result()


if __name__ == "__main__":
    measured(lambda: chain(0), lambda: fan(list(range(FAN))))
