"""Pipelines and their versions: uploaded, looked up, changed, deleted; a pipeline that makes no sense is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.events.pipelines import v1 as events
from libs.base.errors import BadRequest, Conflict
from services.pipelines.domain.catalog import documents, forms
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.items import Pipeline, Version
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.handlers.desk import Means, Object, Say, changed, name_of, there
from services.pipelines.ports import Needs

PLURAL = "pipelines"


@dataclass(frozen=True)
class Pipelines:
    """Answers as KFP's API does; raises ApiError for whatever is refused."""

    means: Means

    async def create(self, user: Any, form: forms.PipelineForm) -> Object:
        space = await self.may_create(user, form.namespace)
        async with self.means.begin() as (needs, say):
            return (await _new(needs, say, space, form)).shown()

    async def create_with_version(
        self, user: Any, form: forms.PipelineForm, version: forms.VersionForm, document: Document | None = None
    ) -> Object:
        """A pipeline and its first version, which is called like it unless it says otherwise. The answer is the
        pipeline."""
        space = await self.may_create(user, form.namespace)
        _, document = await self.means.check(document or _sent(version))
        named = form.model_copy(update={"name": name_of(form.name, form.display_name, document.name)})
        async with self.means.begin() as (needs, say):
            made = await _new(needs, say, space, named)
            await _new_version(needs, say, made, version, document)
            return made.shown()

    async def add_version(
        self, user: Any, id: str, version: forms.VersionForm, document: Document | None = None
    ) -> Object:
        await self._fetched(user, "update", id)
        _, document = await self.means.check(document or _sent(version))
        async with self.means.begin() as (needs, say):
            below = there(await needs.catalog.pipelines.get(id), "pipeline", id)
            made = await _new_version(needs, say, below, version, document)
            return made.shown(document.shown())

    async def get(self, user: Any, id: str) -> Object:
        return (await self._fetched(user, "get", id)).shown()

    async def by_name(self, user: Any, name: str, namespace: str) -> Object:
        space = self.means.space(namespace)
        await self.means.allow(user, "get", PLURAL, space, name)
        async with self.means.look() as needs:
            found: Pipeline = there(await needs.catalog.pipelines.find(space, name), "pipeline", name)
            return found.shown()

    async def list(self, user: Any, namespace: str, page: Page) -> Object:
        space = self.means.space(namespace)
        await self.means.allow(user, "list", PLURAL, space, "")
        async with self.means.look() as needs:
            items, token, total = await needs.catalog.pipelines.list(page, namespace=space)
        return {"pipelines": [item.shown() for item in items], "total_size": total, "next_page_token": token}

    async def update(self, user: Any, id: str, form: forms.PipelineForm) -> Object:
        await self._fetched(user, "update", id)
        async with self.means.begin() as (needs, say):
            pipeline: Pipeline = there(await needs.catalog.pipelines.get(id), "pipeline", id)
            changed(pipeline, form.model_dump(), "display_name", "description", "tags")
            await needs.catalog.pipelines.put(pipeline)
            say(events.PipelineUpdated(**_about(pipeline)))
            return pipeline.shown()

    async def delete(self, user: Any, id: str, cascade: bool) -> Object:
        await self._fetched(user, "delete", id)
        async with self.means.begin() as (needs, say):
            pipeline = there(await needs.catalog.pipelines.get(id), "pipeline", id)
            while (found := await needs.catalog.versions.list(Page(), pipeline_id=id))[0]:
                if not cascade:
                    raise Conflict(f"pipeline {id!r} has {found[2]} versions: delete them first, or ask for cascade")
                for version in found[0]:
                    await _drop(needs, say, pipeline, version)
            await needs.catalog.pipelines.delete(id)
            say(events.PipelineDeleted(**_about(pipeline)))
        return {}

    async def version(self, user: Any, id: str, version_id: str) -> Object:
        await self._fetched(user, "get", id)
        async with self.means.look() as needs:
            found = await _version(needs, id, version_id)
            document = await needs.catalog.document(found.spec)
            return found.shown(document.shown() if document else None)

    async def versions(self, user: Any, id: str, page: Page) -> Object:
        await self._fetched(user, "list", id)
        async with self.means.look() as needs:
            items, token, total = await needs.catalog.versions.list(page, pipeline_id=id)
            specs = {item.spec: await needs.catalog.document(item.spec) for item in items}
        shown = [item.shown(kept.shown() if (kept := specs[item.spec]) else None) for item in items]
        return {"pipeline_versions": shown, "total_size": total, "next_page_token": token}

    async def update_version(self, user: Any, id: str, version_id: str, form: forms.VersionForm) -> Object:
        await self._fetched(user, "update", id)
        async with self.means.begin() as (needs, say):
            pipeline = there(await needs.catalog.pipelines.get(id), "pipeline", id)
            version = await _version(needs, id, version_id)
            changed(version, form.model_dump(), "display_name", "description", "tags", "code_source_url")
            await needs.catalog.versions.put(version)
            say(events.PipelineVersionUpdated(pipeline=id, **_about(version, pipeline.namespace)))
            document = await needs.catalog.document(version.spec)
            return version.shown(document.shown() if document else None)

    async def delete_version(self, user: Any, id: str, version_id: str) -> Object:
        await self._fetched(user, "update", id)
        async with self.means.begin() as (needs, say):
            pipeline = there(await needs.catalog.pipelines.get(id), "pipeline", id)
            await _drop(needs, say, pipeline, await _version(needs, id, version_id))
        return {}

    async def may_create(self, user: Any, namespace: str | None) -> str:
        """The namespace that is meant; asked before an upload is unpacked, too."""
        space = self.means.space(namespace)
        await self.means.allow(user, "create", PLURAL, space, "")
        return space

    async def may_update(self, user: Any, id: str) -> None:
        await self._fetched(user, "update", id)

    async def _fetched(self, user: Any, verb: str, id: str) -> Pipeline:
        async with self.means.look() as needs:
            found: Pipeline = there(await needs.catalog.pipelines.get(id), "pipeline", id)
        await self.means.allow(user, verb, PLURAL, found.namespace, found.name)
        return found


def _sent(version: forms.VersionForm) -> Document:
    if version.pipeline_spec is not None:
        return documents.from_json(version.pipeline_spec, "pipeline_version.pipeline_spec")
    if version.package_url is not None and version.package_url.pipeline_url:
        raise BadRequest("package_url: nothing is fetched from other places: upload the file, or send pipeline_spec")
    raise BadRequest("pipeline_version.pipeline_spec: missing: send what kfp's Compiler().compile wrote")


async def _new(needs: Needs, say: Say, space: str, form: forms.PipelineForm) -> Pipeline:
    name = name_of(form.name, form.display_name)
    pipeline = Pipeline(
        needs.ids.uid(),
        space,
        name,
        form.display_name or name,
        needs.now_ms(),
        form.description or "",
        form.tags or {},
    )
    await needs.catalog.pipelines.add(pipeline)
    say(events.PipelineCreated(**_about(pipeline)))
    return pipeline


async def _new_version(
    needs: Needs, say: Say, pipeline: Pipeline, form: forms.VersionForm, document: Document
) -> Version:
    name = name_of(form.name, form.display_name, pipeline.name)
    version = Version(
        needs.ids.uid(),
        pipeline.id,
        name,
        form.display_name or name,
        await needs.catalog.keep(document),
        needs.now_ms(),
        form.description or "",
        form.tags or {},
        form.code_source_url or "",
    )
    await needs.catalog.versions.add(version)
    said = _about(version, pipeline.namespace)
    say(events.PipelineVersionCreated(pipeline=pipeline.id, spec=version.spec, **said))
    return version


async def _drop(needs: Needs, say: Say, pipeline: Pipeline, version: Version) -> None:
    await needs.catalog.versions.delete(version.id)
    await needs.catalog.sweep(version.spec)
    say(events.PipelineVersionDeleted(pipeline=pipeline.id, **_about(version, pipeline.namespace)))


async def _version(needs: Needs, pipeline_id: str, version_id: str) -> Version:
    found = await needs.catalog.versions.get(version_id)
    if found is not None and found.pipeline_id != pipeline_id:
        found = None
    version: Version = there(found, f"version of the pipeline {pipeline_id!r}", version_id)
    return version


def _about(item: Pipeline | Version, namespace: str = "") -> Mapping[str, Any]:
    space = item.namespace if isinstance(item, Pipeline) else namespace
    return {"namespace": space, "name": item.name, "uid": item.id}
