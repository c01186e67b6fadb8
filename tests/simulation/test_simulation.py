"""The platform survives what chance brings: hours of virtual time from a seed, judged by tests.simulation.invariants.

A failed run prints its seed. `MILLSTREAM_SIM_SEED=17 pytest tests/simulation` repeats it, step by step the same;
`MILLSTREAM_SIM_SEEDS=500-900` runs that many others, `MILLSTREAM_SIM_SECONDS` says how long each storm lasts.

What is reproduced: everything. Time is virtual, every draw and every delay comes from the seed, SQLite answers without
its thread, so two runs of one seed by the same code make the same changes and say the same letters, byte for byte (a
test holds that, over processes with other hash seeds). What is not: a real disk's and network's failures, the real
broker and the node, whose places libs.testing's doubles take; more than one thread.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.story import Ending, run

SEEDS = range(6)
STORM_S = float(os.environ.get("MILLSTREAM_SIM_SECONDS") or 300)
ROOT = Path(__file__).parents[2]


def chosen_seeds() -> list[int]:
    """One seed to repeat, a range for a soak, or what CI runs."""
    if one := os.environ.get("MILLSTREAM_SIM_SEED"):
        return [int(one)]
    if some := os.environ.get("MILLSTREAM_SIM_SEEDS"):
        first, last = map(int, some.split("-"))
        return list(range(first, last + 1))
    return list(SEEDS)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", chosen_seeds())
def test_every_promise_holds_after_the_storm(seed: int) -> None:
    ending = run(seed, STORM_S)
    assert not ending.broken, told(seed, ending)


def told(seed: int, ending: Ending) -> str:
    diary, broken = "\n".join(ending.diary), "\n".join(ending.broken)
    again = f"MILLSTREAM_SIM_SEED={seed} MILLSTREAM_SIM_SECONDS={STORM_S:g} pytest tests/simulation"
    return f"seed {seed}\n{diary}\n\nbroken promises:\n{broken}\n\nrun it again: {again}"


@pytest.mark.timeout(300)
def test_a_seed_gives_the_same_run_in_every_process() -> None:
    program = "from tests.simulation.story import run; print(run(2, 60.0).digest)"
    found = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'sdk'}"}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
