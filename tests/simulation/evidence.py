"""What a run left behind, gathered in one place for the invariants to judge: logs, tables, letters, cluster objects."""

import json
import sqlite3
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from libs.bus.messages import Message
from libs.testing.bus_broker import MemoryBroker, Stream, matches
from libs.testing.cluster import MemoryCluster
from services.scheduler.domain.objects.workloads import memory
from tests.simulation.workload import Told
from tests.simulation.world import BUILDERS, World

Object = dict[str, Any]
TRAINJOBS = "trainjobs.trainer.kubeflow.org"
ISVCS = "inferenceservices.serving.kserve.io"


@dataclass(frozen=True)
class Row:
    """One row of a change log."""

    seq: int
    op: str
    resource: str
    name: str
    body: Object | None
    letter: Object | None
    said: bool


@dataclass
class Evidence:
    """`logs` are the change logs by service; `innocent` errors were thrown in, the others are in `errors`."""

    told: Told
    broker: MemoryBroker
    cluster: MemoryCluster
    wiped: list[tuple[Stream, Stream]]
    logs: dict[str, list[Row]] = field(default_factory=dict)
    inboxes: dict[str, set[str]] = field(default_factory=dict)
    hears: dict[str, list[str]] = field(default_factory=dict)
    workloads: list[Object] = field(default_factory=list)
    versions: list[Object] = field(default_factory=list)
    known_versions: list[Object] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def objects(self, service: str, resource: str) -> dict[str, Object]:
        """By name, as they are now."""
        now: dict[str, Object] = {}
        for row in self.logs[service]:
            if row.resource == resource and row.body is not None:
                now[row.name] = row.body
                if row.op == "DELETED":
                    del now[row.name]
        return now

    def lives(self, service: str, resource: str) -> dict[str, list[Row]]:
        """By uid, all rows about one object, from its creation on."""
        found: dict[str, list[Row]] = {}
        for row in self.logs[service]:
            if row.resource == resource and row.body is not None:
                found.setdefault(row.body["metadata"]["uid"], []).append(row)
        return found

    def letters(self, service: str, type: str) -> list[Object]:
        """All letters of that type that the service ever promised to say."""
        return [row.letter for row in self.logs[service] if row.letter and row.letter["type"] == type]

    @cached_property
    def jobs(self) -> dict[str, list[Row]]:
        return self.lives("trainer", TRAINJOBS)

    @cached_property
    def stream(self) -> list[Message]:
        """What is in the broker now."""
        return self.broker.stream.messages

    def heard_by(self, service: str) -> list[Message]:
        filters = [f"millstream.{type}.*" for type in self.hears[service]]
        return [message for message in self.stream if any(matches(f, message.subject) for f in filters)]


def gather(world: World, told: Told, errors: list[str]) -> Evidence:
    """Reads everything; the services may run on but should be at rest."""
    found = Evidence(told, world.broker, world.cluster, world.wiped, errors=errors)
    for name, build in BUILDERS.items():
        with _reading(world.file(name)) as db:
            found.logs[name] = [_row(row) for row in db.execute(_CHANGES)]
            found.inboxes[name] = {row["event_id"] for row in db.execute("SELECT event_id FROM inbox")}
        found.hears[name] = list(build().manifest.hears)
    found.workloads = workloads(world.file("scheduler"))
    found.versions = _rows(world.file("registry"), _VERSIONS)
    found.known_versions = _rows(world.file("serving"), "SELECT * FROM known_versions")
    return found


_CHANGES = "SELECT seq, op, resource, name, body, letter, said_at FROM changes ORDER BY seq"
_VERSIONS = """
SELECT v.id, v.name AS version, m.name AS model, v.job_uid FROM registry_records v
JOIN registry_records m ON m.id = v.parent WHERE v.family = 'version'
"""


class _reading:
    """A connection that is closed afterwards, with rows by name."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file)
        self._db.row_factory = sqlite3.Row

    def __enter__(self) -> sqlite3.Connection:
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.close()


def _rows(file: Path, query: str) -> list[Object]:
    with _reading(file) as db:
        return [dict(row) for row in db.execute(query)]


def _row(row: sqlite3.Row) -> Row:
    body, letter = (json.loads(row[key]) if row[key] else None for key in ("body", "letter"))
    return Row(row["seq"], row["op"], row["resource"], row["name"], body, letter, row["said_at"] is not None)


def admitted_cpu(file: Path) -> int:
    """Millicores of all workloads that hold quota at this moment."""
    held = (memory(workload).get("admission") for workload in workloads(file))
    sets = [one for admission in held if admission for one in admission["sets"]]
    return sum(one["requests"]["cpu"] * one["count"] for one in sets)


def workloads(file: Path) -> list[Object]:
    """The Workload objects as the scheduler keeps them."""
    query = "SELECT body FROM objects WHERE resource = 'workloads.kueue.x-k8s.io'"
    return [json.loads(row["body"]) for row in _rows(file, query)]
