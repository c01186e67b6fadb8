"""What all peers' programs share: the size of the two pipelines, and how their runs are timed and told."""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

CHAIN, FAN, RUNS = 10, 20, 3
CHAIN_SAYS, FAN_SAYS = CHAIN, sum(range(1, FAN + 1))
ENOUGH_S = 20.0
"""Who has taken so long is not run once more: a slow one is known well enough by then."""


def timed(work, says, what=""):
    """Seconds of one run: the middle of RUNS after one that warms up, of fewer where they are slow. Each must say what
    it should; `work` may say how long it took itself, as a second word."""
    seconds = []
    while len(seconds) <= RUNS and sum(seconds) < ENOUGH_S:
        begin = time.perf_counter()
        said = work()
        took = time.perf_counter() - begin
        if isinstance(said, tuple):
            said, took = said
        if said != says:
            raise SystemExit(f"said {said!r}, not {says!r}")
        seconds.append(took)
        print(f"{what} {took:.2f} s", file=sys.stderr, flush=True)
    return statistics.median(seconds[1:] or seconds)


def measured(chain, fan, first=None):
    """`first` runs one step that writes the time into the file it is given: how long that let wait, the first of all
    runs and the middle of those after it."""
    waits = [waited(first) for _ in range(6)] if first else []
    told = {"chain": timed(chain, CHAIN_SAYS, "chain"), "fan": timed(fan, FAN_SAYS, "fan")}
    if waits:
        told |= {"cold": waits[0], "warm": statistics.median(waits[1:])}
    print("RESULT " + json.dumps(told), flush=True)


def waited(first):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # a pod has a /tmp of its own
        path, begun = Path(folder, "at"), time.time()
        first(str(path))
        return float(path.read_text()) - begun
