"""PipelineService and PipelineUploadService of KFP's API."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from libs.base.errors import BadRequest
from services.pipelines.api.v2beta1.route import Named, User, paging
from services.pipelines.domain.catalog import archives, documents, forms, keys, multipart
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.handlers.pipelines import Pipelines

Words = Annotated[str, Query(max_length=forms.TEXT_MAX)]
PAGING, VERSION_PAGING = paging(keys.PIPELINE), paging(keys.VERSION)


def add_to(made: APIRouter, desk: Pipelines) -> None:
    # Before `{id}` ones, which would take their words for an id.
    _uploads(made, desk)
    _whole(made, desk)
    _versions(made, desk)


def _uploads(made: APIRouter, desk: Pipelines) -> None:
    @made.post("/pipelines/upload")
    async def upload(
        request: Request,
        user: User,
        name: Named = "",
        display_name: Named = "",
        description: Words = "",
        namespace: Named = "",
        tags: Words = "",
    ) -> dict[str, Any]:
        await desk.may_create(user, namespace)
        document = await _uploaded(request)
        form = forms.PipelineForm(
            name=name, display_name=display_name, description=description, namespace=namespace, tags=_tags(tags)
        )
        return await desk.create_with_version(user, form, forms.VersionForm(), document)

    @made.post("/pipelines/upload_version")
    async def upload_version(
        request: Request,
        user: User,
        pipelineid: Named,
        name: Named = "",
        display_name: Named = "",
        description: Words = "",
        tags: Words = "",
    ) -> dict[str, Any]:
        await desk.may_update(user, pipelineid)
        document = await _uploaded(request)
        form = forms.VersionForm(name=name, display_name=display_name, description=description, tags=_tags(tags))
        return await desk.add_version(user, pipelineid, form, document)

    @made.post("/pipelines/create")
    async def create_with_version(user: User, body: forms.PipelineAndVersionForm) -> dict[str, Any]:
        return await desk.create_with_version(user, body.pipeline, body.pipeline_version)


def _whole(made: APIRouter, desk: Pipelines) -> None:
    @made.post("/pipelines")
    async def create(user: User, body: forms.PipelineForm) -> dict[str, Any]:
        return await desk.create(user, body)

    @made.get("/pipelines")
    async def list_pipelines(user: User, namespace: Named = "", page: Page = PAGING) -> dict[str, Any]:
        return await desk.list(user, namespace, page)

    @made.get("/pipelines/names/{name}")
    async def by_name(user: User, name: str, namespace: Named = "") -> dict[str, Any]:
        return await desk.by_name(user, name, namespace)

    @made.get("/pipelines/{id}")
    async def get(user: User, id: str) -> dict[str, Any]:
        return await desk.get(user, id)

    @made.patch("/pipelines/{id}")
    async def update(user: User, id: str, body: forms.PipelineForm) -> dict[str, Any]:
        return await desk.update(user, id, body)

    @made.delete("/pipelines/{id}")
    async def delete(user: User, id: str, cascade: bool = False) -> dict[str, Any]:
        return await desk.delete(user, id, cascade)


def _versions(made: APIRouter, desk: Pipelines) -> None:
    one = "/pipelines/{id}/versions/{version_id}"

    @made.post("/pipelines/{id}/versions")
    async def add_version(user: User, id: str, body: forms.VersionForm) -> dict[str, Any]:
        return await desk.add_version(user, id, body)

    @made.get("/pipelines/{id}/versions")
    async def versions(user: User, id: str, page: Page = VERSION_PAGING) -> dict[str, Any]:
        return await desk.versions(user, id, page)

    @made.get(one)
    async def version(user: User, id: str, version_id: str) -> dict[str, Any]:
        return await desk.version(user, id, version_id)

    @made.patch(one)
    async def update_version(user: User, id: str, version_id: str, body: forms.VersionForm) -> dict[str, Any]:
        return await desk.update_version(user, id, version_id, body)

    @made.delete(one)
    async def delete_version(user: User, id: str, version_id: str) -> dict[str, Any]:
        return await desk.delete_version(user, id, version_id)


async def _uploaded(request: Request) -> Document:
    """Unpacking and reading YAML take seconds for the largest: others are answered meanwhile."""
    content_type, body = request.headers.get("content-type", ""), await request.body()
    return await asyncio.to_thread(_read, content_type, body)


def _read(content_type: str, body: bytes) -> Document:
    return documents.from_yaml(archives.text_of(multipart.file_of(content_type, body)))


def _tags(text: str) -> dict[str, str] | None:
    """KFP's upload carries them as JSON in the query."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        found = text
    if not (found is None or (isinstance(found, dict) and all(isinstance(v, str) for v in found.values()))):
        raise BadRequest(f'tags: {text!r} is not JSON of the form {{"name": "value"}}')
    return found
