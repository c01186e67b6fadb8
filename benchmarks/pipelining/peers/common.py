"""What all peers' programs share: the size of the two pipelines, and how their runs are timed and told."""

import json
import statistics
import time

CHAIN, FAN, RUNS = 10, 20, 3
CHAIN_SAYS, FAN_SAYS = CHAIN, sum(range(1, FAN + 1))


def timed(work, says):
    """Seconds of one run, and of the middle of RUNS runs after one that warms up; each must say what it should."""
    seconds = []
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        said = work()
        seconds.append(time.perf_counter() - begin)
        if said != says:
            raise SystemExit(f"said {said!r}, not {says!r}")
    return statistics.median(seconds[1:])


def measured(chain, fan):
    print("RESULT " + json.dumps({"chain": timed(chain, CHAIN_SAYS), "fan": timed(fan, FAN_SAYS)}))
