"""What a cluster tells about objects beyond their status: its Events. It must not assume leave to read them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from libs.base.errors import ApiError
from libs.cluster.client import Cluster
from libs.cluster.resource import EVENT


async def events_about(cluster: Cluster, namespace: str, uids: Iterable[str]) -> list[dict[str, Any]]:
    """Those that involve one of the objects; none where they cannot be read, since no status hangs on them alone."""
    asked = [cluster.list(EVENT, namespace, fields=f"involvedObject.uid={uid}") for uid in uids]
    try:
        return [event for found in await asyncio.gather(*asked) for event in found]
    except ApiError:
        return []
