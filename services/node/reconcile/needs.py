"""What the pod controller needs of the world besides the runtime; its adapters live beside the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.node.domain.volumes import Volume

Object = dict[str, Any]


class VolumeStore(Protocol):
    """Where the contents of volumes lie."""

    async def put(self, pod: Object, volumes: Mapping[str, Volume]) -> dict[str, Path]:
        """Makes the volumes as they should be now and returns their directories by name; safe to repeat."""

    async def put_claim(self, namespace: str, name: str) -> Path:
        """The directory of a claim, made if absent."""

    async def remove_claim(self, namespace: str, name: str) -> None:
        """Deletes the directory of a claim."""


class Tokens(Protocol):
    """Credentials for pods."""

    def pod_files(self, pod: Object, account: Object) -> dict[str, bytes]:
        """token, namespace and kubeconfig of the pod's service account."""


class Prober(Protocol):
    """Asks a container how it is."""

    async def ask(self, pod: Object, container: Object, action: Object, timeout_s: float) -> tuple[bool, str]:
        """Whether the answer is good, and what it was."""


@dataclass(frozen=True)
class NodeFacts:
    """The one node: its name, its address and what it has (cores, bytes, counts)."""

    name: str
    ip: str
    second: int
    allocatable: Mapping[str, float]
