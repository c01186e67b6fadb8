"""Every type of parameter: defaults of all sorts, several named outputs, constants, outputs of the pipeline itself."""

from typing import Dict, List, NamedTuple

from kfp import dsl


@dsl.component(base_image="python:3.11")
def describe(number: int, share: float, yes: bool, text: str, items: List[int], table: Dict[str, float]) -> NamedTuple(
    "Described",
    [
        ("number", int),
        ("share", float),
        ("yes", bool),
        ("text", str),
        ("items", List[int]),
        ("table", Dict[str, float]),
    ],
):
    if type(number) is not int or type(yes) is not bool or not all(type(item) is int for item in items):
        raise TypeError(f"{number!r}, {yes!r}, {items!r}: an integer did not stay one")
    from collections import namedtuple

    names = ["number", "share", "yes", "text", "items", "table"]
    return namedtuple("Described", names)(number + 1, share / 2, not yes, text + "!", [*items, number], table)


@dsl.component(base_image="python:3.11")
def add(a: int, b: int = 4) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def total(items: List[int]) -> int:
    return sum(items)


@dsl.pipeline(name="parameters", description="Parameters of every type")
def pipeline(
    number: int = 3,
    share: float = 0.5,
    yes: bool = True,
    text: str = 'it\'s "quoted", ümlaut',
    items: List[int] = [1, 2],
    table: Dict[str, float] = {"a": 1.5},
) -> int:
    described = describe(number=number, share=share, yes=yes, text=text, items=items, table=table)
    constant = describe(number=7, share=1.0, yes=False, text=f"<{text}>", items=[], table={"b": 2, "c": 0.25})
    constant.set_display_name("Described, of constants")
    summed = total(items=described.outputs["items"])
    added = add(a=described.outputs["number"], b=summed.output)
    default = add(a=constant.outputs["number"])
    default.after(added)
    return added.output
