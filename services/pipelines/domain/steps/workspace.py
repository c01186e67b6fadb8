"""The volume that all steps of a run share, where its pipeline asks for one: a claim of the run's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ACCESS = ["ReadWriteOnce"]
"""What every cluster can give; a pipeline whose steps are to run on several nodes at once asks for ReadWriteMany."""


def claim_name(run_id: str) -> str:
    return f"workspace-{run_id}"


def workspace(config: Mapping[str, Any], run_id: str, namespace: str) -> dict[str, Any]:
    """The claim as Kubernetes knows it, {} for a pipeline without a workspace. `config` is its pipelineConfig."""
    asked = config.get("workspace")
    if not asked:
        return {}
    patch = (asked.get("kubernetes") or {}).get("pvcSpecPatch") or {}
    spec = {"accessModes": ACCESS, **patch, "resources": {"requests": {"storage": asked["size"]}}}
    metadata = {"name": claim_name(run_id), "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
