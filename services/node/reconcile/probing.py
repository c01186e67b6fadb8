"""Probes of running containers: the node's only timers. What they find is told through a callback."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from libs.base.clock import Clock
from services.node.domain.pods import Health
from services.node.domain.probes import ProbeSpec, Streak, answered, probes_of
from services.node.reconcile.needs import Prober

Object = dict[str, Any]
FIRST_LOOK_S = 0.05
Verdict = Callable[[str, bool, str], None]
"""(kind of probe, verdict, what the last answer was); also called with each bad answer's text as `kind:bad`."""


@dataclass
class Watched:
    """The probes of one attempt of one container."""

    number: int
    health: Health
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()


class Probes:
    """Starts and stops probe loops; the given callback hears of bad answers and verdicts."""

    def __init__(self, prober: Prober, clock: Clock) -> None:
        self.prober, self._clock = prober, clock

    def watch(self, pod: Object, container: Object, number: int, known: Health | None, tell: Verdict) -> Watched:
        """Begins probing. `known` is what an earlier life of the node had found of this same attempt."""
        specs = probes_of(container)
        by_kind = {spec.kind: spec for spec in specs}
        health = known or Health("startup" not in by_kind, not ({"startup", "readiness"} & set(by_kind)))
        watched = Watched(number, health)
        if by_kind:
            loop = self._all(pod, container, by_kind, health, tell)
            watched.tasks.append(asyncio.create_task(loop, name=f"probe-{container['name']}"))
        return watched

    async def _all(
        self, pod: Object, container: Object, specs: dict[str, ProbeSpec], health: Health, tell: Verdict
    ) -> None:
        """The startup probe first; then liveness and readiness side by side."""
        if "startup" in specs and not health.started:
            await self._loop(pod, container, specs["startup"], None, tell, once=True)
        async with asyncio.TaskGroup() as group:
            if spec := specs.get("readiness"):
                group.create_task(self._loop(pod, container, spec, health.ready or None, tell))
            if spec := specs.get("liveness"):
                group.create_task(self._loop(pod, container, spec, True, tell))

    async def _loop(
        self,
        pod: Object,
        container: Object,
        spec: ProbeSpec,
        verdict: bool | None,
        tell: Verdict,
        *,
        once: bool = False,
    ) -> None:
        """Looks often until the first good answer of a startup or readiness probe; bad ones count once a period."""
        await self._clock.sleep(max(spec.delay_s, 0 if spec.kind != "liveness" else spec.period_s))
        streak, pause, counted = Streak(verdict=verdict), FIRST_LOOK_S, self._clock.monotonic()
        eager = spec.kind != "liveness" and not verdict
        while True:
            ok, text = await self.prober.ask(pod, container, spec.action, spec.timeout_s)
            due = self._clock.monotonic() - counted >= spec.period_s or not eager
            if ok or due:
                counted = self._clock.monotonic()
                before, streak = streak.verdict, answered(streak, ok, spec)
                if not ok:
                    tell(spec.kind + ":bad", False, text)
                if streak.verdict is not before and streak.verdict is not None:
                    tell(spec.kind, streak.verdict, text)
                    eager = eager and not streak.verdict
                    if once and streak.verdict:
                        return
            pause = min(pause * 1.5, spec.period_s)
            await self._clock.sleep(pause if eager else spec.period_s)
