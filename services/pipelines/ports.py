"""What the pipelines' rooms need of one another: runs as the API changes them, and the desk where steps report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from contracts.admission import Answer
from libs.base import milliseconds
from libs.base.clock import Clock
from libs.base.ids import Ids
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.items import Experiment, Pipeline, RecurringRun, Version
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.catalog.run_text import Change
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.ir.model import Pipeline as Compiled
from services.pipelines.domain.jobs import Job
from services.pipelines.domain.lineage import Edge
from services.pipelines.domain.planned import Planned
from services.pipelines.domain.releases import Release
from services.pipelines.domain.runs import Artifact, NewRun, Run
from services.pipelines.domain.sharing import Brought
from services.pipelines.domain.steps.values import StepOrder, StepResult

T = TypeVar("T")


class Shelf(Protocol[T]):
    """The items of one sort inside one transaction; a parent is a version's pipeline, a namespace for the others."""

    async def get(self, id: str) -> T | None: ...

    async def find(self, parent: str, name: str) -> T | None: ...

    async def add(self, item: T) -> T:
        """Raises AlreadyExists where its name is taken."""
        ...

    async def put(self, item: T) -> T: ...

    async def delete(self, id: str) -> None: ...

    async def list(self, page: Page, **within: str) -> tuple[Sequence[T], str, int]:
        """The items of a page, the token of the next one ("" at the end), and how many there are in all."""
        ...


class Catalog(Protocol):
    """What is kept beside runs, inside one transaction."""

    @property
    def pipelines(self) -> Shelf[Pipeline]: ...

    @property
    def versions(self) -> Shelf[Version]: ...

    @property
    def experiments(self) -> Shelf[Experiment]: ...

    @property
    def recurring(self) -> Shelf[RecurringRun]: ...

    async def keep(self, document: Document) -> str:
        """Stores a compiled pipeline, once; its digest."""
        ...

    async def document(self, digest: str) -> Document | None: ...

    async def due(self, now_ms: int, limit: int) -> Sequence[RecurringRun]:
        """Recurring runs that are to start a run by now and have no more active ones than they may, those that wait
        longest first."""
        ...

    async def next_due(self, now_ms: int) -> int | None:
        """When the next recurring run is due that is not due by now."""
        ...

    async def number(self, id: str) -> int:
        """The number of a recurring run's next run, from one; each is given once."""
        ...

    async def sweep(self, digest: str) -> None:
        """Forgets a compiled pipeline to which nothing refers any more."""
        ...


class RunList(Protocol):
    """Runs as lists show them."""

    async def list(self, page: Page, **within: str) -> tuple[Sequence[Run], str, int]:
        """As `Shelf.list`."""
        ...

    async def namespaces(self) -> Sequence[str]:
        """Those that have runs."""
        ...


class Lineage(Protocol):
    """Which task read and gave which artifact, as steps and people told."""

    async def artifact(self, id: str) -> Artifact | None: ...

    async def artifacts(self, ids: Iterable[str]) -> Sequence[Artifact]:
        """Those that are there."""
        ...

    async def newest_at(self, namespace: str, uri: str) -> Artifact | None:
        """Of those that lie there."""
        ...

    async def task(self, uid: str) -> tuple[str, TaskRecord] | None:
        """With the id of its run."""
        ...

    async def of_artifact(self, id: str) -> Sequence[Edge]: ...

    async def of_task(self, uid: str) -> Sequence[Edge]: ...

    async def of_run(self, run_id: str) -> Sequence[Edge]: ...

    async def record(self, artifact: Artifact) -> None:
        """One that somebody told of; only in a transaction that writes, as `link`."""
        ...

    async def link(self, edge: Edge) -> None: ...

    async def forget(self, artifact_id: str) -> None:
        """The artifact and all that was said of it; what it names stays."""
        ...


class Releases(Protocol):
    """Versions and endpoints that others told of, inside one transaction."""

    async def note(self, release: Release) -> None:
        """Twice is as once; what is gone stays gone."""
        ...

    async def note_gone(self, namespace: str, name: str, id: str) -> None: ...

    async def versions(self, name: str) -> Sequence[Release]:
        """Those called model/version."""
        ...

    async def endpoints(self, namespace: str, name: str) -> Sequence[Release]:
        """The revisions of all endpoints that ever had this name."""
        ...

    async def at(self, uris: Iterable[str]) -> Sequence[Release]:
        """Those that stand for what lies there."""
        ...


class Jobs(Protocol):
    """Jobs that the trainer and the tuner told of, inside one transaction; what they read and made is looked for in one
    namespace."""

    async def note(self, job: Job) -> None:
        """Twice is as once; what this tells nothing of is left as it was."""
        ...

    async def named(self, uids: Iterable[str]) -> Sequence[Job]: ...

    async def of_task(self, namespace: str, uid: str) -> Sequence[Job]: ...

    async def reading(self, namespace: str, uri: str) -> Sequence[Job]: ...

    async def making(self, namespace: str, uri: str) -> Sequence[Job]: ...


class Hears(Protocol):
    """What handlers of others' facts get beside the message."""

    @property
    def jobs(self) -> Jobs: ...

    @property
    def releases(self) -> Releases: ...


class ArtifactList(Protocol):
    """Artifacts as lists show them."""

    async def list(self, page: Page, **within: str) -> tuple[Sequence[Artifact], str, int]:
        """As `Shelf.list`."""
        ...


class Bytes(Protocol):
    """What runs of a namespace stored, and what their running steps printed."""

    async def stream(self, namespace: str, uri: str) -> tuple[str, int | None, AsyncIterator[bytes]] | None:
        """A file's name, its size and its bytes, those of a folder as a tar archive of a size that nobody knows yet;
        None for what is not there, or not the namespace's own."""
        ...

    async def read(self, namespace: str, uri: str, most: int) -> bytes | None:
        """None for what is not there, or not the namespace's own. Raises TooLarge."""
        ...

    async def files(self, namespace: str, uri: str) -> Sequence[tuple[str, int]]:
        """What lies there: paths below it with their sizes, one with an empty path where it is an object itself."""
        ...

    async def printed(self, namespace: str, pod: str) -> str | None:
        """None for a pod that is not there."""
        ...

    def following(self, namespace: str, pod: str) -> AsyncIterator[bytes]:
        """The lines that a pod prints, until it has ended; none of one that is not there."""
        ...


class Sharing(Protocol):
    """Kept results of this platform for others, and of others for this one."""

    async def entries(self, namespace: str, run_id: str, after: str) -> tuple[Sequence[dict[str, Any]], str]: ...

    async def content(self, namespace: str, key: str, output: str, place: int, path: str) -> AsyncIterator[bytes]:
        """Raises NotFound before the first chunk."""
        ...

    async def wanted(self, namespace: str, keys: Sequence[str]) -> list[str]: ...

    async def parts(self, namespace: str, digest: str) -> Mapping[int, int]:
        """Of an object that is being brought: the sizes of what has come, by number."""
        ...

    async def put_part(self, namespace: str, digest: str, number: int, data: bytes) -> None: ...

    async def keep(self, namespace: str, told: Mapping[str, Any]) -> tuple[Brought, bool]:
        """What came, and whether it was news. Raises BadRequest for what cannot be believed."""
        ...


class Rehearsal(Protocol):
    """What a run would do."""

    async def rehearse(self, new: NewRun, pipeline: Compiled) -> Sequence[Planned]:
        """Nothing is written or started."""
        ...


class Runs(Protocol):
    """The runs inside one transaction. What is changed here is told and, after the commit, carried out by the conductor
    of whichever replica leads. Lists with filters are the API's own reading of the table."""

    async def create(self, new: NewRun) -> Run:
        """A PENDING run with a fresh id; its event is said."""
        ...

    async def get(self, id: str) -> Run | None: ...

    async def tasks(self, id: str) -> Sequence[TaskRecord]:
        """In the order in which they came to be."""
        ...

    async def changes(self, id: str, seen: tuple[int, int], most: int) -> Sequence[Change]:
        """What was changed since the one of this version and number, in order: each task once, as it is by now."""
        ...

    async def cache_reasons(self, id: str) -> Mapping[str, str]:
        """Why a task's outputs came from the cache or not, by its uid, as far as anybody looked."""
        ...

    async def waits(self, id: str) -> Mapping[str, tuple[int, str]]:
        """Why tasks that were begun do not run yet, by their uid, each with the attempt of which it is said."""
        ...

    async def artifacts(self, id: str) -> Sequence[Artifact]:
        """Made or imported by the run's tasks, in their order."""
        ...

    async def terminate(self, id: str) -> Run:
        """CANCELING from now on, until its exit tasks have ended; asked again, they are stopped too. Nothing happens to
        one that is over. Raises NotFound."""
        ...

    async def retry(self, id: str) -> Run:
        """A failed or canceled run goes on from what failed. Raises NotFound, Conflict for one that goes on or
        succeeded."""
        ...

    async def archive(self, id: str, archived: bool) -> Run:
        """Raises NotFound, Conflict for one that goes on."""
        ...

    async def delete(self, id: str) -> bool:
        """Its pods are stopped, its tasks and artifacts' rows go; the bytes stay where they are. One that goes on and
        may have exit tasks is terminated, archived, and goes when those have ended (False); asked again, it goes now.
        Raises NotFound."""
        ...


class Answers(Protocol):
    """What the scheduler said of steps that named a queue, inside the transaction of its letter."""

    async def note(self, answer: Answer) -> None: ...


class StepDesk(Protocol):
    """Where the step door hands on what a pod asks and tells. Each call is a transaction of its own."""

    async def order_of(self, uid: str, attempt: int) -> StepOrder | None:
        """What the attempt is to do; None when there is no such task, or it is not this attempt that counts now."""
        ...

    async def report(self, namespace: str, uid: str, attempt: int, result: StepResult) -> bool:
        """`finish` for a pod of this namespace: False, and nothing is changed, for a step of another one, or for a task
        that waits for a person."""
        ...

    async def finish(self, uid: str, attempt: int, result: StepResult) -> bool:
        """Returns when the result is committed: True if this attempt's result is recorded, now or before; False when
        another attempt counts by now, or the run no longer wants it: the pod may end, its words change nothing."""
        ...


class StepFiles(Protocol):
    """Signed URLs for what a step reads and writes; only the step door asks for them."""

    async def told(self, order: StepOrder) -> dict[str, Any]:
        """The order as its launcher reads it."""
        ...

    def uploads(self, order: StepOrder, uris: Sequence[str]) -> dict[str, str]:
        """A URL to store each URI at. Raises Forbidden for what does not lie below the attempt's own root."""
        ...

    async def parts(self, order: StepOrder, uri: str, size: int, upload: str, first: int) -> dict[str, Any]:
        """URLs for some parts of an object that is too large for one request, from the `first` on; without an `upload`
        one is begun."""
        ...

    async def whole(self, order: StepOrder, uri: str, upload: str, etags: Sequence[str]) -> None:
        """All parts have come: the object appears. Well if it did before."""
        ...

    async def environment(self, order: StepOrder, name: str, *, made: bool, stored: bool) -> dict[str, Any]:
        """Who makes the environment of this name: ready with a URL, to be built by who asks, or to be waited for."""
        ...


@dataclass
class Needs:
    """What a request to the API gets beside its message; all of one transaction."""

    catalog: Catalog
    runs: Runs
    run_list: RunList
    lineage: Lineage
    artifacts: ArtifactList
    releases: Releases
    jobs: Jobs
    clock: Clock
    ids: Ids

    def now_ms(self) -> int:
        return milliseconds(self.clock.now())
