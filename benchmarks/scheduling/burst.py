"""A burst as of a Spark stage: 60,000 tasks of a few seconds at once, for 36,000 nodes that take one each."""

from benchmarks.scheduling.shape import Class, Shape

SHAPE = Shape(
    "burst",
    "one queue, quota of 36,000 nodes with one task each",
    1,
    1,
    36_000,
    0,
    (Class("task", 60_000, 0, 5000, 0, 1),),
)
