"""ArtifactService of KFP's API, as far as it reads (artifact.proto, artifacts.proto of its v2beta1)."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Literal

from fastapi import APIRouter, Request

from services.pipelines.api.downloads import base_of
from services.pipelines.api.v2beta1.route import Named, User, paging
from services.pipelines.domain.catalog import keys
from services.pipelines.domain.catalog.paging import Page
from services.pipelines.handlers.artifacts import Artifacts

PAGING = paging(keys.ARTIFACT)
View = Literal["ARTIFACT_VIEW_UNSPECIFIED", "BASIC", "DOWNLOAD", "RENDER"]


def add_to(made: APIRouter, desk: Artifacts) -> None:
    @made.get("/artifacts")
    async def list_artifacts(user: User, namespace: Named = "", page: Page = PAGING) -> dict[str, Any]:
        return await desk.list(user, namespace, page)

    @made.get("/artifacts/{id}")
    async def get(request: Request, user: User, id: str, view: View = "BASIC") -> dict[str, Any]:
        return await desk.get(user, id, base_of(request) if view in ("DOWNLOAD", "RENDER") else "")

    @made.get("/runs/{id}/nodes/{node}/artifacts/{name}:read")
    async def read(user: User, id: str, node: str, name: str) -> dict[str, Any]:
        """ReadArtifact of RunService, as KFP's API had it before 2.17."""
        return {"data": b64encode(await desk.output(user, id, node, name)).decode()}
