"""A process that writes and may be killed at any moment: `python -m libs.testing.store_writer URL NAME ROUNDS`.

Each round is one transaction: two objects that must always agree, a third that comes and goes, and a letter. A round's
number is printed only after its commit.
"""

import asyncio
import sys

from libs.base import SystemClock, SystemIds
from libs.store import Store, UnitOfWork
from libs.testing.store import PODS, a_letter, an_object


async def main(url: str, name: str, rounds: int) -> None:
    store = await Store.open(url, clock=SystemClock(), ids=SystemIds())
    print("open", flush=True)
    for _ in range(rounds):
        async with store.write() as uow:
            done = await _round(uow, name)
        print(done, flush=True)
    await store.close()


async def _round(uow: UnitOfWork, name: str) -> int:
    left = await uow.get(PODS, "default", f"{name}-left")
    number = left["round"] + 1 if left else 1
    for side in ("left", "right"):
        obj = an_object(f"{name}-{side}", round=number, padding="x" * 1000)
        await (uow.update(PODS, obj) if left else uow.insert(PODS, obj))
    if number % 2:
        await uow.insert(PODS, an_object(f"{name}-odd", round=number))
    else:
        await uow.delete(PODS, "default", f"{name}-odd")
    uow.say(a_letter(f"{name}-{number}"), "millstream.test.default")
    return number


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
