"""Work for one controller: each key once at a time, retried with back-off; it must not assume what a key means."""

import asyncio
import contextlib
import sys
import traceback
from collections.abc import Awaitable, Callable, Hashable

from libs.base.errors import Conflict
from services.node.domain.attempts import Backoff

Reconcile = Callable[[Hashable], Awaitable[float | None]]
RETRY = Backoff(first_s=0.2, most_s=60.0)


class Queue:
    """`reconcile(key)` returns seconds after which to look again, or None to wait for news."""

    def __init__(self, name: str, reconcile: Reconcile, workers: int = 4) -> None:
        self.name, self._reconcile, self._workers = name, reconcile, workers
        self._waiting: dict[Hashable, None] = {}
        self._busy: set[Hashable] = set()
        self._again: set[Hashable] = set()
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._failures: dict[Hashable, int] = {}
        self._bell = asyncio.Event()

    def add(self, key: Hashable) -> None:
        """The key needs a look soon."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._bell.set()

    def add_after(self, key: Hashable, seconds: float) -> None:
        """The key needs a look in a while; an earlier wish is replaced."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(max(0.0, seconds), self.add, key)

    async def run(self) -> None:
        """Works until cancelled."""
        async with asyncio.TaskGroup() as group:
            for nth in range(self._workers):
                group.create_task(self._work(), name=f"{self.name}-{nth}")

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._bell.clear()
                await self._bell.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._busy.add(key)
            try:
                await self._one(key)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _one(self, key: Hashable) -> None:
        try:
            after = await self._reconcile(key)
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            if not isinstance(error, Conflict):
                print(f"{self.name} {key}: {error!r}, try {failures}", file=sys.stderr)
                traceback.print_exception(error, limit=-6)
            self.add_after(key, RETRY.wait_s(failures))
            return
        self._failures.pop(key, None)
        if after is not None and key not in self._again:
            self.add_after(key, after)

    def drop_timers(self) -> None:
        """Forgets what was to come; for the end of the process."""
        for timer in self._timers.values():
            with contextlib.suppress(RuntimeError):
                timer.cancel()
        self._timers.clear()
