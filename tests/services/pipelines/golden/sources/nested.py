"""Sub-pipelines: of sub-pipelines, in loops and conditions, with parameters and artifacts in and out, with defaults."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Dataset, Input


@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def write(text: str, data: dsl.Output[Dataset]):
    with open(data.path, "w") as file:
        file.write(text)


@dsl.component(base_image="python:3.11")
def length(data: Input[Dataset]) -> int:
    with open(data.path) as file:
        return len(file.read())


@dsl.pipeline(name="leaf")
def leaf(a: int, b: int = 10) -> NamedTuple("Leaf", [("sum", int), ("data", Dataset)]):
    added = add(a=a, b=b)
    written = write(text="leaf").after(added)
    outputs = NamedTuple("Leaf", [("sum", int), ("data", Dataset)])
    return outputs(sum=added.output, data=written.outputs["data"])


@dsl.pipeline(name="branch")
def branch(data: Input[Dataset], a: int = 1) -> int:
    measured = length(data=data)
    grown = leaf(a=a, b=measured.output)
    with dsl.ParallelFor([1, 2]) as item:
        leaf(a=item)
    with dsl.Condition(grown.outputs["sum"] > 3):
        leaf(a=grown.outputs["sum"])
    return add(a=grown.outputs["sum"], b=length(data=grown.outputs["data"]).output).output


@dsl.pipeline(name="nested")
def pipeline(text: str = "words") -> int:
    written = write(text=text)
    first = branch(data=written.outputs["data"])
    second = branch(data=written.outputs["data"], a=first.output)
    second.set_caching_options(False)
    return second.output
