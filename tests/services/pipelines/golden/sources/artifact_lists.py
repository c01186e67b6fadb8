"""Loops over artifacts, lists of artifacts that a component writes, and a sub-pipeline that takes and gives them."""

from typing import List

from kfp import dsl
from kfp.dsl import Dataset, Input, Output


@dsl.component(base_image="python:3.11")
def write(text: str, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write(text)


@dsl.component(base_image="python:3.11")
def length(data: Input[Dataset]) -> int:
    with open(data.path) as file:
        return len(file.read())


@dsl.component(base_image="python:3.11")
def total(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.component(base_image="python:3.11")
def join(parts: Input[List[Dataset]], whole: Output[Dataset]):
    with open(whole.path, "w") as out:
        for part in parts:
            with open(part.path) as file:
                out.write(file.read())


@dsl.pipeline(name="make-parts")
def parts(words: List[str]) -> List[Dataset]:
    with dsl.ParallelFor(words) as word:
        written = write(text=word)
    return dsl.Collected(written.outputs["data"])


@dsl.pipeline(name="artifact-lists")
def pipeline(words: List[str] = ["a", "bb", "ccc"]) -> int:
    made = parts(words=words)
    with dsl.ParallelFor(made.output) as part:
        measured = length(data=part)
    join(parts=made.output)
    return total(numbers=dsl.Collected(measured.output)).output
