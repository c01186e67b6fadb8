"""Secrets of one namespace, kept so that two who do it at once agree; it prints names and never a value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from libs.base.clock import Clock
from libs.base.errors import AlreadyExists, Conflict
from libs.cluster import SECRET, Cluster
from millstream.cluster.ledger import decoded, encoded
from millstream.errors import ClientError

MANAGER = "millstream-bootstrap"
MANAGED_BY = "app.kubernetes.io/managed-by"
LABELS = {"app.kubernetes.io/part-of": "millstream", MANAGED_BY: MANAGER}
OPAQUE, TLS = "Opaque", "kubernetes.io/tls"
ATTEMPTS = 50

Texts = dict[str, str]
Change = Callable[[Texts | None], Texts]
"""From what a Secret holds (None: there is none) to what it should hold; asked again when somebody else was faster."""


async def connected(kubeconfig: str | None, clock: Clock) -> Cluster:
    """A client of the cluster. Raises ClientError when nothing tells where it is."""
    if kubeconfig and not await asyncio.to_thread(Path(kubeconfig).is_file):
        raise ClientError(f"no cluster is known: {kubeconfig} is not there (give --kubeconfig or set KUBECONFIG)")
    return await Cluster.connect(kubeconfig, clock=clock)


class Vault:
    """Reads and writes by name alone: the bootstrap may not list Secrets."""

    def __init__(self, cluster: Cluster, namespace: str, say: Callable[[str], None]) -> None:
        self._cluster, self._namespace, self._say = cluster, namespace, say
        self.versions: dict[str, str] = {}
        """The resourceVersion at which each Secret was last seen here."""

    async def read(self, name: str) -> Texts | None:
        """A Secret's texts, None without one."""
        found = await self._get(name)
        return None if found is None else decoded(found)

    async def is_ours(self, name: str) -> bool:
        """Whether the Secret is missing or was made here."""
        found = await self._get(name)
        return found is None or _ours(found)

    async def unchanged(self, *names: str) -> bool:
        """Whether nobody has written these since they were last seen here."""
        seen = [self.versions.get(name) for name in names]
        for name in names:
            await self._get(name)
        return seen == [self.versions.get(name) for name in names]

    async def revise(self, name: str, change: Change, *, type: str = OPAQUE, always: bool = False) -> Texts:
        """What the Secret holds after `change`. One that somebody else made is left as it is, unless `always`."""
        for _ in range(ATTEMPTS):
            found = await self._get(name)
            before = None if found is None else decoded(found)
            if found is not None and not always and not _ours(found):
                self._say(f"left     Secret {name}: somebody else made it")
                return before or {}
            after = change(before)
            if before == after:
                self._say(f"kept     Secret {name}")
                return after
            if await self._store(name, found, after, type):
                self._say(_told(name, before, after))
                return after
        raise ClientError(f"Secret {name} is written by others all the time")

    async def _store(self, name: str, found: Mapping[str, Any] | None, texts: Texts, type: str) -> bool:
        """False when somebody else wrote it first."""
        try:
            if found is None:
                meta = {"name": name, "namespace": self._namespace, "labels": LABELS}
                made = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": type, "data": encoded(texts)}
                self._note(name, await self._cluster.create(made))
            else:
                self._note(name, await self._cluster.replace({**found, "data": encoded(texts)}))
        except (AlreadyExists, Conflict):
            return False
        return True

    async def _get(self, name: str) -> dict[str, Any] | None:
        found = await self._cluster.get(SECRET, self._namespace, name)
        self._note(name, found)
        return found

    def _note(self, name: str, found: Mapping[str, Any] | None) -> None:
        self.versions[name] = str(found["metadata"]["resourceVersion"]) if found else ""


def _ours(found: Mapping[str, Any]) -> bool:
    return (found["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER


def _told(name: str, before: Texts | None, after: Texts) -> str:
    if before is None:
        return f"made     Secret {name}"
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return f"changed  Secret {name}: {', '.join(keys)}"
