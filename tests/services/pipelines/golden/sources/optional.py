"""Inputs that may be left out: of components, of pipelines, also artifacts that nobody gives."""

from typing import Optional

from kfp import dsl


@dsl.component(base_image="python:3.11")
def greet(name: Optional[str] = None, times: Optional[int] = None, table: Optional[dict] = None) -> str:
    return f"{name} {times} {table}"


@dsl.component(base_image="python:3.11")
def count(data: Optional[dsl.Input[dsl.Dataset]] = None) -> int:
    return 0 if data is None else 1


@dsl.pipeline(name="optional")
def inner(name: Optional[str] = None, times: Optional[int] = 2):
    greet(name=name, times=times)


@dsl.pipeline(name="optional-inputs")
def pipeline(word: str, name: Optional[str] = None):
    greet()
    greet(name=word, times=3)
    greet(name=name)
    count()
    inner(name=word)
