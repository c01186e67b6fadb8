"""Replaces an engine's pods, one after the other, when what they read at their start has changed; only then."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from libs.base.errors import NotFound
from libs.cluster import STATEFULSET, Cluster
from millstream.cluster.certificates import BROKER_TLS
from millstream.cluster.derived import BROKER, OBJECTS
from millstream.cluster.vault import Texts, Vault

READS: Mapping[str, tuple[str, ...]] = {"nats": (BROKER, BROKER_TLS), "s3": (OBJECTS,)}
"""StatefulSet -> the Secrets that its pods read once. PostgreSQL keeps its users itself."""
ANNOTATION = "millstream.dev/configuration"
SEEN = "seen."
"""Entries of the ledger: the configuration with which an engine's pods run. The first pods need no replacement, since
they could not start before their Secrets were there."""


async def ensure(cluster: Cluster, vault: Vault, namespace: str, ledger: str, say: Callable[[str], None]) -> None:
    """Pods of every engine run with the current configuration, or will as soon as their turn comes."""
    for engine, secrets in READS.items():
        texts = [await vault.read(name) for name in secrets]
        digest = _digest(texts)
        seen = (await vault.read(ledger) or {}).get(SEEN + engine)
        if digest is None or seen == digest:
            continue
        if seen is not None and await _replace(cluster, namespace, engine, digest):
            say(f"changed  StatefulSet {engine}: its pods are replaced, one by one")

        def note(before: Texts | None, engine: str = engine, digest: str = digest) -> Texts:
            return {**(before or {}), SEEN + engine: digest}

        await vault.revise(ledger, note, always=True)


async def _replace(cluster: Cluster, namespace: str, name: str, digest: str) -> bool:
    template = {"template": {"metadata": {"annotations": {ANNOTATION: digest}}}}
    try:
        await cluster.patch(STATEFULSET, namespace, name, {"spec": template})
    except NotFound:  # somebody else's engine
        return False
    return True


def _digest(texts: list[Texts | None]) -> str | None:
    if all(each is None for each in texts):
        return None
    parts = [f"{key}={text}" for each in texts for key, text in sorted((each or {}).items())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
