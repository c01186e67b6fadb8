"""Component external-postgres: which key of the user's Secret becomes whose store; knows no URL."""

from __future__ import annotations

from collections.abc import Iterable

from libs.service.manifest import Manifest
from millstream.dev.deploy.texts import fill


def external_postgres(manifests: Iterable[Manifest]) -> str:
    """One patch a service that has a store, for its container and for its migration."""
    patches = "".join(fill("postgres-patch", name=each.name) for each in manifests if "store" in each.needs)
    return fill("postgres", patches=patches.rstrip("\n"))
