"""A manifest that somebody only asks about, as it would be stored; nothing is written, whoever may not write it is told
so, and what is wrong with it is refused as on write.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from libs.base.errors import BadRequest
from libs.resources.kinds import Kind, Object
from libs.resources.resources import Resources

MANAGER = "millstream-explain"


async def would_be(
    request: Request, resources: Resources, kinds: Sequence[Kind], namespace: str
) -> tuple[Kind, Object]:
    """The kind of the manifest in the body, one of `kinds`, and the object with its defaults."""
    try:
        found = await request.json()
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    about = (found.get("apiVersion"), found.get("kind")) if isinstance(found, dict) else None
    kind = next((one for one in kinds if (one.api_version, one.kind) == about), None)
    if kind is None:
        expected = ", ".join(f"{one.api_version} {one.kind}" for one in kinds)
        raise BadRequest(f"expected a manifest of {expected}; got {' '.join(map(str, about or ())) or 'no object'}")
    user = request.state.user
    obj = await resources.apply(kind, found, manager=MANAGER, namespace=namespace, force=True, user=user, dry_run=True)
    return kind, obj
