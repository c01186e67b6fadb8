"""A containerized Python component: its code lies in the image, the order names only the function."""

from kfp import dsl


@dsl.component(base_image="python:3.11", target_image="registry.example/team/adder:1")
def add(a: int, b: int) -> int:
    return a + b


@dsl.pipeline(name="containerized")
def pipeline(a: int = 1):
    add(a=a, b=2)
