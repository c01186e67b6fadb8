"""kfp.local with its SubprocessRunner, without a virtual environment of each step's own: one process a step."""

import sys
import tempfile
from typing import List

from common import CHAIN, FAN, measured
from kfp import dsl, local


@dsl.component(install_kfp_package=False)
def add_one(number: int) -> int:
    return number + 1


@dsl.component(install_kfp_package=False)
def total(numbers: List[int]) -> int:
    return int(sum(numbers))  # it makes floats of the integers of a list


@dsl.component(install_kfp_package=False)
def note(path: str):
    import time
    from pathlib import Path

    Path(path).write_text(str(time.time()))


@dsl.pipeline
def one(path: str):
    note(path=path)


@dsl.pipeline
def chain(number: int) -> int:
    last = add_one(number=number)
    for _ in range(CHAIN - 1):
        last = add_one(number=last.output)
    return last.output


@dsl.pipeline
def fan(numbers: List[int]) -> int:
    with dsl.ParallelFor(numbers) as number:
        one = add_one(number=number)
    return total(numbers=dsl.Collected(one.output)).output


with tempfile.TemporaryDirectory() as root:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, raise_on_error=True)
    measured(
        lambda: chain(number=0).output,
        lambda: fan(numbers=list(range(FAN))).output,
        lambda path: one(path=path),
    )
sys.exit(0)
