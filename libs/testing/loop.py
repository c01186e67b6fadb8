"""An event loop on which time is a number: it jumps to the next timer when nobody has anything left to do.

Nothing here waits for the machine, so hours pass in seconds, and with every random draw from a seed a run is the same
each time. It must not be used with threads or sockets: what they would bring is never waited for.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from datetime import datetime, timedelta
from typing import Any, TypeVar

from libs.testing.clock import START

T = TypeVar("T")


class Stuck(RuntimeError):
    """Nobody waits for time and nobody is ready: the run would hang for ever."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting, moves the loop's time to where the wait would have ended."""

    pass_time: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("every task waits for another one, none for time")
        self.pass_time(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and is moved by the loop alone; asyncio's own sleeps and timeouts follow it."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        jump = _Jump()
        jump.pass_time = self._pass
        super().__init__(jump)
        self.set_task_factory(_counted)

    def time(self) -> float:
        return self._elapsed

    def _pass(self, seconds: float) -> None:
        self._elapsed += seconds


class LoopClock:
    """A :class:`libs.base.clock.Clock` over the running loop's time, which begins at `start`."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Runs `main` on a loop of its own; raises Stuck when it could never end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class Life:
    """Everything that runs for one process of the simulation: tasks begun within it, and what they hold."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._held: list[Callable[[], None]] = []

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """A task of this life; all that it begins belongs to this life too."""
        context = Context()
        context.run(_LIFE.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def hold(self, let_go: Callable[[], None]) -> None:
        """`let_go` is what the operating system would do for a process that is gone: close a file, drop a lock."""
        self._held.append(let_go)

    async def kill(self) -> None:
        """As by kill -9: what the tasks do in their last moments reaches nothing outside any more."""
        self.dead = True
        for let_go in self._held:
            let_go()
        while self._tasks:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.wait(list(self._tasks), timeout=0.1)

    def adopt(self, task: "asyncio.Task[Any]") -> None:
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        del self._tasks[task]
        if self.dead and not task.cancelled():
            task.exception()  # A dead process's last errors are nobody's.


_LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


def _counted(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **more)
    context = more.get("context")
    life = context.get(_LIFE) if context is not None else _LIFE.get()
    if life is not None:
        life.adopt(task)
    return task
