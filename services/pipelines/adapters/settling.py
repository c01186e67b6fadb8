"""One run's decisions until nothing more follows: steps that need no pod (imported, cached, impossible) end at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from libs.store import Reader, UnitOfWork
from services.pipelines.adapters.ledger import FIND_CACHE, NEWEST_CACHE
from services.pipelines.adapters.live import LiveRun
from services.pipelines.domain.cache import Fingerprint, explain, fingerprint, hit, is_repeatable
from services.pipelines.domain.codes import INVALID_ARGUMENT
from services.pipelines.domain.engine.records import Error, Kind, Outputs, State, TaskRecord
from services.pipelines.domain.engine.words import End, Failed, Put, Start, StepEnded, StepPaused, Stop, Succeeded
from services.pipelines.domain.gates import expired, is_gate
from services.pipelines.domain.importing import imported
from services.pipelines.domain.queued import Ask, wanted
from services.pipelines.domain.steps.results import outcome
from services.pipelines.domain.steps.values import StepOrder

LATER = "it is being looked for what is kept of it"
"""Of a step that was begun and not yet answered: nobody was told that it has started."""
ANSWERS_MAX = 256
"""How many steps are answered for in one transaction, each with a query or two: others write between."""
ANEW = "off: this step was asked to run again"
OFF = "off: caching is turned off for this run"
BARRED = "off: caching is turned off for this step"


@dataclass(frozen=True)
class StartNow:
    """A step that gets a pod: at once, or with `ask` when the scheduler admits it. `again`: it was started before, by
    who may have been killed over it."""

    record: TaskRecord
    order: StepOrder
    again: bool = False
    ask: Ask | None = None


@dataclass(frozen=True)
class Look:
    """The bucket is to be asked, outside of any transaction, whether these outputs are still there; then what the step
    comes to can be said."""

    record: TaskRecord
    outputs: Outputs


@dataclass
class Settled:
    """What is to be written and done. `kept` are the fingerprints, by path, under which outputs are kept; `broken` that
    nothing could be decided; `answers` how many steps were answered for."""

    live: LiveRun
    changed: dict[str, TaskRecord] = field(default_factory=dict)
    starts: list[StartNow] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    stops: list[TaskRecord] = field(default_factory=list)
    kept: dict[str, Fingerprint] = field(default_factory=dict)
    end: End | None = None
    broken: bool = False
    answers: int = 0


async def settle(uow: UnitOfWork, live: LiveRun, now: datetime, bucket: str) -> Settled:
    settled = Settled(live)
    if live.fresh:
        live.later.extend((record.path, record.attempt) for record in live.machine.active())
    round_ = [*_too_late(live, now)]
    round_ += await _round(uow, settled, [*_put_off(settled)], bucket, again=True)
    while True:
        round_ += await _round(uow, settled, live.machine.advance(now), bucket, again=False)
        if not round_:
            break
        for ended in round_:
            live.machine.tell(ended)
        round_ = []
    settled.starts = [start for start in settled.starts if _is_wanted(start, settled)]
    settled.looks = [look for look in settled.looks if _is_wanted(look, settled)]
    for record in settled.changed.values():
        if _ran_well(record) and (made := kept_under(live, record, settled.changed)) is not None:
            settled.kept[record.path] = made
    return settled


def _too_late(live: LiveRun, now: datetime) -> Iterator[StepEnded]:
    """What the tasks come to about which nobody decided in time."""
    for record in [live.stored[path] for path, at in live.gates.items() if at <= now]:
        order = live.order(record)
        yield StepEnded(record.path, record.attempt, outcome(order, expired(order)))


def _put_off(settled: Settled) -> Iterator[Start]:
    """The steps that were begun before and are to be answered for now."""
    live = settled.live
    for _ in range(min(len(live.later), ANSWERS_MAX)):
        path, attempt = live.later.popleft()
        record = live.machine.record(path)
        if record is not None and live.machine.expects(path, attempt):
            yield Start(record)


def _is_wanted(start: StartNow | Look, settled: Settled) -> bool:
    """Not if its result came before somebody took the run over, who starts again what was started."""
    now = settled.changed.get(start.record.path)
    return now is None or (now.active and now.attempt == start.record.attempt)


def _ran_well(record: TaskRecord) -> bool:
    return record.kind == Kind.STEP and record.state == State.SUCCEEDED and not record.cached_from


async def _round(
    uow: UnitOfWork, settled: Settled, decisions: list[Put | Start | Stop | End], bucket: str, again: bool
) -> list[StepEnded | StepPaused]:
    """Sorts decisions; answers what ended without a pod, or waits for a person without one."""
    ended: list[StepEnded | StepPaused] = []
    for decision in decisions:
        match decision:
            case Put(record):
                settled.changed[record.path] = record
            case Stop(record):
                settled.starts = [one for one in settled.starts if one.record.path != record.path]
                settled.looks = [one for one in settled.looks if one.record.path != record.path]
                settled.stops.append(record)
            case End():
                settled.end = decision
            case Start(record):
                ended += await _begin(uow, settled, record, bucket, again)
    return ended


async def _begin(
    uow: UnitOfWork, settled: Settled, record: TaskRecord, bucket: str, again: bool
) -> list[StepEnded | StepPaused]:
    """What the step comes to at once; nothing where it gets a pod, or has to be answered for later."""
    live = settled.live
    was_put_off = again and live.caches.get(record.path) == LATER
    was_started = again and not was_put_off
    if settled.answers >= ANSWERS_MAX:
        if not was_started:
            live.caches[record.path] = LATER
        live.later.append((record.path, record.attempt))
        return []
    settled.answers += 1
    if was_put_off:
        del live.caches[record.path]
    found = await answer(uow, settled, record, bucket, was_started)
    if isinstance(found, Look):
        live.caches[record.path] = LATER
        settled.looks.append(found)
        return []
    if not isinstance(found, StepOrder):
        return [StepEnded(record.path, record.attempt, found)]
    if is_gate(found.image):
        return [StepPaused(record.path, record.attempt)]
    if was_put_off:
        settled.changed.setdefault(record.path, record)  # for what is said of its cache
    settled.starts.append(StartNow(record, found, was_started, wanted(found, live.run.options)))
    return []


async def answer(
    reader: Reader, settled: Settled, record: TaskRecord, bucket: str, was_started: bool = False
) -> StepOrder | Succeeded | Failed | Look:
    """What its pod is to do, what it comes to without one, or what has to be known first. One that was started runs,
    whatever is kept by now: nobody would stop its pod."""
    live = settled.live
    if record.kind == Kind.IMPORTER:
        found = imported(live.pipeline, record, live.run.namespace, bucket)
        return Succeeded(live.identified(found.outputs, record)) if isinstance(found, Succeeded) else found
    try:
        order = live.order(record)
        wanted(order, live.run.options)
    except (ValueError, KeyError) as error:
        return Failed(Error(f"{record.name}: {error}", INVALID_ARGUMENT, "BadStep"), final=True)
    if was_started or not is_repeatable(order):
        return order
    return _as_before(live, record) or await _kept(reader, settled, record, order) or order


def _as_before(live: LiveRun, record: TaskRecord) -> Succeeded | Look | None:
    """What a fork keeps of the run that it is a fork of."""
    found = live.earlier.kept(live.pipeline, record) if live.earlier else None
    if found is None:
        return None
    return _if_there(
        live, record, found, f"hit: the result of run {live.run.options.fork_of}, of which this one is a fork"
    )


def _if_there(live: LiveRun, record: TaskRecord, found: Succeeded, why: str) -> Succeeded | Look | None:
    """Nothing where these outputs cannot be given out again. Why, or `why` they can, is noted."""
    lost = live.presence.known(found.outputs) if live.presence else ""
    if lost is None:
        return Look(record, found.outputs)
    live.caches[record.path] = lost or why
    return None if lost else found


ITEMS = 16
"""Of a step in a loop as many results of its name are looked at to tell what changed."""


async def _kept(reader: Reader, settled: Settled, record: TaskRecord, order: StepOrder) -> Succeeded | Look | None:
    """The outputs that are kept under the step's fingerprint; why not is noted."""
    live = settled.live
    task = live.cacheable(record, settled.changed)
    if task is None:
        live.caches[record.path] = BARRED
        return None
    if live.earlier is not None and live.earlier.is_anew(record.path):
        live.caches[record.path] = ANEW
        return None
    if live.run.options.cache is False:
        live.caches[record.path] = OFF
        return None
    made = fingerprint(live.pipeline, record, order, task)
    found = await reader.rows(FIND_CACHE, live.run.namespace, made.key)
    if found:
        uid, told = str(found[0][0]), json.loads(found[0][1])
        kept = Succeeded(Outputs.from_json(told), cached_from=uid)
        return _if_there(live, record, kept, hit(told.get("origin")))
    most = ITEMS if any(part.isdigit() for part in record.path.split("/")) else 1
    newest = await reader.rows(NEWEST_CACHE, live.run.namespace, live.run.pipeline_name, record.name, most)
    live.caches[record.path] = explain(made.parts, [json.loads(row[0]) for row in newest])
    return None


def kept_under(live: LiveRun, record: TaskRecord, changed: Mapping[str, TaskRecord]) -> Fingerprint | None:
    """What its outputs are kept under; None where the author wants none kept. Who only does not want to be given old
    ones (`options.cache`) still leaves them for others."""
    task, order = live.cacheable(record, changed), live.order(record)
    if task is None or not is_repeatable(order):
        return None
    return fingerprint(live.pipeline, record, order, task)
