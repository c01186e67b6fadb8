"""Collected: parameters and artifacts of a loop, of a loop in a loop, as inputs and as a pipeline's outputs."""

from typing import List

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11")
def double(number: int) -> int:
    return number * 2


@dsl.component(base_image="python:3.11")
def fit(size: int, model: Output[Model]):
    with open(model.path, "w") as file:
        file.write(str(size))
    model.metadata["size"] = size


@dsl.component(base_image="python:3.11")
def total(numbers: List[int]) -> int:
    return sum(numbers)


@dsl.component(base_image="python:3.11")
def deep(numbers: List[List[int]]) -> int:
    return sum(sum(line) for line in numbers)


@dsl.component(base_image="python:3.11")
def best(models: Input[List[Model]], chosen: Output[Model]) -> int:
    largest = max(models, key=lambda model: model.metadata["size"])
    with open(largest.path) as file, open(chosen.path, "w") as out:
        out.write(file.read())
    return len(models)


@dsl.pipeline(name="collected")
def pipeline(sizes: List[int] = [1, 2, 3]) -> int:
    with dsl.ParallelFor(sizes) as size:
        doubled = double(number=size)
        fitted = fit(size=doubled.output)
    with dsl.ParallelFor([1, 2]) as outer:
        with dsl.ParallelFor([10, 20]) as inner:
            nested = double(number=inner).after(double(number=outer))
    deep(numbers=dsl.Collected(nested.output))
    best(models=dsl.Collected(fitted.outputs["model"]))
    return total(numbers=dsl.Collected(doubled.output)).output
