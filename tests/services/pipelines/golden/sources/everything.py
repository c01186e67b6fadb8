"""One thing inside another: a loop in a branch in a loop under an exit handler, its results collected and chosen."""

from typing import List

from kfp import dsl


@dsl.component(base_image="python:3.11")
def numbers(count: int) -> List[int]:
    return list(range(count))


@dsl.component(base_image="python:3.11")
def add(a: int, b: int = 1) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def total(items: List[int]) -> int:
    return sum(items)


@dsl.component(base_image="python:3.11")
def tell(status: dsl.PipelineTaskFinalStatus, count: int):
    print(status.state, count)


@dsl.pipeline(name="grown")
def grown(count: int) -> int:
    with dsl.ParallelFor(numbers(count=count).output, parallelism=2) as number:
        added = add(a=number)
    return total(items=dsl.Collected(added.output)).output


@dsl.pipeline(name="everything")
def pipeline(counts: List[int] = [1, 2, 3], limit: int = 2):
    with dsl.ExitHandler(tell(count=limit), name="whole"):
        with dsl.ParallelFor(counts, name="counts") as count:
            with dsl.If(count < limit, name="few"):
                add(a=count)
            with dsl.Elif(count == limit):
                with dsl.ParallelFor(numbers(count=count).output) as number:
                    with dsl.If(number > 0):
                        add(a=number, b=count)
            with dsl.Else():
                grown(count=count)
