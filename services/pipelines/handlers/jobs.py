"""What is noted when the trainer speaks of its jobs and the tuner of its Experiments; each of these facts may come at
any time, and more than once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.envelope import Event
from contracts.events.training.v1 import (
    LegacyJobCreated,
    LegacyJobDeleted,
    LegacyJobFailed,
    LegacyJobStarted,
    LegacyJobSucceeded,
    TrainJobCreated,
    TrainJobDeleted,
    TrainJobFailed,
    TrainJobStarted,
    TrainJobSucceeded,
)
from contracts.events.tuning.v1 import (
    TuningExperimentCreated,
    TuningExperimentDeleted,
    TuningExperimentFailed,
    TuningExperimentSucceeded,
)
from services.pipelines.domain.jobs import EXPERIMENT, STARTED_BY, TRAIN_JOB, Job, figures
from services.pipelines.domain.releases import plain
from services.pipelines.ports import Hears

Created = TrainJobCreated | LegacyJobCreated
Started = TrainJobStarted | LegacyJobStarted
Failed = TrainJobFailed | LegacyJobFailed | TuningExperimentFailed
Deleted = TrainJobDeleted | LegacyJobDeleted | TuningExperimentDeleted


async def when_job_created(event: Created, needs: Hears) -> Sequence[Event]:
    reads = plain(getattr(event, "dataset_uri", None) or "")
    await needs.jobs.note(Job(**_about(event), task_uid=event.labels.get(STARTED_BY, ""), dataset_uri=reads))
    return []


async def when_job_started(event: Started, needs: Hears) -> Sequence[Event]:
    await needs.jobs.note(Job(**_about(event), started=True))
    return []


async def when_train_job_succeeded(event: TrainJobSucceeded, needs: Hears) -> Sequence[Event]:
    """The model's place is told by who had no name for it, too."""
    told = event.model_dump(mode="json")
    body = {"metrics": figures(told["metrics"]), "code_digest": event.code_digest or "", "runtime": event.runtime or ""}
    model = event.model_uri or (event.model.uri if event.model else "")
    places = {"dataset_uri": plain(event.dataset_uri or ""), "model_uri": plain(model)}
    await needs.jobs.note(Job(**_about(event), **places, ended="SUCCEEDED", body=body))
    return []


async def when_legacy_job_succeeded(event: LegacyJobSucceeded, needs: Hears) -> Sequence[Event]:
    await needs.jobs.note(Job(**_about(event), ended="SUCCEEDED"))
    return []


async def when_tuning_experiment_created(event: TuningExperimentCreated, needs: Hears) -> Sequence[Event]:
    """Its trials begin at once, as far as their queue lets them."""
    await needs.jobs.note(Job(**_about(event), task_uid=event.labels.get(STARTED_BY, ""), started=True))
    return []


async def when_tuning_experiment_succeeded(event: TuningExperimentSucceeded, needs: Hears) -> Sequence[Event]:
    best = event.best.model_dump(mode="json") if event.best else {}
    told = {"metrics": figures(best.get("metrics") or {}), "parameters": figures(best.get("assignments") or {})}
    body = {"reason": event.reason, "trials": event.trials, "best_trial": best.get("name", ""), **told}
    await needs.jobs.note(Job(**_about(event), ended="SUCCEEDED", body=body))
    return []


async def when_job_failed(event: Failed, needs: Hears) -> Sequence[Event]:
    await needs.jobs.note(Job(**_about(event), ended="FAILED", body={"reason": event.reason, "message": event.message}))
    return []


async def when_job_deleted(event: Deleted, needs: Hears) -> Sequence[Event]:
    """It stays known: what it made may outlive it."""
    await needs.jobs.note(Job(**_about(event), gone=True))
    return []


def _about(event: Any) -> dict[str, Any]:
    usual = EXPERIMENT if event.type.startswith("tuning.") else TRAIN_JOB
    kind = getattr(event, "kind", "") or usual
    return {"uid": event.uid, "namespace": event.namespace, "name": event.name, "kind": kind}
