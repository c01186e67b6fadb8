"""Kueue's scheduler performance configurations (kubernetes-sigs/kueue, test/performance/scheduler/configs).

`baseline` and `large-2000` are the published files. Of the 50,000 over 1,000 queues and of the 15,000 with topology the
counts, times and bounds are published with Kueue's results, not the mix of classes: here it is that of the published
file of the same name, in proportion, and the run times are those of 0.15 to 1 s that the results name.
"""

from __future__ import annotations

from benchmarks.scheduling.shape import Class, Shape
from contracts.commands.scheduling.v1 import Topology

RACK, BLOCK, HOST = "cloud.provider.com/topology-rack", "cloud.provider.com/topology-block", "kubernetes.io/hostname"
RACKED, NEAR = Topology(mode="required", level=RACK), Topology(mode="preferred", level=RACK)
BLOCKED = Topology(mode="preferred", level=BLOCK)
SLICED_4, SLICED_8 = (Topology(mode="preferred", level=BLOCK, slice_size=n, slice_level=RACK) for n in (4, 8))

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
        Class("small", 33, 20, 50, 50, 1),
        Class("medium", 12, 50, 100, 100, 5),
        Class("large", 5, 200, 200, 200, 20),
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
    "tas", "6 queues in 2 cohorts, topology-aware on 640 nodes", 2, 3, 8500, 17000,
    (
        Class("small-required-rack", 714, 20, 150, 50, 2, 4, RACKED),
        Class("medium-required-rack", 429, 50, 300, 100, 4, 8, RACKED),
        Class("large-required-rack", 286, 100, 500, 200, 8, 16, RACKED),
        Class("small-preferred-rack", 428, 30, 200, 100, 2, 4, NEAR),
        Class("medium-preferred-block", 286, 40, 400, 150, 4, 8, BLOCKED),
        Class("medium-sliced-rack", 214, 60, 600, 200, 4, 16, SLICED_4),
        Class("large-sliced-rack", 143, 80, 1000, 250, 8, 32, SLICED_8),
    ),
    kueue_s=401,
    racks=10,
)  # fmt: skip
SHAPES = (BASELINE, LARGE, LARGE_2000, TAS)
