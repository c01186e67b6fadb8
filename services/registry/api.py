"""The Model Registry REST API, one set of handlers under both version prefixes; errors are `{"code", "message"}`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from services.registry.domain import forms
from services.registry.domain.errors import RegistryError, bad_request
from services.registry.domain.paging import OrderBy, Page, SortOrder, page
from services.registry.domain.records import Family
from services.registry.handlers.desk import Begin, Desk, Look

PREFIXES = ("/api/model_registry/v1", "/api/model_registry/v1alpha3")
MODEL_ARTIFACT = "model-artifact"


def _refusal(error: RegistryError) -> Response:
    return JSONResponse({"code": str(error.code), "message": error.message}, error.code)


def _words(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return f"{where}: {first['msg']}" if where else str(first["msg"])


class _Route(APIRoute):
    """Refusals in the registry's own form, whoever finds the fault."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RegistryError as error:
                return _refusal(error)
            except RequestValidationError as error:
                return _refusal(bad_request(_words(error)))
            except HTTPException as error:
                return _refusal(RegistryError(error.status_code, str(error.detail)))

        return answer


def _page(
    pageSize: Annotated[int, Query(ge=1, le=2**31 - 1)] = 100,
    orderBy: OrderBy = "ID",
    sortOrder: SortOrder = "ASC",
    nextPageToken: Annotated[str, Query(max_length=2048)] = "",
) -> Page:
    return page(pageSize, orderBy, sortOrder, nextPageToken or None)


def _filter_refused(filterQuery: str = "") -> None:
    if filterQuery:
        raise bad_request("filterQuery is not supported; use name, externalId and parentResourceId")


Paging = Annotated[Page, Depends(_page)]
Name = Annotated[str | None, Query(max_length=255)]
ArtifactType = Annotated[str | None, Query(max_length=64)]


def routers(begin: Begin, look: Look) -> list[APIRouter]:
    """The whole API once for each prefix."""
    return [router(prefix, Desk(begin, look)) for prefix in PREFIXES]


def router(prefix: str, desk: Desk) -> APIRouter:
    made = APIRouter(
        prefix=prefix, route_class=_Route, tags=["model registry"], dependencies=[Depends(_filter_refused)]
    )
    _models(made, desk)
    _versions(made, desk)
    _artifacts(made, desk)
    _model_artifacts(made, desk)
    return made


def _reads(made: APIRouter, desk: Desk, family: Family, path: str, one: str, kind: str | None = None) -> None:
    """List, find by name or external id, and get by id: alike for every family."""

    @made.get(path, name=f"list {path}")
    async def all_of(paging: Paging) -> dict[str, Any]:
        return await desk.list(family, paging, artifact_type=kind)

    @made.get(one, name=f"find {one}")
    async def find(name: Name = None, externalId: Name = None, parentResourceId: Name = None) -> dict[str, Any]:
        return await desk.find(family, name, externalId, parentResourceId, kind)

    @made.get(path + "/{id}", name=f"get {one}")
    async def get(id: str) -> dict[str, Any]:
        return await desk.get(family, id, kind)


def _models(made: APIRouter, desk: Desk) -> None:
    _reads(made, desk, "model", "/registered_models", "/registered_model")

    @made.post("/registered_models", status_code=201)
    async def create_model(body: forms.RegisteredModelCreate) -> dict[str, Any]:
        return await desk.create("model", body)

    @made.patch("/registered_models/{id}")
    async def update_model(id: str, body: forms.RegisteredModelUpdate) -> dict[str, Any]:
        return await desk.update("model", id, body)

    @made.get("/registered_models/{id}/versions")
    async def versions_of(id: str, paging: Paging, name: Name = None, externalId: Name = None) -> dict[str, Any]:
        return await desk.list("version", paging, below=("model", id), name=name, external_id=externalId)

    @made.post("/registered_models/{id}/versions", status_code=201)
    async def create_version_of(id: str, body: forms.NestedVersionCreate) -> dict[str, Any]:
        return await desk.create("version", body, below=("model", id))


def _versions(made: APIRouter, desk: Desk) -> None:
    _reads(made, desk, "version", "/model_versions", "/model_version")

    @made.post("/model_versions", status_code=201)
    async def create_version(body: forms.ModelVersionCreate) -> dict[str, Any]:
        return await desk.create("version", body, below=("model", body.registeredModelId))

    @made.patch("/model_versions/{id}")
    async def update_version(id: str, body: forms.ModelVersionUpdate) -> dict[str, Any]:
        return await desk.update("version", id, body)

    @made.get("/model_versions/{id}/artifacts")
    async def artifacts_of(
        id: str, paging: Paging, name: Name = None, externalId: Name = None, artifactType: ArtifactType = None
    ) -> dict[str, Any]:
        below: tuple[Family, str] = ("version", id)
        return await desk.list(
            "artifact", paging, below=below, name=name, external_id=externalId, artifact_type=artifactType
        )

    @made.post("/model_versions/{id}/artifacts", status_code=201)
    async def upsert_artifact_of(id: str, body: forms.ArtifactCreate, response: Response) -> dict[str, Any]:
        if body.id:
            response.status_code = 200
            return await desk.update("artifact", body.id, body, below=("version", id))
        return await desk.create("artifact", body, below=("version", id))


def _artifacts(made: APIRouter, desk: Desk) -> None:
    _reads(made, desk, "artifact", "/artifacts", "/artifact")

    @made.post("/artifacts", status_code=201)
    async def create_artifact(body: forms.ArtifactCreate) -> dict[str, Any]:
        return await desk.create("artifact", body)

    @made.patch("/artifacts/{id}")
    async def update_artifact(id: str, body: forms.ArtifactUpdate) -> dict[str, Any]:
        return await desk.update("artifact", id, body)


def _model_artifacts(made: APIRouter, desk: Desk) -> None:
    _reads(made, desk, "artifact", "/model_artifacts", "/model_artifact", MODEL_ARTIFACT)

    @made.post("/model_artifacts", status_code=201)
    async def create_model_artifact(body: forms.ModelArtifactCreate) -> dict[str, Any]:
        return await desk.create("artifact", body)

    @made.patch("/model_artifacts/{id}")
    async def update_model_artifact(id: str, body: forms.ModelArtifactUpdate) -> dict[str, Any]:
        return await desk.update("artifact", id, body)
