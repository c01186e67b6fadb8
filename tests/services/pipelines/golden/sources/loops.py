"""ParallelFor: over constants, objects, parameters and outputs, nested, with a limit, with a task of the outside."""

from typing import Dict, List

from kfp import dsl


@dsl.component(base_image="python:3.11")
def numbers(count: int) -> List[int]:
    return list(range(count))


@dsl.component(base_image="python:3.11")
def objects() -> List[Dict[str, int]]:
    return [{"a": 1, "b": 2}, {"a": 10, "b": 20}]


@dsl.component(base_image="python:3.11")
def add(a: int, b: int = 1) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.component(base_image="python:3.11")
def done():
    print("done")


@dsl.pipeline(name="loops")
def pipeline(names: List[str] = ["x", "y"], table: List[Dict[str, str]] = [{"name": "n", "kind": "k"}], count: int = 3):
    made, outside = numbers(count=count), add(a=1)
    with dsl.ParallelFor(items=["a", "b", "c"], parallelism=2) as item:
        first = say(text=item)
        say(text=first.output).after(outside)
    with dsl.ParallelFor(items=[{"a": 1, "b": 2}, {"a": 3, "b": 4}], name="objects") as item:
        add(a=item.a, b=item.b)
    with dsl.ParallelFor(items=names) as name:
        with dsl.ParallelFor(items=made.output, parallelism=1) as number:
            add(a=number, b=outside.output)
            say(text=name)
    with dsl.ParallelFor(items=table) as row:
        say(text=row.name)
    with dsl.ParallelFor(items=objects().output) as found:
        inside = add(a=found.a, b=found.b)
    with dsl.ParallelFor(items=numbers(count=0).output) as nothing:
        add(a=nothing)
    done().after(inside)
