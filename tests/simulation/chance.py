"""Everything that a run leaves to chance, each concern with draws of its own, all of them from one seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from libs.testing.bus_faults import Fault
from libs.testing.cluster import Object
from libs.testing.kubelet import End


@dataclass(frozen=True)
class Weather:
    """How bad a run is. Rates are of each single moment; times are in virtual seconds."""

    crash: float
    error: float
    hang: float
    cluster_silent: float
    watch_breaks: float
    disk_fails: float
    messages: float
    late_s: float
    trouble_every_s: float
    wipes: bool
    latency_s: float
    pod_fails: float
    pod_vanishes: float
    pod_taken: float


class Chance:
    """`of(concern)` is a generator that no other concern's draws disturb."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._made: dict[str, random.Random] = {}

    def of(self, concern: str) -> random.Random:
        if concern not in self._made:
            self._made[concern] = random.Random(f"{self.seed}/{concern}")
        return self._made[concern]

    def weather(self) -> Weather:
        """From a calm night to a very bad one."""
        rng = self.of("weather")
        force = rng.choice([0.0, 0.3, 1.0, 2.0, 4.0])
        return Weather(
            crash=0.03 * force * rng.random(),
            error=0.02 * force * rng.random(),
            hang=0.01 * force * rng.random(),
            cluster_silent=0.02 * force * rng.random(),
            watch_breaks=0.05 * force * rng.random(),
            disk_fails=0.004 * force * max(0.0, rng.random() - 0.4),
            messages=0.05 * force * rng.random(),
            late_s=rng.choice([0.5, 5.0, 40.0]),
            trouble_every_s=rng.choice([15.0, 40.0, 120.0]) if force else float("inf"),
            wipes=rng.random() < 0.7,
            latency_s=rng.choice([0.0005, 0.002, 0.01]),
            pod_fails=0.3 * rng.random(),
            pod_vanishes=0.05 * force * rng.random(),
            pod_taken=0.15 * force * rng.random(),
        )


class Fates:
    """What becomes of pods: those of jobs run for a while and end well or not, others run until they are stopped."""

    def __init__(self, rng: random.Random, weather: Weather) -> None:
        self._rng, self._weather = rng, weather

    def starts_in(self, pod: Object) -> float:
        return 0.05 + self._rng.expovariate(2.0)

    def stops_in(self, pod: Object) -> float:
        return 0.02 + self._rng.expovariate(1.0)

    def end_of(self, pod: Object) -> End | None:
        if pod["metadata"]["ownerReferences"][0]["kind"] != "Job":
            return None
        drawn = self._rng.random()
        after_s = 0.1 + self._rng.expovariate(1 / 20)
        if drawn < self._weather.pod_vanishes:
            return End(after_s, None)
        if drawn > 1 - self._weather.pod_taken:
            return End(after_s, None, taken=True)
        failed = drawn < self._weather.pod_vanishes + self._weather.pod_fails
        return End(after_s, self._rng.choice([1, 137, 143]) if failed else 0)


class Switched:
    """Message faults that can be turned off, so that a run can come to rest."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        self._rng, self._rate, self.on = rng, rate, True

    def __call__(self, fault: Fault) -> bool:
        return self._rng.random() < self._rate and self.on


def latency(rng: random.Random, mean_s: float) -> Callable[[], float]:
    """Mostly short, sometimes long, never nothing."""
    return lambda: mean_s * (0.1 + rng.expovariate(1.0))
