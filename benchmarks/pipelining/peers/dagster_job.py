"""Dagster with an instance on SQLite; an op runs in a process of its own, or all in the process of the run."""

import sys

from common import CHAIN, FAN, measured
from dagster import (
    DagsterInstance,
    DynamicOut,
    DynamicOutput,
    execute_job,
    in_process_executor,
    job,
    multiprocess_executor,
    op,
    reconstructable,
)


@op
def zero() -> int:
    return 0


@op
def add_one(number: int) -> int:
    return number + 1


@op(out=DynamicOut(int))
def numbers():
    for number in range(FAN):
        yield DynamicOutput(number, mapping_key=str(number))


@op
def total(numbers: list) -> int:
    return sum(numbers)


def chain_of():
    last = zero()
    for step in range(CHAIN - 1):
        last = add_one.alias(f"add_{step}")(last)
    add_one.alias("last")(last)


def fan_of():
    total.alias("last")(numbers().map(add_one).collect())


@job(executor_def=multiprocess_executor)
def chain():
    chain_of()


@job(executor_def=multiprocess_executor)
def fan():
    fan_of()


@job(executor_def=in_process_executor)
def chain_in_process():
    chain_of()


@job(executor_def=in_process_executor)
def fan_in_process():
    fan_of()


def run(which, instance):
    with execute_job(reconstructable(which), instance=instance, raise_on_error=True) as done:
        return done.output_for_node("last")


if __name__ == "__main__":
    jobs = (chain, fan) if sys.argv[1] == "processes" else (chain_in_process, fan_in_process)
    with DagsterInstance.get() as instance:
        measured(lambda: run(jobs[0], instance), lambda: run(jobs[1], instance))
