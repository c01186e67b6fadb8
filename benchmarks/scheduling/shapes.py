"""All loads by name, for the owner and the scheduler alike: they are processes of their own."""

from benchmarks.scheduling import burst, kueue
from benchmarks.scheduling.shape import Shape

SHAPES = {shape.name: shape for shape in (*kueue.SHAPES, burst.SHAPE)}


def named(name: str, scale: float) -> Shape:
    return SHAPES[name].scaled(scale)
