"""The runs that go on, in the memory of the replica that leads: each is loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator

from libs.base.errors import MillstreamError, Unavailable
from libs.service.app import Ports
from libs.store import Reader
from services.pipelines.adapters.live import LiveRun, load
from services.pipelines.adapters.presence import Away, Presence
from services.pipelines.adapters.runs import ReadRuns
from services.pipelines.adapters.specs import Specs
from services.pipelines.domain.engine.records import TaskRecord


class Unreadable(MillstreamError):
    """A run that cannot be read back, as when its pipeline is no longer understood."""


class LiveRuns:
    """`all` has them by their ids. It knows of each step that was started and is not over whose it is, as pods and
    results only name the step."""

    def __init__(self, ports: Ports, specs: Specs, bucket: str) -> None:
        self._ports, self._specs, self._bucket = ports, specs, bucket
        self.all: dict[str, LiveRun] = {}
        self._steps: dict[str, tuple[str, str]] = {}
        """Of each of them: its run and its path."""
        self._away = Away()

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(self.all.values())

    async def get(self, reader: Reader, id: str) -> LiveRun | None:
        """The run as it is in the store by now, with the machine that knows its tasks; None for one that is over or
        gone. Raises Unreadable."""
        if id in self.all:
            run = await ReadRuns(reader).get(id)
            if run is None:
                return None
            self.all[id].run = run
            return self.all[id]
        try:
            live = await load(reader, self._specs, id)
        except Unavailable:
            raise
        except Exception as error:
            raise Unreadable(str(error) or repr(error)) from error
        if live is None or live.run.is_over:
            return None
        self.all[id] = live
        if self._ports.blobs is not None:
            live.presence = Presence(self._ports.blobs, self._bucket, self._ports.clock, self._away)
        for record in live.machine.active():
            self.note(live, record)
        return live

    def note(self, live: LiveRun, record: TaskRecord) -> None:
        """The step was started, goes on, or is over."""
        if record.over:
            self._steps.pop(record.uid, None)
        elif record.active:
            self._steps[record.uid] = (live.run.id, record.path)

    def run_of(self, uid: str) -> str:
        """The id of the run that a step is of; "" where nobody knows the step."""
        return self._steps.get(uid, ("", ""))[0]

    def where(self, uid: str) -> tuple[LiveRun | None, str]:
        """The run that a step is of, and the step's path."""
        id, path = self._steps.get(uid, ("", ""))
        return self.all.get(id), path

    def forget(self, id: str) -> None:
        live = self.all.pop(id, None)
        for record in live.stored.values() if live else ():
            self._steps.pop(record.uid, None)

    def clear(self) -> None:
        self.all.clear()
        self._steps.clear()
