"""Components external-postgres and external-s3: whose container gets which key of the user's Secret; knows no URL."""

from __future__ import annotations

from collections.abc import Iterable

from libs.service.manifest import Manifest
from millstream.dev.deploy.texts import fill


def external_postgres(manifests: Iterable[Manifest]) -> str:
    """One patch a service that has a store, for its container and for its migration."""
    return _component("postgres", [each for each in manifests if "store" in each.needs])


def external_s3(manifests: Iterable[Manifest]) -> str:
    """One patch a service that keeps blobs, or makes workloads and hands them the way to the store."""
    return _component("s3", [each for each in manifests if {"blobs", "cluster"} & set(each.needs)])


def _component(name: str, users: Iterable[Manifest]) -> str:
    patches = "".join(fill(f"{name}-patch", name=each.name) for each in users)
    return fill(name, patches=patches.rstrip("\n"))
