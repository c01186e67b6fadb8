"""Ends for what would not end: a time limit by the clock that was given, and a cancellation that is not lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.base.clock import Clock, SystemClock


@asynccontextmanager
async def time_limit(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Cancels its body after `seconds` of `clock` and raises TimeoutError."""
    if isinstance(clock, SystemClock):  # whose seconds are the loop's: a timer instead of a task for each letter
        async with asyncio.timeout(seconds):
            yield
        return
    async with asyncio.timeout(None) as scope:
        timer = asyncio.create_task(_expire(clock, seconds, scope))
        try:
            yield
        finally:
            timer.cancel()


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancels until the task has ended: Python 3.11's wait_for, which nats-py uses, can swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.1)


async def _expire(clock: Clock, seconds: float, scope: asyncio.Timeout) -> None:
    await clock.sleep(seconds)
    scope.reschedule(asyncio.get_running_loop().time())
