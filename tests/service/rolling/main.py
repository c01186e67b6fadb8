"""A speaker or a hearer of notes as a process, in its old or its new code: main.py old|new speaker|hearer [migrate].

Speakers make a note of each job that they hear of. Old code says v1, new code says v1 and v2. Old hearers hear v1, new
ones hear both and act on whichever comes first: until no replica of old code is left, a v2 can come to one that lets it
pass.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import contracts.registry
from contracts.envelope import Event, registry
from contracts.events.training.v1 import TrainJobCreated
from libs.service.app import App, Given
from libs.service.manifest import Manifest
from libs.service.runner import run
from libs.store import UnitOfWork
from tests.service.toy import HASTY

HERE = Path(__file__).parent
V1, V2 = "toy.note.written.v1", "toy.note.written.v2"


def speaker(code: str) -> App:
    says = (V1, V2) if code == "new" else (V1,)
    manifest = Manifest(name="speaker", says=says, hears=(TrainJobCreated.type,), needs=("store", "bus"))

    async def when_created(event: TrainJobCreated, uow: UnitOfWork) -> Sequence[Event]:
        about: dict[str, Any] = {"namespace": event.namespace, "name": event.name, "uid": event.uid}
        v1: Any = registry()[V1]
        if code == "old":
            await uow.rows("INSERT INTO notes (uid, written_by) VALUES (?1, 'old') RETURNING uid", event.uid)
            return [v1(**about)]
        sql = "INSERT INTO notes (uid, written_by, author) VALUES (?1, 'new', 'me') RETURNING uid"
        await uow.rows(sql, event.uid)
        v2: Any = registry()[V2]
        return [v1(**about, author="me"), v2(namespace=event.namespace, uid=event.uid, title=event.name)]

    return App(
        manifest=manifest,
        handlers={TrainJobCreated: when_created},
        needs=lambda ports, uow: uow,
        migrations=HERE / code / "migrations",
    )


def hearer(code: str) -> App:
    hears = (V1, V2) if code == "new" else (V1,)
    manifest = Manifest(name="hearer", hears=hears, needs=("store", "bus"))

    async def when_written(event: Any, uow: UnitOfWork) -> Sequence[Event]:
        if await uow.get("heard.example.org", event.namespace, event.uid) is None:
            by = f"{code} {event.type}"
            await uow.insert("heard.example.org", {"metadata": {"name": event.uid, "namespace": "team", "uid": by}})
        return []

    handlers: Any = {registry()[type]: when_written for type in hears}
    return App(manifest=manifest, handlers=handlers, needs=lambda ports, uow: uow)


if __name__ == "__main__":
    code, role, *order = sys.argv[1:]
    contracts.registry.PACKAGES = (*contracts.registry.PACKAGES, f"tests.service.rolling.{code}.events")
    run(lambda: {"speaker": speaker, "hearer": hearer}[role](code), given=Given(tuning=HASTY), argv=order)
