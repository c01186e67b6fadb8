"""Toy kinds and a real server for tests of the resource API; nothing here is imported by a service."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import uvicorn
from pydantic import BaseModel, ConfigDict, Field

from libs.base import Cause, Invalid
from libs.resources import Admission, Column, Kind, Object, Resources, Scale, Subresource
from libs.resources.http import routes

GROUP = "toys.millstream.dev"


class Part(BaseModel):
    """A part of a widget."""

    name: str
    weight: float | None = None
    tags: list[str] = []


class WidgetSpec(BaseModel):
    """What a widget should be."""

    size: Annotated[int, Field(ge=0, le=100, description="How large it is, in centimetres.")] = 1
    colour: Literal["red", "green", "blue"] | None = None
    replicas: int | None = None
    ratio: float | None = None
    parts: Annotated[
        list[Part] | None,
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = None
    options: dict[str, str] | None = None
    anything: dict[str, Any] | None = None


class WidgetStatus(BaseModel):
    """What is known of a widget."""

    model_config = ConfigDict(extra="allow")

    phase: str | None = None
    replicas: int | None = None
    conditions: list[dict[str, Any]] | None = None


class Widget(BaseModel):
    """A widget is a toy for tests."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: WidgetSpec
    status: WidgetStatus | None = None


def _admit(obj: Object, old: Object | None, admission: Admission) -> Object:
    if obj["metadata"].get("labels", {}).get("forbidden"):
        raise Invalid.about(
            f"widgets.{GROUP}", obj["metadata"]["name"], causes=[Cause("metadata.labels", "no such label")]
        )
    return obj


WIDGET = Kind(
    group=GROUP,
    version="v1",
    kind="Widget",
    plural="widgets",
    singular="widget",
    model=Widget,
    short_names=("wd",),
    columns=(
        Column("Size", "integer", ".spec.size"),
        Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Colour", "string", lambda obj, now: obj["spec"].get("colour", "<none>"), priority=1),
    ),
    admit=_admit,
    scale=Scale(selector=lambda obj: f"widget={obj['metadata']['name']}"),
)
GADGET = Kind(group=GROUP, version="v1", kind="Gadget", plural="gadgets", singular="gadget")
HELD = Kind(group=GROUP, version="v1", kind="Held", plural="helds", singular="held", finalizer=f"{GROUP}/hold")
CRATE = Kind(group=GROUP, version="v1", kind="Crate", plural="crates", singular="crate", namespaced=False)
CONFIGMAP = Kind(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    singular="configmap",
    status_subresource=False,
    short_names=("cm",),
    schema={
        "type": "object",
        "properties": {
            "data": {"type": "object", "additionalProperties": {"type": "string"}},
            "binaryData": {"type": "object", "additionalProperties": {"type": "string"}},
            "immutable": {"type": "boolean"},
        },
    },
)
POD = Kind(group="", version="v1", kind="Pod", plural="pods", singular="pod", short_names=("po",))
EVENT = Kind(group="", version="v1", kind="Event", plural="events", singular="event", status_subresource=False)
NAMESPACE = Kind(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    singular="namespace",
    namespaced=False,
    short_names=("ns",),
    name_is_label=True,
)
TOYS: tuple[Kind, ...] = (WIDGET, GADGET, HELD, CRATE, CONFIGMAP, POD, EVENT)


def widget(name: str, namespace: str = "default", **spec: Any) -> Object:
    """A widget to be created."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": metadata, "spec": {"size": 1, **spec}}


def thing(kind: Kind, name: str, namespace: str = "default", **fields: Any) -> Object:
    """An object of any toy kind to be created."""
    metadata = {"name": name, **({"namespace": namespace} if kind.namespaced else {})}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}


@asynccontextmanager
async def served(resources: Resources, *, subresources: Sequence[Subresource] = ()) -> AsyncIterator[str]:
    """The resource API on a free loopback port; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = routes(resources, extra_subresources=subresources)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        resources.drain()
        server.should_exit = True
        await task
