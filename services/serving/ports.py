"""What serving needs of the world when it hears of a model version: its own projection, and its InferenceServices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from services.serving.domain.predictor import KnownVersion


class Versions(Protocol):
    """The model versions that the registry announced, inside one transaction."""

    async def put(self, known: KnownVersion) -> None: ...

    async def get(self, model: str, version: str | None) -> KnownVersion | None:
        """One version, or without a name the newest one."""
        ...


class Services(Protocol):
    """InferenceServices inside one transaction. Writes raise ApiError when they are invalid."""

    async def find(self, namespace: str, name: str) -> dict[str, Any] | None: ...

    async def create(self, obj: dict[str, Any]) -> None: ...

    async def merge(self, namespace: str, name: str, patch: dict[str, Any]) -> None: ...

    async def set_status(self, isvc: dict[str, Any], status: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Needs:
    versions: Versions
    services: Services
