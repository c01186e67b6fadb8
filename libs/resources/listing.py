"""Lists: selection, pages and continue tokens over a consistent snapshot; it must not hold more than it answers."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from libs.base import BadRequest
from libs.resources.kinds import Kind, Object
from libs.resources.selectors import Selectors
from libs.store import Reader

_CHUNK = 500
FIRST_VERSION = 1
After = tuple[str, str]


@dataclass(frozen=True)
class Page:
    """Part of a list. `continue_` asks for the next part, empty on the last; a watch from `resource_version` misses
    nothing.
    """

    items: list[Object]
    resource_version: str
    continue_: str = ""


async def page(
    reader: Reader, kind: Kind, namespace: str | None, selectors: Selectors, limit: int | None, continue_: str | None
) -> Page:
    """One page. Later pages keep the first page's resourceVersion, so that a watch from it tells what changed
    between.
    """
    version, after = _read_token(continue_) if continue_ else (await version_of(reader), None)
    if (name := selectors.fields.wants("metadata", "name")) is not None and (namespace or not kind.namespaced):
        found = await reader.get(kind.resource, namespace or "", name)
        return Page([found] if found and selectors.matches(found) else [], version)
    items = await _select(reader, kind, namespace, selectors, after, limit + 1 if limit else None)
    if not limit or len(items) <= limit:
        return Page(items, version)
    return Page(items[:limit], version, _token(version, items[limit - 1]))


async def version_of(reader: Reader) -> str:
    """The resourceVersion of a list. Never "0", which for clients means "any": an untouched store says "1" already."""
    return str(max(await reader.last_seq(), FIRST_VERSION))


async def _select(
    reader: Reader, kind: Kind, namespace: str | None, selectors: Selectors, after: After | None, wanted: int | None
) -> list[Object]:
    space = namespace if kind.namespaced else None
    if not selectors:
        return await reader.list(kind.resource, namespace=space, after=after, limit=wanted)
    found: list[Object] = []
    while wanted is None or len(found) < wanted:
        chunk = await reader.list(kind.resource, namespace=space, after=after, limit=_CHUNK if wanted else None)
        found += [obj for obj in chunk if selectors.matches(obj)]
        if wanted is None or len(chunk) < _CHUNK:
            break
        after = _key(chunk[-1])
    return found[:wanted]


def _key(obj: Object) -> After:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _token(version: str, last: Object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([version, *_key(last)])).decode().rstrip("=")


def _read_token(token: str) -> tuple[str, After]:
    try:
        version, namespace, name = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if not (isinstance(namespace, str) and isinstance(name, str) and str(version).isdigit()):
            raise ValueError(token)
        return str(version), (namespace, name)
    except (ValueError, TypeError, binascii.Error):
        raise BadRequest("continue: the token is not one that this server gave: list again without it") from None
