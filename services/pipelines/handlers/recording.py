"""Artifacts that people record themselves, and which tasks read or gave them; tasks and links as KFP lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from contracts.events.pipelines.v1 import ArtifactDeleted, ArtifactLinked, ArtifactRecorded
from libs.base.errors import BadRequest, Conflict
from services.pipelines.domain import lineage, recording
from services.pipelines.domain.catalog import run_view
from services.pipelines.domain.catalog.forms import LinkForm, NewArtifactForm
from services.pipelines.domain.lineage import Edge
from services.pipelines.domain.runs import Artifact, Run
from services.pipelines.handlers.desk import Means, Object, Say, there
from services.pipelines.handlers.runs import PLURAL as RUNS
from services.pipelines.ports import Bytes, Needs

PLURAL = "artifacts"
IDS_MAX = 100
READ_MAX = 256 * 2**20
"""Bytes that one request may have read for digests."""
Draft = tuple[Artifact, Edge | None]


@dataclass(frozen=True)
class Recording:
    """Whoever may create artifacts in a namespace; raises ApiError for whatever is refused."""

    means: Means
    stored: Bytes

    async def create(self, user: Any, sent: Sequence[NewArtifactForm]) -> list[Object]:
        """All of them, or none."""
        fields = ["artifact"] if len(sent) == 1 else [f"artifacts[{at}].artifact" for at in range(len(sent))]
        drafts = [await self._draft(user, form, field) for form, field in zip(sent, fields, strict=True)]
        drafts = await self._digested(drafts)
        async with self.means.begin() as (needs, say):
            made = [await _record(needs, say, *draft) for draft in drafts]
        return [lineage.shown(each) for each in made]

    async def link(self, user: Any, sent: Sequence[LinkForm]) -> list[Object]:
        """That a task read or gave an artifact: all of them, or none; once more is as once."""
        drafts = [await self._linked(user, form) for form in sent]
        async with self.means.begin() as (needs, say):
            for edge, artifact, _ in drafts:
                there(await needs.lineage.artifact(artifact.id), "artifact", artifact.id)
                await _link(needs, say, edge, artifact)
        return [recording.shown_edge(edge, name) for edge, _, name in drafts]

    async def delete(self, user: Any, id: str) -> Object:
        """One that no run made: those go with their runs."""
        async with self.means.begin() as (needs, say):
            found: Artifact = there(await needs.lineage.artifact(id), "artifact", id)
            await self.means.allow(user, "delete", PLURAL, found.namespace, "")
            if found.run_id:
                raise Conflict(f"artifact {found.name!r} is of the run {found.run_id!r}, and goes when that is deleted")
            await needs.lineage.forget(id)
            say(ArtifactDeleted(**_about(found), uri=found.uri))
        return {}

    async def links(
        self, user: Any, tasks: Sequence[str], runs: Sequence[str], artifacts: Sequence[str], type: str
    ) -> list[Object]:
        """Those of the named tasks, runs and artifacts, each of which has to be the asker's to look at."""
        if not 0 < len(tasks) + len(runs) + len(artifacts) <= IDS_MAX:
            raise BadRequest(f"task_ids, run_ids, artifact_ids: give 1 to {IDS_MAX} of them in all")
        way = recording.way_of(type, "type") if type not in ("", "UNSPECIFIED") else ""
        async with self.means.look() as needs:
            about = [await _task_run(needs, uid) for uid in tasks]
            about += [there(await needs.runs.get(id), "run", id) for id in runs]
            read = [there(await needs.lineage.artifact(id), "artifact", id) for id in artifacts]
            found = [edge for uid in tasks for edge in await needs.lineage.of_task(uid)]
            found += [edge for id in runs for edge in await needs.lineage.of_run(id)]
            found += [edge for id in artifacts for edge in await needs.lineage.of_artifact(id)]
        for space in sorted({one.namespace for one in (*about, *read)}):
            await self.means.allow(user, "get", RUNS, space, "")
        named = (tasks, "task_uid"), (runs, "run_id"), (artifacts, "artifact_id")
        kept = {
            edge
            for edge in found
            if way in ("", _plain(edge.way)) and all(not ids or getattr(edge, field) in ids for ids, field in named)
        }
        ordered = sorted(kept, key=lambda edge: (edge.run_id, edge.task_uid, edge.way, edge.name, edge.artifact_id))
        return [recording.shown_edge(edge) for edge in ordered]

    async def task(self, user: Any, uid: str) -> Object:
        async with self.means.look() as needs:
            run = await _task_run(needs, uid)
        return next(each for each in await self.tasks(user, run.id, "") if each["task_id"] == uid)

    async def tasks(self, user: Any, run_id: str, parent_id: str) -> list[Object]:
        """Of the run, or of one graph or loop in it."""
        if bool(run_id) == bool(parent_id):
            raise BadRequest("run_id, parent_id: give one of them")
        async with self.means.look() as needs:
            run: Run = (
                await _task_run(needs, parent_id) if parent_id else there(await needs.runs.get(run_id), "run", run_id)
            )
            tasks = await needs.runs.tasks(run.id)
            waits = {} if run.is_over else await needs.runs.waits(run.id)
        await self.means.allow(user, "get", RUNS, run.namespace, run.name)
        shown = run_view.details(run, tasks, waits)
        return [each for each in shown if not parent_id or each.get("parent_task_id") == parent_id]

    async def _draft(self, user: Any, form: NewArtifactForm, field: str) -> Draft:
        run, _ = await self._maker(form.run_id or "", form.task_id or "")
        asked = form.artifact.namespace
        space = run.namespace if run else self.means.space(asked)
        await self.means.allow(user, "create", PLURAL, space, "")
        if asked and asked != space:
            raise BadRequest(f"{field}.namespace: {asked!r} is not {space!r}, where the run is")
        home = self.means.home.removeprefix("s3://").partition("/")[0]
        made = recording.artifact_of(form.artifact, space, home, field)
        made = replace(made, run_id=run.id if run else "", task_uid=form.task_id or "")
        if not (run and form.task_id):
            return made, None
        way = recording.way_of(form.type, "type") if form.type not in (None, 0, "UNSPECIFIED") else lineage.WROTE
        return made, Edge(form.task_id, way, form.producer_key or made.name, "", run.id)

    async def _digested(self, drafts: Sequence[Draft]) -> list[Draft]:
        """With the digests of what lies in the namespace's part of our bucket: those that are known, and those of files
        that are not too large, all together, to be read for it."""
        made, left = [], READ_MAX
        for draft, edge in drafts:
            told = await self._told(draft, left) if draft.uri else draft
            left -= told.size
            made.append((told, edge))
        return made

    async def _told(self, draft: Artifact, most: int) -> Artifact:
        async with self.means.look() as needs:
            known: Artifact | None = await needs.lineage.newest_at(draft.namespace, draft.uri)
        if known is not None and known.digest:
            return replace(draft, digest=known.digest, size=known.size)
        found = await self.stored.stream(draft.namespace, draft.uri)
        if found is None or found[1] is None or found[1] > most:
            return draft
        (_, size, chunks), digest = found, sha256()
        async for chunk in chunks:
            digest.update(chunk)
        return replace(draft, digest=f"sha256:{digest.hexdigest()}", size=size)

    async def _maker(self, run_id: str, task_id: str) -> tuple[Run | None, str]:
        if not run_id and not task_id:
            return None, ""
        async with self.means.look() as needs:
            run: Run = there(await needs.runs.get(run_id), "run", run_id) if run_id else await _task_run(needs, task_id)
            task = await needs.lineage.task(task_id) if task_id else None
        if task_id and (task is None or task[0] != run.id):
            raise BadRequest(f"task_id: the run {run.id!r} has no task {task_id!r}")
        return run, task[1].name if task else ""

    async def _linked(self, user: Any, form: LinkForm) -> tuple[Edge, Artifact, str]:
        run, name = await self._maker(form.run_id or "", form.task_id)
        async with self.means.look() as needs:
            artifact: Artifact = there(await needs.lineage.artifact(form.artifact_id), "artifact", form.artifact_id)
        assert run is not None
        await self.means.allow(user, "create", PLURAL, run.namespace, "")
        await self.means.allow(user, "get", RUNS, artifact.namespace, "")
        if artifact.namespace != run.namespace:
            raise BadRequest(
                f"artifact_id: it is of the namespace {artifact.namespace!r}, the run of {run.namespace!r}"
            )
        way = recording.way_of(form.type, "type")
        return Edge(form.task_id, way, form.key or artifact.name, artifact.id, run.id), artifact, name


async def _record(needs: Needs, say: Say, draft: Artifact, edge: Edge | None) -> Artifact:
    made = replace(draft, id=needs.ids.uid(), created_ms=needs.now_ms())
    if made.run_id:  # it may have been deleted since
        there(await needs.runs.get(made.run_id), "run", made.run_id)
    await needs.lineage.record(made)
    say(ArtifactRecorded(**_about(made), kind=made.kind, uri=made.uri, run=made.run_id, task=made.task_uid))
    if edge is not None:
        await _link(needs, say, replace(edge, artifact_id=made.id), made)
    return made


async def _link(needs: Needs, say: Say, edge: Edge, artifact: Artifact) -> None:
    if edge in await needs.lineage.of_artifact(artifact.id):
        return
    there(await needs.lineage.task(edge.task_uid), "task", edge.task_uid)
    await needs.lineage.link(edge)
    say(ArtifactLinked(**_about(artifact), run=edge.run_id, task=edge.task_uid, way=edge.way, key=edge.name))


def _about(artifact: Artifact) -> dict[str, str]:
    """What every event of it says."""
    return {"namespace": artifact.namespace, "name": artifact.name, "uid": artifact.id}


async def _task_run(needs: Needs, uid: str) -> Run:
    found = there(await needs.lineage.task(uid), "task", uid)
    run: Run = there(await needs.runs.get(found[0]), "run", found[0])
    return run


def _plain(way: str) -> str:
    return lineage.WROTE if way == lineage.REUSED else way
