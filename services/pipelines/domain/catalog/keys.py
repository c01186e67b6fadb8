"""What each list can be sorted and filtered by: from the API's keys to where it is kept, and of which type it is.

`name`, `id` and `storage_state` are known beside the fields' own names, as KFP's server knows them.
"""

from __future__ import annotations

from collections.abc import Mapping

Keys = Mapping[str, str]

_NAMED = {"name": "name", "created_at": "created_ms", "id": "id"}
_DESCRIBED = {**_NAMED, "description": "description"}
PIPELINE: Keys = {**_DESCRIBED, "display_name": "display_name", "pipeline_id": "id", "namespace": "namespace"}
VERSION: Keys = {
    **_DESCRIBED,
    "display_name": "display_name",
    "pipeline_version_id": "id",
    "pipeline_id": "pipeline_id",
}
EXPERIMENT: Keys = {
    **_DESCRIBED,
    "display_name": "name",
    "experiment_id": "id",
    "namespace": "namespace",
    "storage_state": "storage_state",
    "last_run_created_at": "last_run_ms",
}
RECURRING_RUN: Keys = {
    **_DESCRIBED,
    "display_name": "name",
    "recurring_run_id": "id",
    "experiment_id": "experiment_id",
    "namespace": "namespace",
    "status": "status",
    "updated_at": "updated_ms",
    "pipeline_version_id": "version_id",
    "pipeline_id": "pipeline_id",
}
RUN: Keys = {
    **_DESCRIBED,
    "display_name": "name",
    "run_id": "id",
    "experiment_id": "experiment_id",
    "namespace": "namespace",
    "state": "state",
    "status": "state",
    "storage_state": "storage_state",
    "scheduled_at": "scheduled_ms",
    "finished_at": "finished_ms",
    "recurring_run_id": "recurring_run_id",
    "pipeline_version_id": "version_id",
    "pipeline_id": "pipeline_id",
}
ARTIFACT: Keys = {
    **_NAMED,
    "artifact_id": "id",
    "type": "kind",
    "artifact_type": "kind",
    "uri": "uri",
    "digest": "digest",
    "run_id": "run_id",
    "task_id": "task_uid",
    "namespace": "namespace",
}


def types(keys: Keys) -> Mapping[str, type]:
    """Times are numbers, everything else is text."""
    return {key: int if kept.endswith("_ms") else str for key, kept in keys.items()}
