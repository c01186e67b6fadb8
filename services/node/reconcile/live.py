"""What the kubelet knows of a pod beyond the store; it must not be asked for what a restart may not forget."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from services.node.domain.attempts import Attempts
from services.node.domain.pods import Seen, Waiting
from services.node.reconcile.probing import Watched
from services.node.reconcile.recorder import News

Object = dict[str, Any]


@dataclass
class Live:
    """What is known of one pod beyond the store."""

    attempts: Attempts
    brief: bool = False
    sandbox: bool = False
    stale_volumes: bool = False
    blocked: dict[str, Waiting] = field(default_factory=dict)
    pulls: dict[str, Waiting] = field(default_factory=dict)
    probed: dict[str, Watched] = field(default_factory=dict)
    killed: set[tuple[str, int]] = field(default_factory=set)
    news: list[News] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    told: str | None = None
    """The version of the pod that this node wrote last."""
    later: asyncio.Task[None] | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the looks at the pod; ends with the node."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def rest(self) -> None:
        """Its containers are looked after no more."""
        for watched in self.probed.values():
            watched.stop()

    def stop(self) -> None:
        """Ends the node's own tasks for it; its containers go on."""
        self.rest()
        for task in [*self.tasks, *([self.later] if self.later else [])]:
            task.cancel()

    @property
    def seen(self) -> Seen:
        return Seen(self.attempts, {name: w.health for name, w in self.probed.items()}, self.blocked)


def all_containers(pod: Object) -> list[Object]:
    return [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]


def container_named(pod: Object, name: str) -> Object:
    return next(c for c in all_containers(pod) if c["name"] == name)
