"""ParallelFor as the first releases have it: over words and objects, given and made, nested, with a limit."""

from typing import List

from kfp import dsl


@dsl.component(base_image="python:3.11")
def words(text: str) -> List[str]:
    return text.split()


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.pipeline(name="simple-loops")
def pipeline(names: List[str] = ["x", "y"], text: str = "one two"):
    made = words(text=text)
    with dsl.ParallelFor(items=["a", "b", "c"], parallelism=2) as item:
        first = say(text=item)
        say(text=first.output)
    with dsl.ParallelFor(items=[{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], name="objects") as item:
        say(text=f"{item.a}{item.b}")
    with dsl.ParallelFor(items=names) as name:
        with dsl.ParallelFor(items=made.output) as word:
            say(text=f"{name} {word}")
            with dsl.Condition(name == "x"):
                say(text=word)
