"""Pods that do not come to run: since when, and what the cluster's Events say of those whose status says nothing.

It must not assume that Events can be read: a pod is then as silent as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from libs.base import Clock
from libs.cluster import Cluster
from libs.cluster.obstacles import Obstacle
from libs.cluster.telling import events_about
from services.pipelines.domain.starting import is_to_be_mended, told_by

Key = tuple[str, int]
ASK_AFTER_S = 4.0
"""What starts as it should is never asked about: reading Events costs a call."""
AT_ONCE = 8


@dataclass
class Silent:
    """A pod that does not run and does not say why; `told` is what its Events said last."""

    key: Key
    namespace: str
    pod_uid: str
    asked: float
    told: Obstacle | None = None


class Starting:
    """Of attempts that shall run and do not. Times are seconds of the monotonic clock."""

    def __init__(self, cluster: Cluster, clock: Clock, patience_s: float) -> None:
        self._cluster, self._clock, self.patience_s = cluster, clock, patience_s
        self._blocked: dict[Key, tuple[float, Obstacle]] = {}
        self._silent: dict[Key, Silent] = {}

    def blocked(self, key: Key, why: Obstacle | None) -> None:
        """Why it does not run; None where that is not known (any more)."""
        if why is None or not is_to_be_mended(why):
            self._blocked.pop(key, None)
        else:
            since, _ = self._blocked.get(key) or (self._clock.monotonic(), why)
            self._blocked[key] = since, why

    def silent(self, key: Key, namespace: str, pod_uid: str) -> Obstacle | None:
        """Its status tells nothing; the answer is what its Events have told."""
        found = self._silent.setdefault(key, Silent(key, namespace, pod_uid, self._clock.monotonic()))
        return found.told

    def speaks(self, key: Key) -> None:
        self._silent.pop(key, None)

    def forget(self, key: Key) -> None:
        self._blocked.pop(key, None)
        self._silent.pop(key, None)

    def clear(self) -> None:
        self._blocked.clear()
        self._silent.clear()

    def hopeless(self) -> Iterator[tuple[Key, Obstacle]]:
        """Those for which nobody has done anything for too long."""
        late = self._clock.monotonic() - self.patience_s
        yield from [(key, why) for key, (since, why) in self._blocked.items() if since <= late]

    async def ask(self) -> list[tuple[Key, Obstacle | None]]:
        """Of some that have been silent for long, those that waited longest first: what Events newly say of them."""
        now = self._clock.monotonic()
        due = [one for one in self._silent.values() if now - one.asked >= ASK_AFTER_S]
        due = sorted(due, key=lambda one: one.asked)[:AT_ONCE]
        news = await asyncio.gather(*map(self._news, due))
        return [(one.key, one.told) for one, is_new in zip(due, news, strict=True) if is_new]

    async def _news(self, one: Silent) -> bool:
        one.asked, before = self._clock.monotonic(), one.told
        one.told = told_by(await events_about(self._cluster, one.namespace, [one.pod_uid]))
        return one.told != before and self._silent.get(one.key) is one
