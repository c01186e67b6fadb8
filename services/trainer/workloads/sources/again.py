"""Trying again what failed by chance; what fails for a reason fails at once."""

from collections.abc import Callable
from typing import TypeVar

from services.trainer.workloads.failure import Transient, no_network
from services.trainer.workloads.task import Task

TRIES = 6
FIRST_WAIT_S = 0.5

T = TypeVar("T")


def patiently(task: Task, act: Callable[[], T]) -> T:
    """Waits 0.5, 1, 2, 4, 8 s between tries; the last error is told."""
    for tried in range(TRIES):
        try:
            return act()
        except Transient as error:
            if tried == TRIES - 1:
                raise no_network(task.uri, f"{error} ({TRIES} tries)") from error
            task.sleep(FIRST_WAIT_S * 2**tried)
    raise AssertionError("the last try returns or raises")
