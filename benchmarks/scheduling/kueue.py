"""Kueue's scheduler performance configurations (kubernetes-sigs/kueue, test/performance/scheduler/configs): baseline,
tas, and of large-scale both that of 1,000 queues, whose run time is known, and that of 2,000. All numbers are theirs.

`balanced` is its word for slices that it spreads evenly over racks; here they are slices on hosts near each other.
"""

from __future__ import annotations

from benchmarks.scheduling.shape import Class, Shape
from contracts.commands.scheduling.v1 import Topology

RACK = "cloud.provider.com/topology-rack"
REQUIRED, PREFERRED = Topology(mode="required", level=RACK), Topology(mode="preferred", level=RACK)


def _balanced(size: int) -> Topology:
    return Topology(mode="preferred", level=RACK, slice_size=size, slice_level="kubernetes.io/hostname")


BASELINE = Shape(
    "baseline", "30 queues in 5 cohorts", 5, 6, 20, 100,
    (
        Class("small", 350, 100, 200, 50, 1),
        Class("medium", 100, 500, 500, 100, 5),
        Class("large", 50, 1200, 1000, 200, 20),
    ),
    kueue_s=351,
)  # fmt: skip
LARGE = Shape(
    "large", "1,000 queues in 10 cohorts", 10, 100, 20, 100,
    (
        Class("small", 35, 60, 150, 50, 1),
        Class("medium", 11, 300, 350, 100, 5),
        Class("large", 4, 700, 700, 200, 20),
    ),
    kueue_s=1179,
)  # fmt: skip
LARGE_2000 = Shape(
    "large-2000", "2,000 queues in 20 cohorts", 20, 100, 20, 100,
    (
        Class("small", 20, 20, 50, 50, 1),
        Class("medium", 7, 50, 100, 100, 5),
        Class("large", 3, 200, 200, 200, 20),
    ),
)  # fmt: skip
TAS = Shape(
    "tas", "30 queues in 5 cohorts, topology-aware on 640 nodes", 5, 6, 20, 100,
    (
        Class("small-required", 120, 100, 200, 50, "500m", 2, REQUIRED),
        Class("small-preferred", 120, 100, 200, 50, "500m", 2, PREFERRED),
        Class("small-balanced", 110, 100, 200, 50, "500m", 2, _balanced(1)),
        Class("medium-required", 34, 500, 500, 100, "1250m", 4, REQUIRED),
        Class("medium-preferred", 33, 500, 500, 100, "1250m", 4, PREFERRED),
        Class("medium-balanced", 33, 500, 500, 100, "1250m", 4, _balanced(2)),
        Class("large-required", 17, 1200, 1000, 200, "2500m", 8, REQUIRED),
        Class("large-preferred", 17, 1200, 1000, 200, "2500m", 8, PREFERRED),
        Class("large-balanced", 16, 1200, 1000, 200, "2500m", 8, _balanced(4)),
    ),
    kueue_s=401,
    racks=10,
)  # fmt: skip
SHAPES = (BASELINE, LARGE, LARGE_2000, TAS)
