"""A choice inside a sub-pipeline, given out of it, also from within a loop."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.pipeline(name="inner-choice")
def inner(sides: int) -> str:
    with dsl.If(sides == 1):
        one = say(text="one")
    with dsl.Else():
        many = say(text="many")
    return dsl.OneOf(one.output, many.output)


@dsl.pipeline(name="inner-branches")
def pipeline(sides: int = 1) -> str:
    chosen = inner(sides=sides)
    with dsl.ParallelFor([1, 2]) as each:
        say(text=inner(sides=each).output)
    say(text=chosen.output)
    return chosen.output
