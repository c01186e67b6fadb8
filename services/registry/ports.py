"""What the registry needs of the world: its records, a clock and names for the nameless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.base import milliseconds
from libs.base.clock import Clock
from libs.base.ids import Ids
from services.registry.domain.paging import Page
from services.registry.domain.records import Family, Record


class Records(Protocol):
    """The records inside one transaction."""

    async def get(self, family: Family, id: int) -> Record | None: ...

    async def find(
        self,
        family: Family,
        *,
        name: str | None = None,
        parent: int | None = None,
        external_id: str | None = None,
        artifact_type: str | None = None,
    ) -> Record | None: ...

    async def of_job(self, job_uid: str) -> Record | None: ...

    async def names(self, family: Family, parent: int) -> list[str]: ...

    async def add(self, record: Record) -> Record:
        """Keeps it under a new id. Raises RegistryError 409 when its name or external id is taken."""
        ...

    async def put(self, record: Record) -> Record: ...

    async def list(
        self, family: Family, page: Page, *, parent: int | None = None, artifact_type: str | None = None
    ) -> tuple[Sequence[Record], str]:
        """The items of a page and the token of the next one ("" at the end)."""
        ...


@dataclass
class Needs:
    records: Records
    clock: Clock
    ids: Ids

    def now_ms(self) -> int:
        return milliseconds(self.clock.now())
