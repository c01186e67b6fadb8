"""Choices outside and inside of a sub-pipeline: KFP gives the outer's tasks to the inner one, which must be refused."""

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


@dsl.pipeline(name="miscompiled")
def pipeline(sides: int = 1):
    with dsl.If(sides == 1):
        say(text="outer one")
    with dsl.Else():
        say(text="outer many")
    say(text=inner(sides=sides).output)
