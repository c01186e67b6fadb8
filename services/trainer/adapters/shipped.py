"""What the trainer brings along: its default runtimes, and the note by which the Kubeflow SDK knows its version."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from libs.base.errors import AlreadyExists
from libs.cluster import Cluster
from libs.resources import Kind, Resources
from services.trainer.domain.digest import digest

FOLDER = Path(__file__).parent / "runtimes"
DIGEST = "millstream.dev/shipped-digest"
SYSTEM = "kubeflow-system"
PUBLIC = "kubeflow-trainer-public"
VERSION = "2.3.0"
"""The API that is served: that of kubeflow-trainer-api, whose models we use."""


def shipped() -> list[dict[str, Any]]:
    """The runtimes as they are stored: marked with their spec's digest, so that a user's edit is told from ours."""
    found = [yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))]
    return [_marked(runtime) for runtime in found]


async def ensure_runtimes(resources: Resources, kind: Kind) -> int:
    """Stores missing runtimes and renews those that nobody edited; answers how many it wrote."""
    written = 0
    for wanted in shipped():
        stored = await resources.find(kind, "", wanted["metadata"]["name"])
        if stored is None:
            written += await _create(resources, kind, wanted)
        elif _is_ours(stored) and stored["spec"] != wanted["spec"]:
            await resources.replace(kind, "", wanted["metadata"]["name"], wanted)
            written += 1
    return written


async def ensure_public_note(cluster: Cluster) -> None:
    """The ConfigMap that the SDK reads at construction; without it, every client warns."""
    with suppress(AlreadyExists):
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    note = {"name": PUBLIC, "namespace": SYSTEM}
    data = {"kubeflow_trainer_version": VERSION}
    await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": note, "data": data})


def _marked(runtime: dict[str, Any]) -> dict[str, Any]:
    meta = runtime["metadata"]
    return {**runtime, "metadata": {**meta, "annotations": {DIGEST: digest(runtime["spec"])}}}


def _is_ours(stored: dict[str, Any]) -> bool:
    return (stored["metadata"].get("annotations") or {}).get(DIGEST) == digest(stored["spec"])


async def _create(resources: Resources, kind: Kind, wanted: dict[str, Any]) -> int:
    try:
        await resources.create(kind, wanted)
    except AlreadyExists:  # another replica was faster
        return 0
    return 1
