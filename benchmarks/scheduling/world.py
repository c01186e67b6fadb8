"""The owner of all workloads, and the processes that it speaks with: a real broker and a scheduler, each its own."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from os import sysconf
from pathlib import Path

from benchmarks.scheduling.shape import Shape
from benchmarks.scheduling.table import Table, Virtual
from contracts.commands.scheduling.v1 import FinishWorkload
from contracts.envelope import letter_for, structured, subject_for
from contracts.messages import Message
from libs.base.ids import SystemIds
from libs.bus import Bus, Tuning
from libs.testing.bus_server import NatsServer

FACTS = ("millstream.scheduling.workload.admitted.", "millstream.scheduling.workload.evicted.")
IN_FLIGHT = 256
LOOK_S, PATIENCE_S = 0.5, 300.0


class World:
    """`waits`: by class, how long each waited, in virtual ms. `said` counts the owner's letters; what the scheduler
    counts stands in the table."""

    def __init__(self, shape: Shape, table: Table, clock: Virtual, bus: Bus, pids: tuple[int, int]) -> None:
        self.shape, self.table, self._clock, self._bus, self._pids = shape, table, clock, bus, pids
        self.waits: dict[str, list[int]] = defaultdict(list)
        self.waiting: dict[str, int] = {}
        self.running: dict[str, str] = {}
        self.said = self.heard = 0
        self.finish_at: Callable[[int, str], None] = lambda at, uid: None
        self._news = asyncio.Event()
        self._ids = SystemIds(clock)
        self._gate = asyncio.Semaphore(IN_FLIGHT)
        self._leaving: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def of(cls, name: str, scale: float, shape: Shape, folder: Path) -> AsyncIterator[World]:
        server = NatsServer(folder / "nats", sync_always=True)
        await server.start()
        table = Table(folder / "table")
        clock = Virtual(table)
        tuning = Tuning(publish_s=PATIENCE_S)
        bus = await Bus.connect(server.url, service="owner", clock=clock, ids=SystemIds(clock), tuning=tuning)
        await bus.ensure("owner", [])
        command = (sys.executable, "-m", "benchmarks.scheduling.apart", name, str(scale), server.url, str(folder))
        pipe = asyncio.subprocess.PIPE
        scheduler = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert scheduler.stdout is not None and scheduler.stdin is not None
        try:
            await scheduler.stdout.readuntil(b"!")
            world = cls(shape, table, clock, bus, (scheduler.pid, server._process.pid if server._process else 0))
            tasks = [asyncio.create_task(each) for each in (world.hear(), world.listen(scheduler.stdout))]
            yield world
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            scheduler.stdin.close()
            await scheduler.wait()
            await bus.close()
            server.kill()

    def processor_s(self) -> tuple[float, float, float]:
        """Processor time so far: of the scheduler, of the broker, and of this process, the owner's."""
        scheduler, broker = map(_processor_s, self._pids)
        return scheduler, broker, time.process_time()

    async def step(self, due: Sequence[tuple[int, int, str]]) -> None:
        """Says what is due at this moment, and returns when all that follows from it is done."""
        messages: list[Message] = []
        for _, is_end, uid in due:
            if not is_end:
                self.waiting[uid] = self.table["ms"]
                messages.append(self.shape.submit(uid))
            elif (admission := self.running.pop(uid.partition("@")[0], None)) == uid.partition("@")[2]:
                name = uid.partition("@")[0]
                about = {"namespace": "bench", "name": name, "uid": name, "kind": "Task"}
                messages.append(FinishWorkload(**about, reason="Succeeded"))
            elif admission is not None:
                self.running[uid.partition("@")[0]] = admission  # it was evicted and runs anew meanwhile
        await asyncio.gather(*map(self.say, messages))
        moved, seen = time.monotonic(), ""
        while not self._is_quiet():
            self._news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_S)
            if (state := self._state()) != seen:
                moved, seen = time.monotonic(), state
            assert time.monotonic() - moved < PATIENCE_S, f"nothing moves, and nothing is at rest: {seen}"

    def _state(self) -> str:
        told = ", ".join(f"{name} {self.table[name]}" for name in ("taken", "decisions", "rested", "head"))
        return f"said {self.said}, heard {self.heard}, {told}"

    def _is_quiet(self) -> bool:
        """In this order: once every letter is taken, and all that it changed was seen by a loop that rests, the
        scheduler moves no more by itself, and what it has decided is all that is to be heard."""
        table = self.table
        if table["taken"] != self.said or self._leaving:
            return False
        rested = table["rested"]
        return rested >= table["head"] and self.heard == table["decisions"] and not self._leaving

    async def say(self, message: Message) -> None:
        self.said += 1
        letter = letter_for(message, id=self._ids.event(), source="owner", now=self._clock.now())
        headers, data = structured(letter)
        async with self._gate:
            await self._bus.publish(subject_for(message.type, "bench"), data, headers=headers, msg_id=letter.id)

    async def listen(self, output: asyncio.StreamReader) -> None:
        """The scheduler may have come to rest."""
        while await output.read(4096):
            self._news.set()

    async def hear(self) -> None:
        """The owner: what is admitted runs, what is evicted leaves at once and asks again."""
        async with aclosing(self._bus.follow([f"{fact}>" for fact in FACTS], after_seq=0)) as stream:
            async for message in stream:
                data = json.loads(message.data)["data"]
                if "admitted" in message.subject:
                    self._admitted(data["uid"], data["admission"])
                else:
                    self._evicted(data["uid"], data["admission"])
                self.heard += 1
                if self.heard == self.table["decisions"]:
                    self._news.set()

    def _admitted(self, uid: str, admission: str) -> None:
        each, now = self.shape.class_of(uid), self.table["ms"]
        if uid in self.waiting:
            self.waits[each.name].append(now - self.waiting.pop(uid))
        if self.running.get(uid) != admission:
            self.running[uid] = admission
            self.finish_at(now + each.runtime_ms, f"{uid}@{admission}")

    def _evicted(self, uid: str, admission: str) -> None:
        if self.running.get(uid) == admission:
            del self.running[uid]
        again = asyncio.create_task(self.say(self.shape.submit(uid, after=admission)))
        self._leaving.add(again)
        again.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        self._news.set()


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / sysconf("SC_CLK_TCK")
