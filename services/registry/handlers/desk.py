"""What the REST API does, one transaction a request: create, update, find and list records of any family."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from contracts.envelope import Event
from services.registry.domain.errors import bad_request, not_found
from services.registry.domain.forms import MAX_INT64, Form, given
from services.registry.domain.paging import Page
from services.registry.domain.records import NO_PARENT, WORDS, Family, Record, change, new_record
from services.registry.handlers.events import announcement
from services.registry.ports import Needs

Say = Callable[[Event], None]
Begin = Callable[[], AbstractAsyncContextManager[tuple[Needs, Say]]]
"""Opens a write transaction: its needs, and how to say an event in it."""
Look = Callable[[], AbstractAsyncContextManager[Needs]]
"""Opens a consistent reading view."""
Below = tuple[Family, str]
"""A parent as the path names it: its family and its id as text."""


def _number(family: Family, id: str) -> int:
    """Ids are positive numbers; any other text is the id of nothing."""
    if id.isascii() and id.isdigit() and len(id) < 20 and int(id) <= MAX_INT64:
        return int(id)
    raise not_found(f"{WORDS[family]} {id!r}")


def _text(**named: str | None) -> None:
    for name, value in named.items():
        if value is not None and "\x00" in value:
            raise bad_request(f"{name} must not contain NUL characters")


async def _fetch(needs: Needs, family: Family, id: str, artifact_type: str | None = None) -> Record:
    record = await needs.records.get(family, _number(family, id))
    if record is None or artifact_type not in (None, record.artifact_type):
        raise not_found(f"{WORDS[family]} {id!r}")
    return record


async def _parent(needs: Needs, below: Below | None) -> int:
    return (await _fetch(needs, *below)).id if below else NO_PARENT


@dataclass(frozen=True)
class Desk:
    """Raises RegistryError for whatever is refused; answers with the API's own dictionaries."""

    begin: Begin
    look: Look

    async def get(self, family: Family, id: str, artifact_type: str | None = None) -> dict[str, Any]:
        async with self.look() as needs:
            return (await _fetch(needs, family, id, artifact_type)).shown()

    async def find(
        self, family: Family, name: str | None, external_id: str | None, parent: str | None, artifact_type: str | None
    ) -> dict[str, Any]:
        """The one record with this external id, or with this name below this parent (a model has none)."""
        _text(name=name, externalId=external_id, parentResourceId=parent)
        if not external_id and not (name and (parent or family == "model")):
            needed = "name" if family == "model" else "name and parentResourceId"
            raise bad_request(f"give either externalId or {needed}")
        async with self.look() as needs:
            of: Family = "model" if family == "version" else "version"
            below = _number(of, parent) if parent and family != "model" else None
            record = await needs.records.find(
                family, name=name or None, parent=below, external_id=external_id or None, artifact_type=artifact_type
            )
        if record is None:
            raise not_found(f"{WORDS[family]} {name or external_id!r}")
        return record.shown()

    async def list(
        self,
        family: Family,
        page: Page,
        *,
        below: Below | None = None,
        name: str | None = None,
        external_id: str | None = None,
        artifact_type: str | None = None,
    ) -> dict[str, Any]:
        _text(name=name, externalId=external_id, artifactType=artifact_type)
        async with self.look() as needs:
            parent = await _parent(needs, below) if below else None
            if name or external_id:
                found = await needs.records.find(
                    family, name=name or None, parent=parent, external_id=external_id or None
                )
                items, token = ([found] if found else []), ""
            else:
                listed, token = await needs.records.list(family, page, parent=parent, artifact_type=artifact_type)
                items = [*listed]
        shown = [record.shown() for record in items]
        return {"items": shown, "nextPageToken": token, "pageSize": page.size, "size": len(shown)}

    async def create(self, family: Family, form: Form, *, below: Below | None = None) -> dict[str, Any]:
        sent = given(form)
        if family == "artifact":
            sent["artifactType"] = getattr(form, "artifactType")  # noqa: B009  a default is not among the sent fields
        async with self.begin() as (needs, say):
            parent = await _parent(needs, below)
            name = sent.get("name") or needs.ids.uid()
            record = await needs.records.add(new_record(family, name, sent, parent=parent, now_ms=needs.now_ms()))
            await _announce(record, needs, say)
            return record.shown()

    async def update(self, family: Family, id: str, form: Form, *, below: Below | None = None) -> dict[str, Any]:
        async with self.begin() as (needs, say):
            record = await _fetch(needs, family, id, getattr(form, "artifactType", None))
            if below and record.parent != await _parent(needs, below):
                raise not_found(f"{WORDS[family]} {id!r} of {WORDS[below[0]]} {below[1]!r}")
            record = await needs.records.put(change(record, given(form), now_ms=needs.now_ms()))
            await _announce(record, needs, say)
            return record.shown()


async def _announce(record: Record, needs: Needs, say: Say) -> None:
    if record.family != "artifact" or record.parent == NO_PARENT:
        return
    version = await needs.records.get("version", record.parent)
    said = await announcement(version, needs) if version else None
    if said:
        say(said)
