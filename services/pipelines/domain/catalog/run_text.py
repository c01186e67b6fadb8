"""A run as the JSON text of KFP's API, made of one piece a task: who looks again pays for what has changed since.

It must not assume that it is told every change: of each task it is told the newest, in the order of their versions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from services.pipelines.domain.catalog import run_view
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.runs import Run, task_uid

Change = tuple[int, int, str, str, int, str]
"""A version, the task's number in its run, its record as JSON, why its outputs came from the cache or not, and of which
attempt it is said why it waits."""


class RunText:
    """`seen` are version and number of the newest change that it knows."""

    def __init__(self) -> None:
        self.seen = (-1, -1)
        self.size = 0
        """Of all pieces, in bytes."""
        self._tasks: dict[int, bytes] = {}
        """By number; each lacks its children and its last brace."""
        self._reasons: dict[int, bytes] = {}
        self._children: dict[str, list[str]] = {}
        """Of each graph and loop, by its uid: the uids inside, in JSON."""
        self._names: dict[int, str] = {}
        self._document: bytes | None = None

    @property
    def wants_document(self) -> bool:
        return self._document is None

    def show_document(self, document: Any) -> None:
        """The compiled pipeline, told where no version is referred to; None for those."""
        self._document = b"" if document is None else b',"pipeline_spec":' + _json(document)
        self.size += len(self._document)

    def take(self, run: Run, changes: Iterable[Change]) -> None:
        for version, number, body, cache, attempt, why in changes:
            record = TaskRecord.from_json(json.loads(body))
            if number not in self._names:
                self._names[number] = record.uid
                if record.parent:
                    parent = task_uid(run.id, record.parent)
                    self._children.setdefault(parent, []).append(f'{{"task_id":"{record.uid}"}}')
            waits = {record.uid: (attempt, why)} if why else {}
            self._put(self._tasks, number, _json(run_view.detail(run, record, waits))[:-1])
            if cache:
                told = _json({record.path.removeprefix("root/"): {"value": cache}})[1:-1]
                self._put(self._reasons, number, told)
            else:
                self.size -= len(self._reasons.pop(number, b""))
            self.seen = version, number

    def text(self, run: Run) -> bytes:
        """The whole answer."""
        parts = [_json(run_view.shown(run))[:-1], self._document or b"", b',"run_details":{"task_details":[']
        parts.append(b",".join(self._task(number) for number in sorted(self._tasks)))
        parts.append(b"]}")
        if self._reasons:
            parts.append(b',"plugins_output":{"cache":{"entries":{')
            parts.append(b",".join(self._reasons[number] for number in sorted(self._reasons)))
            parts.append(b'},"state":"SUCCEEDED"}}')
        parts.append(b"}")
        return b"".join(parts)

    def _task(self, number: int) -> bytes:
        inside = self._children.get(self._names[number], ())
        return b'%b,"child_tasks":[%b]}' % (self._tasks[number], ",".join(inside).encode())

    def _put(self, pieces: dict[int, bytes], number: int, piece: bytes) -> None:
        self.size += len(piece) - len(pieces.get(number, b""))
        pieces[number] = piece


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
