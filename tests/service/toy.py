"""A small service in the platform's own words: admits every job it hears of, and owns TrainJobs without a model."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.commands.training.v1 import ApplyTrainJob, DeleteTrainJob
from contracts.envelope import Command, Event, Letter, letter_for, structured, subject_for
from contracts.events.scheduling.v1 import WorkloadAdmitted
from contracts.events.training.v1 import TrainJobCreated, TrainJobDeleted
from libs.base import Invalid, Settings
from libs.base.errors import Cause
from libs.bus import Bus, Tuning
from libs.resources import Admission, Kind
from libs.service.app import App
from libs.service.manifest import Manifest
from libs.store import UnitOfWork

FINALIZER = "millstream.dev/toy"
HASTY = Tuning(ack_wait_s=1.0, watch_s=0.2)


def admit(obj: dict[str, Any], old: dict[str, Any] | None, admission: Admission) -> dict[str, Any]:
    if obj.get("spec", {}).get("nodes", 1) < 1:
        raise Invalid.about("trainjobs.trainer.kubeflow.org", "x", causes=[Cause("spec.nodes", "must be at least 1")])
    return obj


def facts(op: str, obj: dict[str, Any], old: dict[str, Any] | None) -> Sequence[Event]:
    meta = obj["metadata"]
    if op == "DELETED":
        return [TrainJobDeleted(namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])]
    return []


def toy_kind(finalizer: str | None = None) -> Kind:
    return Kind(
        group="trainer.kubeflow.org",
        version="v1alpha1",
        kind="TrainJob",
        plural="trainjobs",
        singular="trainjob",
        model=None,
        schema={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        finalizer=finalizer,
        admit=admit,
        events=facts,
    )


MANIFEST = Manifest(
    name="toy",
    owns=("trainjobs.trainer.kubeflow.org/v1alpha1",),
    hears=("training.trainjob.created.v1", "training.trainjob.apply.v1", "training.trainjob.delete.v1"),
    says=("scheduling.workload.admitted.v1",),
    needs=("store", "bus"),
)


async def when_created(event: TrainJobCreated, uow: UnitOfWork) -> Sequence[Event]:
    """One object a job: its insertion fails if the effect ever happens twice."""
    if event.name == "impossible":
        raise Invalid.about("admissions.example.org", event.name, "cannot be admitted")
    meta = {"name": event.name, "namespace": event.namespace, "uid": event.uid}
    await uow.insert("admissions.example.org", {"metadata": meta})
    return [WorkloadAdmitted(namespace=event.namespace, name=event.name, uid=event.uid, kind="TrainJob")]


def toy_app(finalizer: str | None = None, *, port: int = 0) -> App:
    kind = toy_kind(finalizer)
    return App(
        manifest=MANIFEST,
        kinds=[kind],
        handlers={TrainJobCreated: when_created},
        command_kinds={ApplyTrainJob: kind, DeleteTrainJob: kind},
        needs=lambda ports, uow: uow,
    )


def settings(folder: Path, nats_url: str | None = None, **more: Any) -> Settings:
    given = {"service": "toy", "port": 0, "insecure": True, "log_level": "warning", **more}
    return Settings(store_url=f"sqlite:///{folder}/toy.db", nats_url=nats_url, **given)


def created(name: str) -> TrainJobCreated:
    return TrainJobCreated(namespace="team", name=name, uid=f"uid-{name}")


def letter(message: Event | Command, id: str) -> Letter:
    return letter_for(message, id=id, source="millstream/test", now=datetime(2026, 11, 22, tzinfo=UTC))


async def say(bus: Bus, message: Event | Command, id: str) -> None:
    headers, data = structured(letter(message, id))
    await bus.publish(subject_for(message.type, message.namespace), data, headers=headers, msg_id=id)


class Heard:
    """Everything that is on the stream, as it comes."""

    def __init__(self, bus: Bus) -> None:
        self._bus, self.letters = bus, []  # type: ignore[var-annotated]
        self._news = asyncio.Event()

    async def run(self) -> None:
        async for message in self._bus.follow(["millstream.>"], since=datetime(2020, 1, 1, tzinfo=UTC)):
            with suppress(ValueError):
                self.letters.append(json.loads(message.data))
            self._news.set()

    def of(self, type: str) -> list[dict[str, Any]]:
        return [each for each in self.letters if each.get("type") == type]

    async def wait(self, type: str, count: int = 1, timeout_s: float = 30) -> list[dict[str, Any]]:
        async with asyncio.timeout(timeout_s):
            while len(self.of(type)) < count:
                self._news.clear()
                await self._news.wait()
        return self.of(type)


@asynccontextmanager
async def hearing(bus: Bus) -> AsyncIterator[Heard]:
    heard = Heard(bus)
    task = asyncio.create_task(heard.run())
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def killer(step_to_die_at: str, marker: Path) -> Any:
    """A fault point that kills this process with -9 the first time it comes to `step_to_die_at`."""

    async def fault(step: str) -> None:
        if step == step_to_die_at and not os.path.exists(marker):  # noqa: ASYNC240, PTH110 (the process ends here)
            os.close(os.open(marker, os.O_CREAT))
            os.kill(os.getpid(), signal.SIGKILL)

    return fault
