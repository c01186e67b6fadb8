"""The last lines of pods that failed, for the message about it; a log that cannot be read is no reason to wait."""

import asyncio
from collections.abc import Iterable
from typing import Any

from libs.base.errors import ApiError
from libs.cluster import Cluster
from services.trainer.domain.outcome import failed_container

LINES = 80
"""A launcher says some thirty lines after the program that failed."""
PODS_MAX = 3
TIMEOUT_S = 5.0


async def tails(pods: Iterable[dict[str, Any]], cluster: Cluster) -> dict[str, str]:
    """By the pod's name, of the first PODS_MAX of them."""
    out: dict[str, str] = {}
    for pod in list(pods)[:PODS_MAX]:
        meta = pod["metadata"]
        lines = cluster.logs(meta["namespace"], meta["name"], container=failed_container(pod), tail=LINES)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                out[meta["name"]] = "\n".join([line async for line in lines])
        except (ApiError, TimeoutError, OSError):
            out[meta["name"]] = ""
    return out
