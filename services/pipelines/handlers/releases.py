"""What is noted when others speak of models that runs may have made; each of these facts may come at any time."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.envelope import Event
from contracts.events.registry.v1 import ModelVersionCreated
from contracts.events.serving.v1 import InferenceServiceDeleted, InferenceServiceReady
from services.pipelines.domain.releases import ENDPOINT, VERSION, Release, plain
from services.pipelines.ports import Hears


async def when_model_version_created(event: ModelVersionCreated, needs: Hears) -> Sequence[Event]:
    body = {"format": event.format, "metrics": event.model_dump(mode="json")["metrics"], "job_uid": event.job_uid or ""}
    name, uri = f"{event.model}/{event.version}", plain(event.uri)
    await needs.releases.note(Release(VERSION, event.version_id, "", event.namespace, name, uri, body))
    return []


async def when_inference_service_ready(event: InferenceServiceReady, needs: Hears) -> Sequence[Event]:
    """One row for each revision: which of them answer how much is serving's to say."""
    body = {"url": event.url, "model_uri": event.model_uri}
    uri = plain(event.fetched_uri or event.model_uri)
    await needs.releases.note(Release(ENDPOINT, event.uid, event.revision, event.namespace, event.name, uri, body))
    return []


async def when_inference_service_deleted(event: InferenceServiceDeleted, needs: Hears) -> Sequence[Event]:
    await needs.releases.note_gone(event.namespace, event.name, event.uid)
    return []
