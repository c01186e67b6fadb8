"""What the trainer brings along: its default runtimes, and the note by which the Kubeflow SDK knows its version."""

from collections.abc import Callable, Sequence
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


OWN = "millstream/"
OWN_IMAGES = {
    "python": "python",
    **{f"{name}-distributed": name for name in ("torch", "deepspeed", "jax", "mpi", "paddle", "tensorflow", "xgboost")},
}
"""The platform's own images by runtime: they bring what the files' public ones lack, the SDK's helper for one."""


def shipped(image: Callable[[str], str] | None = None) -> list[dict[str, Any]]:
    """The runtimes as they are stored: marked with their spec's digest, so that a user's edit is told from ours.

    `image` gives the platform's own image by its name, where there is a registry that has them; without it the runtimes
    name the public ones of their files.
    """
    found = [yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yaml"))]
    for runtime in found if image else ():
        for container in _nodes_of(runtime):
            known = container["image"].startswith(OWN)
            name = container["image"].removeprefix(OWN) if known else OWN_IMAGES.get(runtime["metadata"]["name"])
            container["image"] = image(name) if name else container["image"]
    return [marked(runtime) for runtime in found]


def _nodes_of(runtime: dict[str, Any]) -> list[dict[str, Any]]:
    jobs = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    pods = [job["template"]["spec"]["template"]["spec"] for job in jobs]
    return [container for pod in pods for container in pod["containers"]]


async def ensure_runtimes(resources: Resources, kind: Kind, runtimes: Sequence[dict[str, Any]]) -> int:
    """Stores missing runtimes and renews those that nobody edited; answers how many it wrote."""
    written = 0
    for wanted in runtimes:
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


def marked(runtime: dict[str, Any]) -> dict[str, Any]:
    """With the digest of its spec, by which an edit is told from what was stored."""
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
