"""Condition, as the first releases have it: comparisons of every type, one within another, with a loop inside."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def number(value: int) -> int:
    return value


@dsl.component(base_image="python:3.11")
def share(value: float) -> float:
    return value


@dsl.component(base_image="python:3.11")
def flag(value: bool) -> bool:
    return value


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.pipeline(name="condition")
def pipeline(word: str = "heads", threshold: int = 3, exact: bool = True):
    five, half, yes = number(value=5), share(value=0.5), flag(value=True)
    with dsl.Condition(word == "heads", name="heads"):
        said = say(text="heads")
        with dsl.Condition(five.output > threshold):
            say(text="more").after(said)
        with dsl.Condition(five.output <= threshold, name="not-more"):
            say(text="not more")
    with dsl.Condition(half.output < 0.75):
        say(text="small")
    with dsl.Condition(yes.output == True):  # noqa: E712
        say(text="yes")
    with dsl.Condition(exact != True):  # noqa: E712
        say(text="inexact")
    with dsl.Condition(word != 'it is a "quoted" word'):
        with dsl.ParallelFor([1, 2, 3]) as item:
            with dsl.Condition(item >= 2):
                number(value=item)
    with dsl.Condition(five.output != number(value=5).output):
        say(text="never")
