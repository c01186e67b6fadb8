"""One run from its seed: a storm of work and trouble, then calm, then the judgement."""

import asyncio
import gc
import hashlib
import json
import logging
import random
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SAWarning

from libs.base import ApiError
from libs.base.ids import SeededIds
from libs.bus import BusError
from libs.store import Store
from libs.testing.loop import Life, run_virtually
from libs.testing.store_check import assert_whole
from libs.testing.store_inline import inline
from tests.simulation import invariants
from tests.simulation.evidence import Evidence, gather
from tests.simulation.workload import JOBS, Workload
from tests.simulation.world import BUILDERS, Lost, Trouble, World

LOOK_EVERY_S = 2.0
REST_MAX_S = 1800.0
REST_LOOK_S = 15.0


@dataclass(frozen=True)
class Ending:
    """`digest` is the same whenever the same seed was run by the same code; `virtual_s` is how long it lasted."""

    digest: str
    virtual_s: float
    broken: list[str]
    diary: list[str]


def run(seed: int, duration_s: float = 300.0) -> Ending:
    """Runs one seed. Whoever looks at chance or the clock gets the seed's."""
    random.seed(seed)
    collecting = gc.isenabled()
    gc.disable()  # when it runs is the machine's choice, and it ends tasks
    try:
        with (
            tempfile.TemporaryDirectory(prefix="millstream-sim-") as folder,
            warnings.catch_warnings(action="ignore", category=SAWarning),  # of connections that died with their process
            _Listening() as errors,
        ):
            ending = run_virtually(_story(World(seed, Path(folder)), duration_s, errors))
            gc.collect()
            return ending
    finally:
        if collecting:
            gc.enable()


async def _story(world: World, duration_s: float, errors: list[str]) -> Ending:
    workload = Workload(world, duration_s)
    seen: dict[str, None] = {}
    await world.start()
    watching = asyncio.create_task(_look(world, seen))
    working = asyncio.create_task(workload.run())
    reporting = asyncio.create_task(workload.programs())
    troubling = asyncio.create_task(_trouble(world))
    await world.clock.sleep(duration_s)
    troubling.cancel()
    await asyncio.gather(troubling, return_exceptions=True)
    _calm(world)
    at_rest = await _rest(world, working)
    watching.cancel()
    evidence = gather(world, workload.told, [*errors, *world.fell])
    found = [*seen, *invariants.broken(evidence), *await _whole(world)]
    if not at_rest:
        found.append(f"Every run comes to rest within {REST_MAX_S} s of calm.\n    It did not.")
    ending = Ending(_digest(evidence), world.clock.monotonic(), found, world.diary)
    working.cancel()
    reporting.cancel()
    await asyncio.gather(working, watching, reporting, return_exceptions=True)
    await world.stop()
    return ending


def _calm(world: World) -> None:
    world.note("calm")
    world.stormy = world.message_faults.on = False
    world.broker.start()


async def _look(world: World, seen: dict[str, None]) -> None:
    while True:
        await world.clock.sleep(LOOK_EVERY_S)
        for what in invariants.while_it_runs(world):
            seen[f"{invariants.while_it_runs.__doc__}\n    {what}"] = None


async def _trouble(world: World) -> None:
    """From time to time something happens to a process, to the broker or to the cluster's memory."""
    rng = world.chance.of("trouble")
    while world.weather.trouble_every_s < float("inf"):
        await world.clock.sleep(rng.expovariate(1 / world.weather.trouble_every_s))
        await rng.choice(_TROUBLES)(world, rng)


async def _kill(world: World, rng: random.Random) -> None:
    process = world.random_process(rng)
    world.note(f"{process.life.name} is killed")
    world.crash(process)


async def _kill_all(world: World, rng: random.Random) -> None:
    world.note("all are killed")
    for process in world.processes.values():
        world.crash(process)


async def _terminate(world: World, rng: random.Random) -> None:
    process = world.random_process(rng)
    world.note(f"{process.life.name} is asked to stop")
    process.ask_to_stop()


async def _broker_away(world: World, rng: random.Random) -> None:
    world.note("the broker is away")
    world.broker.stop()
    await world.clock.sleep(rng.choice([0.5, 5.0, 60.0]))
    if world.weather.wipes and rng.random() < 0.4:
        world.note("the broker lost its directory")
        world.wipe()
    world.broker.start()


async def _consumer_dropped(world: World, rng: random.Random) -> None:
    name = rng.choice(sorted(BUILDERS))
    world.note(f"{name}'s consumer is deleted")
    world.broker.drop_consumer(name)


async def _cluster_forgets(world: World, rng: random.Random) -> None:
    world.cluster.forget_history()


_TROUBLES: tuple[Callable[..., object], ...] = (
    _kill, _kill, _kill, _kill_all, _terminate, _broker_away, _broker_away, _consumer_dropped, _cluster_forgets,
)  # fmt: skip


async def _rest(world: World, working: "asyncio.Task[None]") -> bool:
    """Lets all that is suspended go on, and waits until nothing is left to do; False when that never comes."""
    until = world.clock.monotonic() + REST_MAX_S
    while world.clock.monotonic() < until:
        await world.clock.sleep(REST_LOOK_S)
        try:
            _, answer = await world.ask("trainer", "GET", JOBS)
        except Lost:
            continue
        for job in answer["items"]:
            if job["spec"].get("suspend"):
                await world.ask("trainer", "PATCH", f"{JOBS}/{job['metadata']['name']}", {"spec": {"suspend": False}})
        over = all(_is_over(job) for job in answer["items"])
        if over and working.done() and _quiet(world):
            # What is left now are things that a resync or a sweep would find to do.
            await world.clock.sleep(150)
            return True
    return False


def _is_over(job: dict) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") for c in conditions)


def _quiet(world: World) -> bool:
    heard = world.broker.stream.messages
    return not heard or (world.clock.now() - heard[-1].time).total_seconds() > 60


async def _whole(world: World) -> list[str]:
    """Each object's version is its last change's, and replaying a change log gives the objects."""
    found, life = [], Life("inspector")
    for name in BUILDERS:
        where = inline(world.file(name), latency=lambda: 0.0, life=life)
        store = await Store.on(where, clock=world.clock, ids=SeededIds(0))
        try:
            await assert_whole(store)
        except AssertionError as error:
            found.append(f"{_whole.__doc__}\n    {name}: {error}")
        await store.close()
    return found


def _digest(evidence: Evidence) -> str:
    """Of every change of every service and every letter in the stream, in their order."""
    told = [
        [[(row.seq, row.op, row.name, row.body, row.letter) for row in rows] for rows in evidence.logs.values()],
        [(message.seq, message.subject, message.data.decode()) for message in evidence.stream],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class _Listening(logging.Handler):
    """Collects the errors that services log, but for those that follow from what the run threw in."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("sqlalchemy"):
            return  # It finds the connections of dead processes, as the operating system would.
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not _is_explained(error):
            self.found.append(f"{record.name}: {record.getMessage()}: {error!r}")

    def __enter__(self) -> list[str]:
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.propagate = False
            logger.setLevel(logging.ERROR)
        return self.found

    def __exit__(self, *_: object) -> None:
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.removeHandler(self)
            logger.propagate = True
            logger.setLevel(logging.NOTSET)


_LOGGERS = ("libs", "services", "asyncio", "opentelemetry", "sqlalchemy")


def _is_explained(error: BaseException) -> bool:
    if isinstance(error, ExceptionGroup):
        return all(_is_explained(inner) for inner in error.exceptions)
    if isinstance(error, ApiError):
        return error.code == 503
    # A process that is being killed finds its files closed.
    return isinstance(error, (Trouble, BusError)) or any(words in str(error) for words in _INNOCENT)


_INNOCENT = ("closed database", "disk I/O error, thrown in")
