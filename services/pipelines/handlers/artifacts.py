"""Tasks and artifacts of runs with all that is known of them, and what was made of what; reading alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from libs.base import Clock
from libs.base.errors import Unauthorized
from services.pipelines.domain import downloads, lineage, viewing
from services.pipelines.domain.catalog import run_view
from services.pipelines.domain.catalog.filters import Predicate, Value
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.domain.engine.records import Kind, TaskRecord
from services.pipelines.domain.runs import Artifact, Run
from services.pipelines.domain.steps.naming import pod_name
from services.pipelines.domain.steps.places import attempt_root
from services.pipelines.domain.steps.results import LOG
from services.pipelines.handlers.desk import Means, Object, there
from services.pipelines.handlers.lineages import Lineages
from services.pipelines.handlers.run_texts import AT_ONCE
from services.pipelines.handlers.runs import PLURAL
from services.pipelines.ports import Bytes

Download = tuple[str, int | None, AsyncIterator[bytes]]
LOGS = (LOG, "main-logs")
"""As what a step printed is asked for; Argo calls it main-logs."""
TEXT_MAX, LOG_MAX, CONTENT_MAX = 16 * 2**20, 64 * 2**20, 256 * 2**20


@dataclass(frozen=True)
class Artifacts:
    """Whoever may look at runs of a namespace may look at what they made; raises ApiError for whatever is refused."""

    means: Means
    stored: Bytes
    key: Callable[[], Awaitable[bytes]]
    """The service's secret, by which links are signed."""
    clock: Clock
    public_url: str = ""
    """How browsers reach the platform, where that is not how the API was asked."""

    async def list(self, user: Any, namespace: str, page: Page) -> Object:
        space = self.means.space(namespace)
        await self.means.allow(user, "list", PLURAL, space, "")
        async with self.means.look() as needs:
            found, token, total = await needs.artifacts.list(_titled(page), namespace=space)
        return {"artifacts": [lineage.shown(each) for each in found], "total_size": total, "next_page_token": token}

    async def of_run(self, user: Any, run_id: str) -> Object:
        """What its tasks gave, also where that came from the cache."""
        run, tasks = await self._run(user, run_id)
        async with self.means.look() as needs:
            found = {each.id: each for each in await needs.runs.artifacts(run.id)}
            given = {one.id for task in tasks for many in task.outputs.artifacts.values() for one in many}
            found |= {each.id: each for each in await needs.lineage.artifacts(given - set(found))}
        return {"artifacts": [lineage.shown(each) for each in found.values()]}

    async def get(self, user: Any, id: str, base: str = "") -> Object:
        """With a `base`, how the caller reached the platform, also a URL that reads the bytes for a while."""
        found = await self._fetched(user, id)
        if not base:
            return lineage.shown(found)
        now = self.clock.now().timestamp()
        return lineage.shown(found, downloads.link(await self.key(), self.public_url or base, found.id, now))

    async def download(self, id: str, until: int, signature: str) -> Download:
        """For who has a link, whoever that is."""
        if not downloads.is_good(await self.key(), id, until, signature, self.clock.now().timestamp()):
            raise Unauthorized("this link is not good, or not any more: ask for the artifact again")
        async with self.means.look() as needs:
            found: Artifact = there(await needs.lineage.artifact(id), "artifact", id)
        return there(await self.stored.stream(found.namespace, found.uri), "stored object", found.uri)  # type: ignore[no-any-return]

    async def view(self, user: Any, id: str) -> Object:
        """What a viewer draws of it."""
        found = await self._fetched(user, id)
        if found.kind not in viewing.TEXTS:
            return viewing.view(found)
        data = await self.stored.read(found.namespace, found.uri, TEXT_MAX)
        return viewing.view(found, there(data, "stored object", found.uri).decode(errors="replace"))

    async def files(self, user: Any, id: str) -> Object:
        """What the artifact is made of, with a path below it for each file of a folder."""
        found = await self._fetched(user, id)
        files = await self.stored.files(found.namespace, found.uri)
        return {"files": [{"path": path, "size": str(size)} for path, size in files]}

    async def content(self, user: Any, id: str, path: str) -> bytes:
        """Its bytes, or those of one file below it."""
        found = await self._fetched(user, id)
        uri = f"{found.uri.rstrip('/')}/{path}" if path else found.uri
        data: bytes = there(await self.stored.read(found.namespace, uri, CONTENT_MAX), "stored object", uri)
        return data

    async def output(self, user: Any, run_id: str, node: str, name: str) -> bytes:
        """The bytes of what a task gave under this name; the task is told by its id, its pod or its name."""
        run, tasks = await self._run(user, run_id)
        task: TaskRecord = there(next((each for each in tasks if node in _names(run, each)), None), "task", node)
        if name in LOGS:
            return (await self.log(user, run_id, task.uid)).encode()
        given = there(next(iter(task.outputs.artifacts.get(name, ())), None), f"output of the task {node!r}", name)
        data: bytes = there(await self.stored.read(run.namespace, given.uri, CONTENT_MAX), "stored object", given.uri)
        return data

    async def tasks(self, user: Any, run_id: str) -> bytes:
        """The run, and its tasks as they are recorded, with why their outputs came from the cache or not, and why those
        that were begun do not run yet; as JSON, made of the records' own: a large run has megabytes."""
        run, found, seen = await self._seen(user, run_id), dict[int, str](), (-1, -1)
        while True:
            async with self.means.look() as needs:
                changes = await needs.runs.changes(run.id, seen, AT_ONCE)
            for version, number, *told in changes:
                found[number], seen = _recorded(*told), (version, number)
            if len(changes) < AT_ONCE:
                break
        tasks = ",".join(found[number] for number in sorted(found))
        return f'{{"run":{json.dumps(run_view.shown(run))},"tasks":[{tasks}]}}'.encode()

    async def cache(self, user: Any, run_id: str) -> Object:
        """Why the outputs of each step came from the cache or not, as far as anybody looked."""
        run, found = await self._run(user, run_id)
        async with self.means.look() as needs:
            reasons = await needs.runs.cache_reasons(run.id)
        told = [(task, reasons[task.uid]) for task in found if task.uid in reasons]
        return {"tasks": [{"task_id": task.uid, "path": task.path, "cache": why} for task, why in told]}

    async def log(self, user: Any, run_id: str, task_id: str) -> str:
        """What a step has printed: of its running pod, else what its last attempt left behind."""
        run, tasks = await self._run(user, run_id)
        task = there(next((each for each in tasks if each.uid == task_id), None), "task", task_id)
        if task.kind == Kind.STEP and not task.over:
            pod = pod_name(run.id, task.name, task.path, task.attempt)
            if (printed := await self.stored.printed(run.namespace, pod)) is not None:
                return printed
        async with self.means.look() as needs:
            uid = task.cached_from or task.uid
            kept, _, _ = await needs.artifacts.list(_logs_of(uid), namespace=run.namespace)
        # What was stopped has told nothing, but left what it had printed where it would have been.
        uri = kept[0].uri if kept else f"{attempt_root(run.root, task.path, task.attempt)}/{LOG}"
        data = await self.stored.read(run.namespace, uri, LOG_MAX)
        return str(there(data, "output of the task", task_id).decode(errors="replace"))

    async def follow(self, user: Any, run_id: str, task_id: str) -> AsyncIterator[bytes] | None:
        """What the step's running pod prints, until it has ended; None where there is none to follow."""
        run, tasks = await self._run(user, run_id)
        task = there(next((each for each in tasks if each.uid == task_id), None), "task", task_id)
        if task.kind != Kind.STEP or task.over:
            return None
        return self.stored.following(run.namespace, pod_name(run.id, task.name, task.path, task.attempt))

    async def lineage(self, user: Any, id: str, direction: str) -> Object:
        """What the artifact was made of, what was made of it and became of that, or both, as far as it goes."""
        return (await Lineages(self.means).around(user, await self._fetched(user, id), direction)).shown()

    async def lineage_picture(self, user: Any, id: str) -> str:
        return await Lineages(self.means).picture(user, await self._fetched(user, id))

    async def _run(self, user: Any, id: str) -> tuple[Run, Sequence[TaskRecord]]:
        run = await self._seen(user, id)
        async with self.means.look() as needs:
            return run, await needs.runs.tasks(id)

    async def _seen(self, user: Any, id: str) -> Run:
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(id), "run", id)
        await self.means.allow(user, "get", PLURAL, run.namespace, run.name)
        return run

    async def _fetched(self, user: Any, id: str) -> Artifact:
        async with self.means.look() as needs:
            found: Artifact = there(await needs.lineage.artifact(id), "artifact", id)
        await self.means.allow(user, "get", PLURAL, found.namespace, "")
        return found


def _recorded(body: str, cache: str, attempt: int, why: str) -> str:
    """A record's JSON with two words more."""
    if why:
        record = TaskRecord.from_json(json.loads(body))
        why = run_view.waits_for(record, {record.uid: (attempt, why)})
    return f'{body[:-1]},"cache":{json.dumps(cache)},"waits":{json.dumps(why)}}}'


def _titled(page: Page) -> Page:
    """KFP's words for types are kept as the titles that compiled pipelines have for them."""

    def title(value: Value) -> Value:
        return lineage.TYPES.get(value, value) if isinstance(value, str) else value

    asked = (
        replace(each, value=tuple(map(title, each.value)) if isinstance(each.value, tuple) else title(each.value))
        if each.key == "type"
        else each
        for each in page.predicates
    )
    return replace(page, predicates=tuple(asked))


def _names(run: Run, task: TaskRecord) -> tuple[str, ...]:
    return task.uid, task.name, pod_name(run.id, task.name, task.path, task.attempt)


def _logs_of(uid: str) -> Page:
    """The newest output that an attempt of the task left."""
    wanted = (Predicate("task_id", "EQUALS", uid), Predicate("name", "EQUALS", LOG))
    return Page(1, descending=True, predicates=wanted)
