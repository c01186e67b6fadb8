"""What comes first ends the waiting, and so does whoever gives the waiting up."""

import asyncio

import pytest

from libs.base.waiting import first_of


async def _wait(event: asyncio.Event, given_up: list[str]) -> None:
    try:
        await event.wait()
    except asyncio.CancelledError:
        given_up.append("given up")
        raise


async def test_the_first_that_is_over_ends_it_and_the_others_are_given_up() -> None:
    rung, never, given_up = asyncio.Event(), asyncio.Event(), list[str]()
    rung.set()
    await first_of(_wait(rung, given_up), _wait(never, given_up))
    await asyncio.sleep(0)
    assert given_up == ["given up"]


async def test_who_is_cancelled_leaves_nobody_waiting() -> None:
    never, given_up = asyncio.Event(), list[str]()
    waiting = asyncio.ensure_future(first_of(_wait(never, given_up), _wait(never, given_up)))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert given_up == ["given up", "given up"]
