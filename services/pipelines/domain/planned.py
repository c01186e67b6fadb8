"""What a run would do, told task by task before it does anything; made of the records of a machine that rehearsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.pipelines.domain.engine.only import Only
from services.pipelines.domain.engine.records import Kind, State, TaskRecord
from services.pipelines.domain.ir.model import Pipeline

RUN, REUSE, SKIP, FAIL, LATER = "run", "reuse", "skip", "fail", "later"
"""later: it cannot be said yet, since what it is given depends on steps that would run."""


@dataclass(frozen=True)
class Planned:
    """`path` as people name tasks, without the root."""

    path: str
    name: str
    decision: str
    reason: str

    def to_json(self) -> dict[str, str]:
        return dict(vars(self))


def planned(
    pipeline: Pipeline, records: Iterable[TaskRecord], reasons: Mapping[str, str], paths: frozenset[str] = frozenset()
) -> list[Planned]:
    """`reasons` say why a step would run, or where its outputs come from; graphs are told by what is inside.
    `paths` are the steps that the run is for, if it is not for all."""
    only = Only(pipeline, paths)
    known = {record.path: record for record in records}
    found: list[Planned] = []
    for record in known.values():
        if record.kind in (Kind.STEP, Kind.IMPORTER) or record.state is State.SKIPPED:
            found.append(_decided(record, reasons.get(record.path, "")))
        elif record.state is State.FAILED and record.error and not record.error.path:
            found.append(_decided(record, ""))
        elif record.kind is Kind.DAG:
            found += _later(pipeline, record, known, only)
    return sorted(found, key=lambda each: each.path)


def _decided(record: TaskRecord, reason: str) -> Planned:
    match record.state:
        case State.SKIPPED:
            decision, reason = SKIP, record.reason
        case State.FAILED:
            decision, reason = FAIL, record.error.message if record.error else ""
        case State.SUCCEEDED:
            decision, reason = REUSE, reason or "it is only named, not run"
        case _:
            decision = RUN
    return Planned(_short(record.path), record.display_name, decision, reason)


def _later(pipeline: Pipeline, graph: TaskRecord, known: Mapping[str, TaskRecord], only: Only) -> list[Planned]:
    dag = pipeline.components[graph.component].dag
    found = []
    for name, task in dag.tasks.items() if dag else ():
        path = f"{graph.path}/{name}"
        if path in known:
            continue
        if dag and not only.wants(graph.path, dag, name):
            found.append(Planned(_short(path), task.display_name, SKIP, "NotWanted"))
        else:
            open_ = [each for each in task.upstream if not _over(known.get(f"{graph.path}/{each}"))]
            found.append(Planned(_short(path), task.display_name, LATER, f"after {', '.join(open_)}"))
    return found


def _over(record: TaskRecord | None) -> bool:
    return record is not None and record.over


def _short(path: str) -> str:
    return path.partition("/")[2]
